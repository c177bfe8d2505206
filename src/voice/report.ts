// What an application is told while its call runs: one event after the other, in the order they happened, and none
// of them holds the call up unless the call waits for it. One that does not get through is told in the log.

import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Address, ask, type AskPorts } from './ask.ts'
import type { Fields } from './options.ts'

export interface Report {
  /**
   * Resolves when it has been told, or has not got through. `to` instead of the call's event_url; `when` is asked at its turn
   * whether it is to be told.
   */
  tell(fields: Fields, to?: Address, when?: () => Promise<boolean>): Promise<void>
  /** Resolves when nothing is left to tell. */
  idle(): Promise<void>
}

export interface ReportPorts extends AskPorts {
  log: Log
  /** Unix milliseconds. */
  now: () => number
}

/** `about` stands in every event. */
export function reporter(ports: ReportPorts, eventUrl: Address | undefined, about: Fields): Report {
  let last: Promise<void> = Promise.resolve()

  async function one(fields: Fields, to: Address): Promise<void> {
    try {
      await ask(ports, to, { ...about, ...fields })
    } catch (error) {
      ports.log.warn('voice_event_untold', {
        host: URL.canParse(to.url) ? new URL(to.url).host : to.url,
        status: fields['status'],
        recording_uuid: fields['recording_uuid'],
        why: reasonOf(error),
      })
    }
  }

  return {
    tell(fields, to = eventUrl, when = () => Promise.resolve(true)) {
      const timestamp = new Date(ports.now()).toISOString()
      if (to !== undefined) last = last.then(async () => ((await when()) ? one({ timestamp, ...fields }, to) : undefined))
      return last
    },
    idle: () => last,
  }
}
