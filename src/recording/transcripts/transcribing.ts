// Makes the transcripts that are due, a few at a time, and has them told of. What is due are documents, and each knows how far it has
// got; what a crash broke off is begun anew, and what was made and not told is told.

import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { setMaxListeners } from 'node:events'
import { Readable } from 'node:stream'
import type { Clock } from '../../clock.ts'
import { isCode, reasonOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { backoff, nextAttempt } from '../../net/backoff.ts'
import { toGregorian } from '../../store/modb.ts'
import type { Stored } from '../../store/store.ts'
import { createAlarm } from '../alarm.ts'
import { amend } from '../amend.ts'
import { IN_FLIGHT, type Recording, recordingDbOf } from '../document.ts'
import { ProgramFailed } from '../audio/program.ts'
import { limitOf, transcribe, type TranscribePorts, whyNot } from './transcribe.ts'
import { enqueue, type Pending, PENDING, pendingId } from './transcript-queue.ts'
import type { Transcriber } from './transcriber.ts'
import { TRANSCRIPT, TRANSCRIPT_TYPE, type Transcription } from '../transcript.ts'

export interface TranscribingPorts extends Omit<TranscribePorts, 'transcriber'> {
  /** Known once it was asked what it understands. */
  transcriber: Promise<Transcriber>
  /** The wall's. */
  clock: Clock
  log: Log
  metrics: Metrics
  random: () => number
  /** The same after a restart: what it left is its own. */
  engine: string
  /** Whoever asked for a transcript is told that it is there, or why not. Rejects where it is to be tried again. */
  tell: (recording: Stored<Recording>, signal: AbortSignal) => Promise<void>
}

export interface Transcribing {
  /** The file of a recording is stored: its transcript, where one is wanted, is written down as due. Rejects where it could not be. */
  due(recording: Recording): Promise<void>
  /** A recording is no more: what is made of it is broken off, and nothing of it stays on the disk. */
  forget(recordingId: string): Promise<void>
  /** How many are due, or not told, in all engines. */
  queued(): Promise<number>
  /** Resolves when all that is due now was tried. */
  idle(): Promise<void>
  /** Ends the programs that run; what they made is made again. */
  close(): Promise<void>
}

/** Calls come first. */
const AT_A_TIME = 2
/** Of making one: what ends the engine again and again must not do so for ever. */
const MOST_TRIES = 5
const MINUTE = 60_000
const DAY = 86_400_000
/** Documents that are looked at at once. */
const PAGE = 1000

export function startTranscribing(ports: TranscribingPorts): Transcribing {
  const { store, clock, log, metrics, random, engine, folder } = ports
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  const running = new Map<string, { done: Promise<void>; dropped: AbortController }>()
  let waiting: string[] = []
  let asked = false
  let looking: Promise<void> | undefined
  const alarm = createAlarm(clock, wake)
  // Sound of a recording that may be no more.
  const swept = rm(folder, { recursive: true, force: true })

  function wake(): void {
    if (stop.signal.aborted) return
    asked = true
    looking ??= look()
  }

  async function look(): Promise<void> {
    while (asked && !stop.signal.aborted) {
      asked = false
      try {
        await swept
        const now = clock.now()
        const rows = await store.query(IN_FLIGHT, PENDING, { endKey: now, limit: PAGE, includeDocs: true })
        waiting = rows.flatMap(({ doc }) => (doc === undefined || !isOurs(doc as Stored<Pending>, now) ? [] : [(doc as Stored<Pending>).recording_id]))
        const [later] = await store.query(IN_FLIGHT, PENDING, { startKey: now + 1, limit: 1 })
        alarm.set(Math.min(now + MINUTE, typeof later?.key === 'number' ? later.key : Number.POSITIVE_INFINITY))
        start()
      } catch (error) {
        log.warn('transcripts_unreadable', { reason: reasonOf(error) })
        alarm.set(clock.now() + backoff(0, random()))
      }
    }
    looking = undefined
  }

  /** Of one that another engine cannot be making any more. */
  const isOurs = ({ transcript }: Pending, now: number): boolean => transcript.engine === engine || transcript.until <= now

  function start(): void {
    while (!stop.signal.aborted && running.size < AT_A_TIME) {
      // One that runs may be due again when it has ended.
      const id = waiting.find(one => !running.has(one))
      if (id === undefined) return
      waiting = waiting.filter(one => one !== id)
      const dropped = new AbortController()
      const done = work(id, AbortSignal.any([stop.signal, dropped.signal]))
        .catch((error: unknown) => {
          log.warn('transcript_postponed', { recording_id: id, reason: reasonOf(error) })
          alarm.set(clock.now() + backoff(0, random()))
        })
        .finally(() => {
          running.delete(id)
          start()
        })
      running.set(id, { done, dropped })
    }
  }

  /** What is not done here rejects, or is due again. */
  async function work(id: string, signal: AbortSignal): Promise<void> {
    const pending = await store.get<Pending>(IN_FLIGHT, pendingId(id))
    const now = clock.now()
    if (pending === undefined || pending.transcript.next_at > now || !isOurs(pending, now)) return
    const db = recordingDbOf({ _id: id, account_id: pending.account_id })
    const recording = await store.get<Recording>(db, id).catch(unlessGone)
    if (!isWanted(recording)) return store.purge(IN_FLIGHT, pending._id)
    if (recording.transcription.state !== 'due') return tell(pending, recording, signal)
    const able = { ...ports, transcriber: await ports.transcriber }
    const unable = whyNot(able, recording)
    // An engine that can may be away; its own are told of at once.
    if (unable !== undefined && pending.transcript.engine !== engine && now - pending.transcript.until < DAY) return
    const claimed = await claim(pending, now + MINUTE * 30 + recording.channels * limitOf(recording.duration_ms))
    if (claimed === undefined) return
    const made = await (unable === undefined ? make(able, claimed, recording, signal) : failed(recording, unable, ''))
    if (made !== undefined) await tell(claimed, made, signal)
  }

  /** Undefined where another engine has it now. */
  async function claim(pending: Stored<Pending>, until: number): Promise<Stored<Pending> | undefined> {
    const { transcript } = pending
    const claimed = { ...pending, transcript: { ...transcript, engine, until, attempts: transcript.attempts + 1 } }
    try {
      return { ...claimed, _rev: await store.put(IN_FLIGHT, claimed) }
    } catch (error) {
      if (isCode(error, 'datastore_conflict')) return undefined
      throw error
    }
  }

  /** Undefined where it was not made, and nothing is to be told now. */
  async function make(able: TranscribePorts, pending: Stored<Pending>, recording: Wanted, signal: AbortSignal): Promise<Stored<Recording> | undefined> {
    const { attempts } = pending.transcript
    if (attempts > MOST_TRIES) return failed(recording, `it was broken off ${MOST_TRIES} times`, '')
    const began = clock.elapsed()
    try {
      const bytes = await transcribe(able, recording, recording.transcription, signal)
      const made = await keep(recording, bytes)
      metrics.count('callrec_transcripts_total', { outcome: 'transcribed' })
      const { language } = recording.transcription
      log.info('transcript_made', { ...about(recording), language, size_bytes: bytes.length, took_ms: Math.round(clock.elapsed() - began) })
      return made
    } catch (error) {
      if (signal.aborted) return give(pending)
      if (error instanceof ProgramFailed) return failed(recording, error.how, error.complained)
      if (attempts === MOST_TRIES) return failed(recording, 'it could not be made', reasonOf(error))
      const next_at = clock.now() + backoff(attempts, random())
      await store.put(IN_FLIGHT, { ...pending, transcript: { ...pending.transcript, next_at } })
      metrics.count('callrec_transcripts_total', { outcome: 'postponed' })
      log.warn('transcript_postponed', { ...about(recording), reason: reasonOf(error), next_at: new Date(next_at).toISOString() })
      alarm.set(next_at)
      return undefined
    }
  }

  /** It was broken off here, which is nobody's fault: the next one may have it at once. */
  async function give(pending: Stored<Pending>): Promise<undefined> {
    const { transcript } = pending
    await store.put(IN_FLIGHT, { ...pending, transcript: { ...transcript, until: clock.now(), attempts: transcript.attempts - 1 } }).catch((error: unknown) => {
      // It was forgotten.
      if (!isCode(error, 'datastore_conflict')) throw error
    })
    return undefined
  }

  /** The transcript first: what the document tells of is there. Undefined where the recording has gone meanwhile. */
  async function keep(recording: Wanted, bytes: Buffer): Promise<Stored<Recording> | undefined> {
    const { _id: id, pvt_account_id: account_id } = recording
    const db = recordingDbOf({ _id: id, account_id })
    for (let current: Stored<Recording> | undefined = recording; ; current = await store.get<Recording>(db, id)) {
      if (!isWanted(current)) return undefined
      try {
        await store.putAttachment(db, id, current._rev, TRANSCRIPT, { stream: Readable.from([bytes]), length: bytes.length, contentType: TRANSCRIPT_TYPE })
        break
      } catch (error) {
        if (!isCode(error, 'datastore_conflict')) throw error
      }
    }
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return become(recording, { state: 'transcribed', transcribed_at: new Date(clock.now()).toISOString(), size: bytes.length, sha256 })
  }

  function failed(recording: Wanted, reason: string, complained: string): Promise<Stored<Recording> | undefined> {
    metrics.count('callrec_transcripts_total', { outcome: 'failed' })
    log.error('transcript_failed', { ...about(recording), reason, ...(complained === '' ? {} : { complained }) })
    return become(recording, { state: 'failed', reason })
  }

  async function become({ _id: id, pvt_account_id: account_id }: Recording, change: Partial<Transcription>): Promise<Stored<Recording> | undefined> {
    const changed = await amend<Recording>(store, recordingDbOf({ _id: id, account_id }), id, current =>
      isWanted(current) ? { ...current, transcription: { ...current.transcription, ...change }, pvt_modified: toGregorian(clock.now()) } : undefined,
    )
    return isWanted(changed) ? changed : undefined
  }

  async function tell(pending: Stored<Pending>, recording: Stored<Recording>, signal: AbortSignal): Promise<void> {
    try {
      await ports.tell(recording, signal)
    } catch (error) {
      if (signal.aborted) return
      const now = clock.now()
      const told = { attempts: (pending.transcript.told?.attempts ?? 0) + 1, since: pending.transcript.told?.since ?? now }
      const next_at = nextAttempt({ ...told, now, random: random(), askedMs: undefined })
      log.warn('transcript_untold', {
        ...about(recording),
        reason: reasonOf(error),
        ...(next_at === undefined ? {} : { next_at: new Date(next_at).toISOString() }),
      })
      if (next_at !== undefined) {
        await store.put(IN_FLIGHT, { ...pending, transcript: { ...pending.transcript, next_at, told } })
        return alarm.set(next_at)
      }
    }
    await store.purge(IN_FLIGHT, pending._id)
  }

  async function idle(): Promise<void> {
    for (;;) {
      const busy = [looking, ...[...running.values()].map(({ done }) => done)].filter(one => one !== undefined)
      if (busy.length === 0) return
      await Promise.all(busy)
    }
  }

  wake()
  return {
    async due(recording) {
      await enqueue(store, recording, engine, clock.now())
      wake()
    },
    async forget(id) {
      const one = running.get(id)
      one?.dropped.abort()
      await one?.done
      await store.purge(IN_FLIGHT, pendingId(id))
    },
    queued: () => store.reduce(IN_FLIGHT, PENDING),
    idle,
    async close() {
      stop.abort()
      alarm.close()
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }
}

type Wanted = Stored<Recording> & { transcription: Transcription }

/** There, and somebody wants to read what was said. */
const isWanted = (recording: Stored<Recording> | undefined): recording is Wanted =>
  recording !== undefined && recording['pvt_deleted'] !== true && recording.transcription !== undefined

const about = ({ _id, pvt_account_id }: Recording) => ({ account_id: pvt_account_id, recording_id: _id })

function unlessGone(error: unknown): undefined {
  if (isCode(error, 'datastore_missing')) return undefined
  throw error
}
