// What the parts of the embedded switch share: the legs there are, what they can run, the clock, the event bus, mod_hash's
// table and the global variables. An event that no client asked for is counted (Event-Sequence) but never built.

import { randomUUID } from 'node:crypto'

import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Cause } from './causes.ts'
import { createEvent, type Header, type SwitchEvent } from './event.ts'
import type { Leg, Room } from './leg.ts'
import { legHeaders } from './leg-headers.ts'
import { createTimeline, type Timeline } from './timeline.ts'

export const VERSION = '1.11.2-release'

export interface Subscriber {
  wants(name: string): boolean
  deliver(event: SwitchEvent): void
}

/** A run of one application. It ends with `done`; until then `onStop` may break it off. */
export interface Run {
  readonly exchange: Exchange
  readonly leg: Leg
  /** Variables expanded. */
  readonly arg: string
  /** Second calls do nothing. `response` is the Application-Response. */
  done(response?: string): void
  onStop?: ((why: 'break' | 'hangup' | 'moved') => void) | undefined
  onDigit?: (digit: string) => void
}

export interface Application {
  start(run: Run): void
  /** A leg that is not answered yet is pre-answered for it. */
  needsMedia?: boolean
  /** Hears of every digit, not of terminators alone. */
  everyDigit?: boolean
  /** Any digit ends it, and is left for what comes after it (switch_ivr.c, switch_ivr_sleep). */
  endsByDigit?: boolean
  /** Takes messages while it runs (park). */
  waits?: boolean
  /** Nobody is told that it ended. */
  untold?: boolean
}

export type Applications = Readonly<Record<string, Application>>

/** Legs that call SIP addresses. */
export interface SipLegs {
  /** Answered: the leg; refused: why. */
  dial(dialString: string, timeout: number): Promise<Leg | Cause>
  /** Makes an answered leg say what the target's party says, hears, or both. False when either is no such leg. */
  eavesdrop(leg: Leg, target: string): boolean
  packetsSent(leg: Leg): number
  /** Who listened to it has nothing left to do. */
  targetGone(target: Leg): void
  close(): Promise<void>
}

export interface Exchange {
  readonly clock: Clock
  readonly timeline: Timeline
  readonly log: Log
  /** Where a relative recording path ends up. */
  readonly recordingDir: string
  readonly startedAt: number
  readonly legs: Map<string, Leg>
  readonly globals: Map<string, string>
  readonly hash: Map<string, string>
  /** By name (mod_conference). */
  readonly rooms: Map<string, Room>
  readonly applications: Applications
  /** An api command line → what it prints; `undefined` when there is no such command. */
  readonly api: (line: string, leg?: Leg) => string | undefined | Promise<string | undefined>
  /** Legs that call SIP addresses. */
  readonly sip: SipLegs
  /** Legs there have been. */
  sessions: number
  fire(name: string, headers: () => Header[], body?: string): void
  fireLeg(name: string, leg: Leg, last?: readonly Header[], first?: readonly Header[]): void
  /** The answer unsubscribes. */
  subscribe(subscriber: Subscriber): () => void
  /** Microseconds of the wall, as events carry them: when it was due, however late the machine gets round to it. */
  micros(): number
  /** `sched_hangup` and its like; `unschedule` says how many there were. */
  schedule(uuid: string, time: number, run: () => void): void
  unschedule(uuid: string): number
  /** A shell command that FreeSWITCH would have run here. It is counted and never run. */
  systemCall(command: string): void
}

export interface ExchangeOptions {
  clock: Clock
  /** Of its call time. */
  speed: number
  log: Log
  recordingDir: string
  applications: Applications
  api: (exchange: Exchange, line: string, leg?: Leg) => string | undefined | Promise<string | undefined>
  sip: (exchange: Exchange) => SipLegs
}

export function createExchange(options: ExchangeOptions): Exchange {
  const { clock, log, recordingDir, applications } = options
  const timeline = createTimeline(clock)
  const subscribers = new Set<Subscriber>()
  const scheduled = new Map<string, Set<() => void>>()
  const coreUuid = randomUUID()
  let sequence = 0
  let systemCalls = 0

  const base = (name: string): Header[] => {
    const now = new Date(clock.now())
    return [
      ['Event-Name', name],
      ['Core-UUID', coreUuid],
      ['FreeSWITCH-Hostname', 'simulator'],
      ['FreeSWITCH-Switchname', 'simulator'],
      ['FreeSWITCH-IPv4', '127.0.0.1'],
      ['FreeSWITCH-IPv6', '::1'],
      ['Event-Date-Local', now.toISOString().slice(0, 19).replace('T', ' ')],
      ['Event-Date-GMT', now.toUTCString()],
      ['Event-Date-Timestamp', String(exchange.micros())],
      ['Event-Calling-File', 'simulator'],
      ['Event-Calling-Function', name.toLowerCase()],
      ['Event-Calling-Line-Number', '1'],
      ['Event-Sequence', String(sequence)],
    ]
  }

  const exchange: Exchange = {
    clock,
    timeline,
    log,
    recordingDir,
    applications,
    startedAt: clock.now(),
    legs: new Map(),
    globals: new Map([
      ['callrec_simulator', 'true'],
      ['simulator_system_calls', '0'],
    ]),
    hash: new Map(),
    rooms: new Map(),
    sessions: 0,
    get sip() {
      return sip
    },
    api: (line, leg) => options.api(exchange, line, leg),
    fire(name, headers, body) {
      sequence++
      let event: SwitchEvent | undefined
      for (const subscriber of subscribers) {
        if (!subscriber.wants(name)) continue
        event ??= createEvent(name, [...base(name), ...headers()], body)
        subscriber.deliver(event)
      }
    },
    fireLeg(name, leg, last = [], first = []) {
      exchange.fire(name, () => legHeaders(leg, first, last))
    },
    subscribe(subscriber) {
      subscribers.add(subscriber)
      return () => subscribers.delete(subscriber)
    },
    micros: () => Math.round((clock.now() - (clock.elapsed() - timeline.now()) / options.speed) * 1000),
    schedule(uuid, time, run) {
      const tasks = scheduled.get(uuid) ?? new Set()
      scheduled.set(uuid, tasks)
      const cancel = timeline.at(time, () => {
        tasks.delete(cancel)
        run()
      })
      tasks.add(cancel)
    },
    unschedule(uuid) {
      const tasks = scheduled.get(uuid) ?? new Set()
      for (const cancel of tasks) cancel()
      scheduled.delete(uuid)
      return tasks.size
    },
    systemCall(command) {
      exchange.globals.set('simulator_system_calls', String(++systemCalls))
      log.warn('simulator_system_call', { command, hint: 'FreeSWITCH would have run this in a shell; outside text reached an execute argument' })
    },
  }
  const sip = options.sip(exchange)
  return exchange
}

/** The base of an event without its occasion, for `uuid_dump`. */
export function dumpHeaders(exchange: Exchange, leg: Leg): Header[] {
  return [['Event-Name', 'CHANNEL_DATA'], ['Event-Date-Timestamp', String(exchange.micros())], ...legHeaders(leg)]
}
