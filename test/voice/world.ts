// A voice room with a call that is scripted: what the call was told to do is kept, what the application's servers
// answer is the test's to say, and a clock stands still until it is turned.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { AppError } from '../../src/errors.ts'
import { createEvents } from '../../src/events.ts'
import type { TenantClient, TenantRequest, TenantResponse } from '../../src/net/client.ts'
import { IN_FLIGHT, type Recording, type VoiceFacts } from '../../src/recording/document.ts'
import type { Effective } from '../../src/recording/settings.ts'
import { openSpool } from '../../src/recording/spool.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import type { Message, MessageOptions, SwitchNode } from '../../src/switch/switch.ts'
import type { Dialled, VoiceCall } from '../../src/voice/call.ts'
import type { Endpoint } from '../../src/voice/ncco.ts'
import type { Place } from '../../src/voice/places.ts'
import { type Application, startVoice } from '../../src/voice/voice.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { notedLog } from '../helpers/log.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'

export const ACCOUNT = 'a'.repeat(32)
export const LEG = '00000000-0000-4000-8000-000000000001'
export const EVENTS = 'https://app.example.com/events'

/** What a server says: a status, a body, or an error of the way there. */
export type Reply = number | AppError | Buffer | string | object

export interface Asked {
  method: string
  url: string
  /** Of the body, or of the query. */
  fields: Record<string, unknown>
}

export function servers(replies: Readonly<Record<string, readonly Reply[]>>): TenantClient & { asked: Asked[]; hanging: Set<string> } {
  const asked: Asked[] = []
  const counts = new Map<string, number>()
  const hanging = new Set<string>()
  return {
    asked,
    hanging,
    close: () => Promise.resolve(),
    async request(request: TenantRequest): Promise<TenantResponse> {
      const url = new URL(request.url)
      const base = `${url.origin}${url.pathname}`
      const sent: Buffer[] = []
      if (request.body !== undefined) for await (const piece of request.body.open()) sent.push(piece)
      const fields = request.method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(Buffer.concat(sent).toString())
      asked.push({ method: request.method, url: base, fields })
      const count = counts.get(base) ?? 0
      counts.set(base, count + 1)
      if (hanging.has(base)) {
        return new Promise((_resolve, reject) =>
          request.signal?.addEventListener('abort', () => reject(new AppError('upload_unreachable', 'broken off')), { once: true }),
        )
      }
      const script = replies[base] ?? [204]
      const reply = script[Math.min(count, script.length - 1)] ?? 204
      if (reply instanceof AppError) throw reply
      const status = typeof reply === 'number' ? reply : 200
      const body = Buffer.isBuffer(reply) ? reply : Buffer.from(typeof reply === 'number' ? '' : typeof reply === 'string' ? reply : JSON.stringify(reply))
      return { status, headers: {}, body, complete: body.length <= (request.maxBytes ?? 65_536), bodySent: true, url }
    },
  }
}

interface Options {
  replies?: Readonly<Record<string, readonly Reply[]>>
  modules?: Readonly<Record<string, boolean>>
  /** What the switch writes, and ffmpeg. */
  formats?: readonly string[]
  encodes?: readonly ('mp3' | 'ogg')[]
  decodes?: readonly ('mp3' | 'ogg')[]
  transcribes?: { languages: readonly string[]; sentiment: boolean }
  /** How recordings begin. */
  refuse?: string
  /** What becomes of recordings. */
  ends?: 'stored' | 'failed' | 'discarded'
  dialled?: Dialled | 'rings' | 'talks'
  answered?: boolean
}

