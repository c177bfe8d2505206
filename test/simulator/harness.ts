// A simulator on a free port, a clock that stands still until the test moves it, and a client that shows the wire as it is.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

import type { Clock } from '../../src/clock.ts'
import { type Log, silent } from '../../src/log.ts'
import { startSimulator, type SimulatorOptions } from '../../src/simulator/simulator.ts'
import { PATIENCE } from '../helpers/wait.ts'

/** Anything awaited here that takes longer has failed. */

export interface ManualClock extends Clock {
  /** Moves call time on; what is due on the way runs at its time. */
  advance: (ms: number) => void
}

export function manualClock(start = 60_000): ManualClock {
  const timers = new Set<{ at: number; run: () => void }>()
  let time = start
  return {
    now: () => Date.UTC(2026, 10, 21) + time,
    elapsed: () => time,
    after(ms, run) {
      const timer = { at: time + Math.max(0, ms), run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance(ms) {
      const end = time + ms
      for (;;) {
        const [next] = [...timers].filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)
        if (!next) break
        timers.delete(next)
        time = Math.max(time, next.at)
        next.run()
      }
      time = end
    },
  }
}

export interface Frame {
  headers: Map<string, string>
  /** The header block as it came. */
  head: string
  body: string
}

export type EventHeaders = Record<string, string>

export interface Client {
  socket: Socket
  /** All bytes so far. */
  received: () => string
  send: (text: string | Buffer) => void
  /** The oldest reply nobody took yet. */
  reply: () => Promise<Frame>
  command: (text: string) => Promise<Frame>
  api: (line: string) => Promise<string>
  /** Waits until everything the switch sent so far is here. */
  barrier: () => Promise<void>
  events: EventHeaders[]
  frames: Frame[]
  until: (wanted: (event: EventHeaders) => boolean) => Promise<EventHeaders>
  closed: Promise<void>
}

export interface Harness {
  port: number
  dir: string
  clock: ManualClock
  idle: Promise<void>
  /** Authenticated, listening to `events` where given. */
  client: (events?: string) => Promise<Client>
  /** Not authenticated; the greeting is still to be read. */
  raw: () => Promise<Client>
  /** Closes the switch; at the end of the test it is closed anyway. */
  close: () => Promise<void>
  warnings: { event: string; facts: Readonly<Record<string, unknown>> }[]
}

export async function simulate(t: ExecutionContext, options: Partial<SimulatorOptions> & { start?: number } = {}): Promise<Harness> {
  const dir = mkdtempSync(join(tmpdir(), 'callrec-simulator-'))
  const clock = manualClock(options.start)
  const warnings: Harness['warnings'] = []
  const log: Log = { ...silent, warn: (event, facts = {}) => warnings.push({ event, facts }) }
  const simulator = await startSimulator({ host: '127.0.0.1', port: 0, password: 'ClueCon', recordingDir: dir, speed: 1, clock, log, ...options })
  t.teardown(async () => {
    await simulator.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const raw = (): Promise<Client> => connectTo(t, simulator.port)
  return {
    port: simulator.port,
    dir,
    clock,
    idle: simulator.idle,
    close: () => simulator.close(),
    warnings,
    raw,
    async client(events) {
      const client = await raw()
      await client.reply()
      t.is((await client.command('auth ClueCon')).headers.get('Reply-Text'), '+OK accepted')
      if (events !== undefined) t.true((await client.command(`event json ${events}`)).headers.get('Reply-Text')?.startsWith('+OK'))
      return client
    },
  }
}

async function connectTo(t: ExecutionContext, port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const replies: Frame[] = []
  const events: EventHeaders[] = []
  const frames: Frame[] = []
  const waiting = new Set<() => void>()
  const chunks: Buffer[] = []
  let rest = Buffer.alloc(0)

  socket.on('error', () => {})
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => resolve())
  })
  socket.on('data', chunk => {
    chunks.push(chunk)
    rest = Buffer.concat([rest, chunk])
    let taken = 0
    for (let frame = takeFrame(rest, taken); frame; frame = takeFrame(rest, taken)) {
      taken = frame.end
      const type = frame.headers.get('Content-Type') ?? ''
      frames.push(frame)
      if (type.startsWith('text/event-')) events.push(eventOf(frame, type))
      else replies.push(frame)
    }
    rest = rest.subarray(taken)
    for (const wake of waiting) wake()
  })

  async function wait<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(wake)
        reject(
          new Error(
            `no ${what}; the last events: ${events
              .slice(-20)
              .map(event => event['Event-Name'])
              .join(' ')}`,
          ),
        )
      }, PATIENCE)
      const wake = (): void => {
        const found = look()
        if (found === undefined) return
        clearTimeout(timer)
        waiting.delete(wake)
        resolve(found)
      }
      waiting.add(wake)
      wake()
    })
  }

  const client: Client = {
    socket,
    events,
    frames,
    closed,
    received: () => Buffer.concat(chunks).toString(),
    send: text => {
      socket.write(text)
    },
    reply: () => wait('reply', () => replies.shift()),
    command(text) {
      client.send(`${text}\n\n`)
      return client.reply()
    },
    api: async line => (await client.command(`api ${line}`)).body,
    barrier: async () => {
      t.is(await client.api('echo barrier'), 'barrier')
    },
    until: wanted => wait('event', () => events.find(wanted)),
  }
  return client
}

function takeFrame(bytes: Buffer, from: number): (Frame & { end: number }) | undefined {
  const blank = bytes.indexOf('\n\n', from)
  if (blank < 0) return undefined
  const head = bytes.toString('utf8', from, blank + 2)
  const headers = new Map<string, string>()
  for (const line of head.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) headers.set(line.slice(0, colon), line.slice(colon + 2))
  }
  const end = blank + 2 + Number(headers.get('Content-Length') ?? 0)
  return bytes.length < end ? undefined : { head, headers, body: bytes.toString('utf8', blank + 2, end), end }
}

function eventOf({ body }: Frame, type: string): EventHeaders {
  if (type === 'text/event-json') return JSON.parse(body) as EventHeaders
  const event: EventHeaders = {}
  const [head = '', ...rest] = body.split('\n\n')
  for (const line of head.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) event[line.slice(0, colon)] = decodeURIComponent(line.slice(colon + 2))
  }
  if (rest.length > 0) event['_body'] = rest.join('\n\n')
  return event
}

export interface Step {
  at: number
  /** What the client sent, or what FreeSWITCH sent back. */
  sent?: string
  received?: Frame[]
  note?: string
}

/** A transcript of test/fixtures/esl, taken apart. */
export function transcript(name: string): Step[] {
  const steps: Step[] = []
  const parts = readFileSync(join('test/fixtures/esl', name), 'utf8').split(/^##(>>>|<<<| NOTE) (?:t=)?([\d.]*) ?(.*)\n/m)
  for (let i = 1; i + 3 < parts.length; i += 4) {
    const [kind, time, rest = '', text = ''] = parts.slice(i, i + 4)
    const at = Number(time)
    if (kind === '>>>') steps.push({ at, sent: text })
    else if (kind === '<<<') {
      const bytes = Buffer.from(text)
      const received: Frame[] = []
      for (let frame = takeFrame(bytes, 0); frame; frame = takeFrame(bytes, frame.end)) received.push(frame)
      steps.push({ at, received })
    } else steps.push({ at, note: rest })
  }
  return steps
}

export const eventsOf = (frames: readonly Frame[]): EventHeaders[] =>
  frames.flatMap(frame => {
    const type = frame.headers.get('Content-Type') ?? ''
    return type.startsWith('text/event-') ? [eventOf(frame, type)] : []
  })
