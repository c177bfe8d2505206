// `record`: which recording an action asks for, how long it holds the call up, and what the application is told when
// the file is there. Both directions are recorded; what ends a blocking one is listened for on what the caller says,
// by a `record` application beside it that keeps nothing.

import { within } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { RecordingEvent, RecordingEventName } from '../events.ts'
import { IN_FLIGHT, type InFlight, type Recording, type VoiceFacts } from '../recording/document.ts'
import { isEnd } from '../recording/lifecycle.ts'
import type { Effective, Format } from '../recording/settings.ts'
import { IN_STORE } from '../recording/storage.ts'
import { recordingDb } from '../store/modb.ts'
import type { Address, Signer } from './ask.ts'
import { aborted, conversationOf, type VoiceCall, type VoicePorts } from './call.ts'
import type { Lives } from './lives.ts'
import { isBlocking, type RecordAction, type TranscriptionOptions } from './ncco.ts'
import { failure, owedOf } from './recorded.ts'
import type { Report } from './report.ts'
import { nowhere } from './sound.ts'

/** Seconds; Vonage ends a recording after two hours. */
const LONGEST = 7200
/** Vonage keeps files so many days. */
const KEPT_DAYS = 30
/** Mean of the samples, of 32767, below which FreeSWITCH's own recording counts silence. */
const SILENCE = 200
/** Milliseconds of the wall until a blocking recording is no longer waited for: its file is still on its way. */
const PATIENCE = 60_000
/** After these there is a file to fetch, or never will be. */
const ENDS: ReadonlySet<string> = new Set<RecordingEventName>(['recording.stored', 'recording.failed', 'recording.discarded', 'recording.missing'])
const BEEP = 'tone_stream://%(500,0,1000)'

/** What nobody has to ask for: mp3 where somebody makes it, WAV where text is to be made of it and nobody could read mp3; undefined: the switch decides. */
export function usualFormat(
  { encoder, decoder }: Pick<VoicePorts, 'encoder' | 'decoder'>,
  { transcription }: Pick<RecordAction, 'transcription'>,
): Format | undefined {
  if (transcription !== undefined && !decoder.formats.includes('mp3')) return 'wav'
  return encoder.formats.includes('mp3') ? 'mp3' : undefined
}

export function settingsOf({ format, channels }: RecordAction, usual: Format | undefined): Effective {
  const from = 'action' as const
  return {
    enabled: { value: true, from },
    ...formatOf(channels > 2 ? 'wav' : (format ?? usual)),
    method: { value: 'put', from },
    record_min_sec: { value: 0, from },
    record_sample_rate: { value: 16_000, from },
    retention_days: { value: KEPT_DAYS, from },
    stereo: { value: channels === 2, from },
    time_limit: { value: LONGEST, from },
    // Under the URL the application is told.
    url: { value: IN_STORE, from },
  }
}

const formatOf = (value: Format | undefined): Pick<Effective, 'format'> => (value === undefined ? {} : { format: { value, from: 'action' } })