export function voiceWorld(
  t: ExecutionContext,
  {
    replies = {},
    modules = {},
    formats = ['wav'],
    encodes = [],
    decodes = [],
    transcribes = { languages: [], sentiment: false },
    refuse,
    ends = 'stored',
    dialled,
    answered = false,
  }: Options = {},
) {
  const { log, lines } = notedLog()
  const clock = manualClock()
  const http = servers(replies)
  const events = createEvents(log)
  const dir = mkdtempSync(join(tmpdir(), 'callrec-voice-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const spool = openSpool({ here: dir, onSwitch: dir, minFree: 0 })
  const gone = new AbortController()
  const docs = new Map<string, Recording>()
  /** What the call did, in order; requests to servers stand among it. */
  const did: string[] = []
  const settings: Effective[] = []
  const transcriptions: unknown[] = []
  const messages: MessageOptions[] = []
  const variables: Record<string, string> = {}
  const onAnswer: (() => void)[] = []
  const waiting: { app: string; go: (response: string) => void }[] = []
  const holding = new Set<string>()
  let isAnswered = answered
  let counter = 0
  let message: Message | undefined = { ended: 'silence', durationMs: 3000 }

  const original = http.request.bind(http)
  http.request = request => {
    did.push(`${request.method} ${new URL(request.url).pathname}`)
    return original(request)
  }

  const recorder = {
    async stop(id: string) {
      did.push(`stop ${id}`)
      const recording = docs.get(id)
      if (recording === undefined || recording.state === 'stopped') return
      const ended =
        ends === 'discarded' ? { state: 'discarded', reason: 'empty' } : { state: 'stopped', duration_ms: 3000, size: 96_044, delivery: { state: ends } }
      docs.set(id, { ...recording, ...ended } as unknown as Recording)
      void events.tell({ event: `recording.${ends}`, accountId: ACCOUNT, recordingId: id, at: 0, recording: {} })
    },
    ended: () => Promise.resolve(),
    join: async (id: string, leg: string) => void did.push(`join ${id} ${leg}`),
  }

  const node = {
    name: 'fs1',
    status: () => ({ name: 'fs1', state: 'up', address: '', modules, formats }),
    recordMessage: async (_uuid: string, _path: string, options: MessageOptions): Promise<Message> => {
      did.push('listen')
      messages.push(options)
      if (message !== undefined) return message
      return new Promise(resolve => options.signal?.addEventListener('abort', () => resolve({ ended: 'interrupted', durationMs: 0 }), { once: true }))
    },
  } as unknown as SwitchNode

  const call: VoiceCall = {
    uuid: LEG,
    accountId: ACCOUNT,
    from: '2001',
    to: '1000',
    placed: false,
    node,
    answered: () => isAnswered,
    variable: name => variables[name],
    signal: gone.signal,
    log,
    onAnswer: then => void onAnswer.push(then),
    async set(changes) {
      for (const [name, value] of Object.entries(changes)) {
        if (value === null) delete variables[name]
        else variables[name] = value
      }
    },
    async execute(app, argument = '') {
      gone.signal.throwIfAborted()
      did.push(`${app} ${argument}`.trim())
      if (app === 'answer') {
        isAnswered = true
        for (const then of onAnswer) then()
      }
      if (!holding.has(app)) return app === 'playback' ? 'FILE PLAYED' : '_none_'
      return new Promise((resolve, reject) => {
        waiting.push({ app, go: resolve })
        gone.signal.addEventListener('abort', () => reject(gone.signal.reason as Error), { once: true })
      })
    },
    async startRecording(wanted: Effective, pvt_voice: VoiceFacts, { transcription }) {
      did.push('record')
      settings.push(wanted)
      if (transcription !== undefined) transcriptions.push(transcription)
      if (refuse !== undefined) return { id: '', state: 'failed', joined: false, reason: refuse }
      counter += 1
      const id = `202605-${String(counter).padStart(32, '0')}`
      docs.set(id, { _id: id, state: 'recording', start: 63_946_108_800, duration_ms: 0, channels: 2, pvt_voice, transcription } as unknown as Recording)
      return { id, state: 'recording', joined: false }
    },
    async dial(to: Endpoint, { from, timeout, limit, talking }) {
      did.push(`dial ${JSON.stringify({ ...to, from, timeout, limit })}`)
      if (dialled === 'talks') talking('the-other-leg')
      if (dialled === 'talks' || dialled === 'rings')
        return new Promise((_resolve, reject) => gone.signal.addEventListener('abort', () => reject(gone.signal.reason as Error), { once: true }))
      const outcome = dialled ?? { answered: true, cause: '' }
      if (outcome.answered) {
        talking('the-other-leg')
        clock.advance(7000)
      }
      return outcome
    },
    breakOff: () => Promise.resolve(),
  }

  /** What is kept of calls that run. */
  const open = new Map<string, Doc>()
  const store = {
    async get(db: string, id: string) {
      const doc = docs.get(id) ?? open.get(id)
      return db === IN_FLIGHT && (doc === undefined || !isInFlight(doc as Recording)) ? undefined : doc
    },
    put: async (_db: string, doc: Doc) => void open.set(doc._id, doc),
    purge: async (_db: string, id: string) => void open.delete(id),
  } as unknown as Store
  const fake = fakeSwitch()
  fake.legs.set(LEG, aLeg(LEG))
  let randoms = 0
  const voice = startVoice({
    store,
    switches: { ...fake.switches, nodes: [] },
    recorder,
    events,
    http,
    spool,
    encoder: { formats: encodes },
    decoder: { formats: decodes },
    transcriber: Promise.resolve(transcribes),
    clock,
    wall: clock,
    log,
    publicUrl: 'https://pbx.example.com',
    toldBefore: () => Promise.resolve(),
    random(bytes) {
      randoms += 1
      return randoms.toString(16).padStart(2 * bytes, '0')
    },
  })

  return {
    call,
    clock,
    did,
    docs,
    dir,
    events,
    http,
    lines,
    messages,
    open,
    settings,
    transcriptions,
    variables,
    voice,
    waiting,
    recorder,
    /** Applications of that name do not end by themselves. */
    hold: (app: string) => holding.add(app),
    /** What ends the next blocking recording; undefined: nothing. */
    ends: (how: Message | undefined): void => {
      message = how
    },
    hangup: () => {
      fake.hangup(LEG)
      gone.abort(new AppError('leg_gone', 'he hung up'))
    },
    /** The engine does; the call stays with its switch. */
    stops: () => gone.abort(new AppError('switch_down', 'the engine stops')),
    run: (application: Application, from?: Place) => voice.run(call, application, 'flow', from),
    /** Runs it to its end and until all is told. */
    play: async (ncco: unknown, more: Omit<Application, 'ncco'> = {}) => {
      const outcome = await voice.run(call, { ncco, ...more }, 'flow')
      await voice.close()
      return outcome
    },
    until: (what: string) => until(what, () => did.includes(what)),
    /** What servers were told, the newest last. */
    told: (url: string) => http.asked.filter(one => one.url === url).map(({ fields }) => fields),
  }
}

/** As the queue would have it: until it is stored, or never will be. */
const isInFlight = ({ state, delivery }: Recording): boolean => state !== 'discarded' && state !== 'failed' && delivery?.state !== 'stored'
