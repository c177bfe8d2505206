// What rooms tell of recordings as it happens, and the port they tell it through. Nobody who tells knows who
// listens: webhooks and the stream of events are wired to it where the rooms are opened.

import { reasonOf } from './errors.ts'
import type { Log } from './log.ts'

export const RECORDING_EVENTS = [
  'recording.started',
  'recording.paused',
  'recording.resumed',
  'recording.masked',
  'recording.unmasked',
  'recording.stopped',
  'recording.stored',
  'recording.failed',
  'recording.discarded',
  /** Asked for, and never begun. */
  'recording.missing',
  /** The audio of a masked stretch is not silent. */
  'recording.unverified',
] as const
export type RecordingEventName = (typeof RECORDING_EVENTS)[number]

export interface RecordingEvent {
  event: RecordingEventName
  accountId: string
  recordingId: string
  /** Unix milliseconds. */
  at: number
  /** Of the recording document what a tenant may read. */
  recording: Readonly<Record<string, unknown>>
}

/** Never rejects; resolves when every listener has written down what it must not forget. Nobody has to wait for it. */
export type Tell = (event: RecordingEvent) => Promise<void>

export interface Events {
  tell: Tell
  /** The answer unsubscribes. */
  on(listener: (event: RecordingEvent) => Promise<void> | void): () => void
}

export function createEvents(log: Log): Events {
  const listeners = new Set<(event: RecordingEvent) => Promise<void> | void>()
  return {
    async tell(event) {
      const failed = (error: unknown): void =>
        log.error('event_listener_failed', { told: event.event, account_id: event.accountId, recording_id: event.recordingId, reason: reasonOf(error) })
      // Each is called before anything is awaited, so that all hear events in the order they were told in.
      await Promise.all(
        [...listeners].map(async listener => {
          try {
            await listener(event)
          } catch (error) {
            failed(error)
          }
        }),
      )
    },
    on(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** For whoever has nobody to tell. */
export const untold: Tell = () => Promise.resolve()