/** RFC 9562, version 7: the time is its first 48 bits. `random` is 20 hex digits. */
export function uuidAt(unixMs: number, random: string): string {
  const [a, b, c] = [random.slice(-19, -16), random.slice(-16, -15), random.slice(-15)]
  const hex = `${unixMs.toString(16).padStart(12, '0')}7${a}${'89ab'.charAt(Number.parseInt(b, 16) & 3)}${c}`
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

export interface About {
  applicationId?: string
  sign?: Signer
  /** Told where the action names nobody. */
  eventUrl?: Address
}

export interface Begun {
  id: string
  groupId: string
}

/** Of one that an engine began and another one ends. */
export interface Parts {
  /** It runs already. */
  goesOn?: string
  begun: (id: string) => Promise<void>
}

export interface Recordings {
  /** Starts one; a blocking one has ended, and its application been told, when it resolves. */
  record(call: VoiceCall, action: RecordAction, report: Report, about: About, signal: AbortSignal, parts: Parts): Promise<void>
  /** Starts one, in the group of another where it goes on from that; undefined where it could not begin, which is told. */
  begin(call: VoiceCall, action: RecordAction, report: Report, about: About, groupId?: string): Promise<Begun | undefined>
  /** What an engine began that is gone, while it runs. */
  running(call: VoiceCall, id: string): Promise<Begun | undefined>
  stop(id: string): Promise<void>
  /** A leg talks with another one now. */
  meets(leg: string, other: string): void
}

export function startRecordings(ports: VoicePorts, lives: Pick<Lives, 'owe' | 'told'>): Recordings {
  const { store, recorder, events, wall, log, spool } = ports
  const awaited = new Map<string, () => void>()
  /** Recordings of a leg in which every party has a channel. */
  const apart = new Map<string, Set<string>>()

  /** The queue forgets a file when this resolves. */
  function heard({ event, accountId, recordingId }: RecordingEvent): Promise<void> | void {
    if (ENDS.has(event)) return tell(accountId, recordingId)
  }

  /** Resolves when it is written down: a slow application must not hold up the files of others. */
  async function tell(accountId: string, id: string): Promise<void> {
    try {
      const owed = owedOf(await recordingOf(accountId, id), ports.publicUrl, wall.now()).map(doc => lives.owe(doc))
      void Promise.all(owed.map(({ told }) => told)).then(() => awaited.get(id)?.())
      await Promise.all(owed.map(({ written }) => written))
    } catch (error) {
      log.error('voice_recording_untold', { account_id: accountId, recording_id: id, why: reasonOf(error) })
    }
  }

  const recordingOf = (accountId: string, id: string): Promise<Recording | undefined> => store.get<Recording>(recordingDb(accountId, id), id)

  // To the end: what is stored while the engine stops is written down for the next one.
  events.on(heard)

  async function begin(
    call: VoiceCall,
    action: RecordAction,
    report: Report,
    { applicationId, eventUrl, sign }: About,
    groupId?: string,
  ): Promise<Begun | undefined> {
    const to = action.eventUrl === undefined ? eventUrl : { url: action.eventUrl, method: action.eventMethod, ...(sign === undefined ? {} : { sign }) }
    const wanted = action.transcription
    if (action.beepStart) await call.execute('playback', BEEP)
    const voice: VoiceFacts = {
      recording_uuid: uuidAt(wall.now(), ports.random(10)),
      file_uuid: uuidAt(wall.now(), ports.random(10)),
      conversation_uuid: conversationOf(call.uuid),
      ...(applicationId === undefined ? {} : { application_id: applicationId }),
      ...(to === undefined ? {} : { event_url: to.url }),
      event_method: to?.method ?? action.eventMethod,
      split: action.split !== undefined,
      ...(wanted === undefined ? {} : { transcript: toldOfTranscript(wanted, to) }),
    }
    const { id, state, reason } = await call.startRecording(settingsOf(action, usualFormat(ports, action)), voice, {
      ...(groupId === undefined ? {} : { groupId }),
      ...(action.channels > 2 ? { channels: action.channels } : {}),
      ...(wanted === undefined ? {} : { transcription: { language: wanted.language, sentiment: wanted.sentimentAnalysis } }),
    })
    if (state !== 'failed') {
      if (action.channels > 2) keepApart(call, id)
      return { id, groupId: groupId ?? id }
    }
    // One that has a document is told of as any other that came to nothing.
    const known = await store.get(recordingDb(call.accountId, id), id).catch(() => undefined)
    if (known === undefined) void report.tell({ ...failure(voice), reason: reason ?? 'it could not be started' }, to)
    return undefined
  }

  const toldOfTranscript = ({ eventUrl, eventMethod }: TranscriptionOptions, recording: Address | undefined): VoiceFacts['transcript'] & object => {
    const to = eventUrl === undefined ? recording : { url: eventUrl, method: eventMethod }
    return { file_uuid: uuidAt(wall.now(), ports.random(10)), ...(to === undefined ? {} : { event_url: to.url }), event_method: to?.method ?? eventMethod }
  }

  /** Until the call is over. */
  function keepApart({ uuid, signal }: VoiceCall, id: string): void {
    const ids = apart.get(uuid) ?? new Set()
    apart.set(uuid, ids.add(id))
    signal.addEventListener('abort', () => apart.delete(uuid), { once: true })
  }

  async function record(call: VoiceCall, action: RecordAction, report: Report, about: About, signal: AbortSignal, { goesOn, begun }: Parts): Promise<void> {
    const id = goesOn ?? (await begin(call, action, report, about))?.id
    if (id === undefined || !isBlocking(action)) return
    await begun(id)
    // One that ended otherwise is nothing to hold the call up for.
    const told = new AbortController()
    awaited.set(id, () => told.abort())
    try {
      try {
        if (goesOn === undefined || (await runs(id))) await listen(call, action, AbortSignal.any([signal, told.signal]))
        call.signal.throwIfAborted()
      } catch (error) {
        // It ends with its leg, or goes on under the next engine.
        if (!isCode(error, 'leg_gone') && !isCode(error, 'switch_down')) await recorder.stop(id)
        throw error
      }
      await recorder.stop(id)
      await over(call, id, told.signal)
    } finally {
      awaited.delete(id)
    }
  }

  const inFlight = (id: string): Promise<InFlight | undefined> => store.get<InFlight>(IN_FLIGHT, id)

  async function runs(id: string): Promise<boolean> {
    const state = (await inFlight(id))?.state
    return state !== undefined && state !== 'stopping' && !isEnd(state)
  }

  /** Until the first of its conditions is met; silence counts from the start. */
  async function listen(call: VoiceCall, { endOnSilence, endOnKey, timeOut }: RecordAction, signal: AbortSignal): Promise<void> {
    const path = await nowhere(spool, call.node.name)
    if (signal.aborted) return
    const { ended, key } = await call.node.recordMessage(call.uuid, path, {
      limit: timeOut ?? LONGEST,
      ...(endOnSilence === undefined ? {} : { silence: { threshold: SILENCE, seconds: endOnSilence } }),
      terminators: endOnKey ?? '',
      signal,
    })
    call.log.info('voice_recording_ended', { by: ended, ...(key === undefined ? {} : { key }) })
  }

  /** The application is told before the next action. One that could not be delivered is nothing to wait for. */
  async function over(call: VoiceCall, id: string, told: AbortSignal): Promise<void> {
    const waiting = async (): Promise<void> => {
      await recorder.ended(id)
      const left = await inFlight(id)
      if (left !== undefined && left.delivery?.state !== 'failed') return aborted(told)
      const owed = owedOf(await recordingOf(call.accountId, id), ports.publicUrl, wall.now())
      await Promise.all(owed.map(doc => lives.told(doc)))
    }
    await within(wall, PATIENCE, waiting()).catch((error: unknown) => call.log.warn('voice_recording_late', { recording_id: id, why: reasonOf(error) }))
  }

  return {
    record,
    begin,
    async running(call, id) {
      const recording = (await runs(id)) ? await recordingOf(call.accountId, id) : undefined
      return recording === undefined ? undefined : { id, groupId: recording.group_id }
    },
    stop: id => recorder.stop(id),
    meets(leg, other) {
      for (const id of apart.get(leg) ?? [])
        recorder.join(id, other).catch((error: unknown) => log.error('voice_party_unrecorded', { recording_id: id, leg: other, why: reasonOf(error) }))
    },
  }
}
