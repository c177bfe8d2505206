// The switches this engine drives, as a port of their own: a switch that another engine has looks like
// one that is not there. What happens on it is not told, and no command reaches it.

import { type Clock, within } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { BEAT, Lease, LOOK, TAKEOVER } from './lease.ts'
import type { NodeStatus, SwitchEvent, Switches, SwitchNode } from './switch.ts'

export interface OwnedSwitches extends Switches {
  /** Names of those whose files are ours to deliver: also of one that is down and was last ours, or that nobody could ask since we began. */
  inCharge(): readonly string[]
  /** Gives every switch back, so that another engine takes it at once. The connections stay. */
  close(): Promise<void>
}

export interface OwnedOptions {
  switches: Switches
  /** Whether what a switch records is seen here. One it is not seen of is left to other engines, as is one of which this rejects. */
  sees: (node: SwitchNode) => Promise<boolean>
  /** As in LeasePorts. */
  engine: string
  epoch: string
  api?: string | undefined
  /** The wall's. */
  clock: Clock
  log: Log
}

/** Milliseconds. */
export const HAND_OVER = 2_000
/** … that the disk and the switch have to show that they are one. */
const SIGHT = 3_000
/** … for which one who waits believes it: who is to take over some day is to know before that he cannot. */
const SEEN_FOR = 60_000

const UNKNOWN = 'not yet ours'
const BLIND = 'what it records is not seen here: RECORDING_DIR and SWITCH_RECORDING_DIR must be one directory'

/** What may be asked of a switch that another engine drives. What phones registered with is every engine's to forget. */
type Question =
  | 'name'
  | 'table'
  | 'status'
  | 'clock'
  | 'expandsCommands'
  | 'hasFile'
  | 'exists'
  | 'leg'
  | 'legs'
  | 'recordings'
  | 'packetsSent'
  | 'forgetPhones'

/** What moves something on the switch: all of the rest, or the types complain. */
const MOVES: Readonly<Record<Exclude<keyof SwitchNode, Question>, true>> = {
  execute: true,
  recordMessage: true,
  interrupt: true,
  setVariables: true,
  record: true,
  stopRecording: true,
  mask: true,
  unmask: true,
  pause: true,
  resume: true,
  beep: true,
  stopBeep: true,
  originate: true,
  transfer: true,
  tap: true,
  hangup: true,
  cancelScheduledHangup: true,
}
type Command = keyof typeof MOVES
export const COMMANDS = Object.keys(MOVES) as readonly Command[]

export function ownSwitches({ switches, sees, engine, epoch, api, clock, log }: OwnedOptions): OwnedSwitches {
  const began = clock.elapsed()
  const listeners = new Set<(event: SwitchEvent) => void>()
  const emit = (event: SwitchEvent): void => {
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        log.error('switch_listener_failed', { event: event.name, node: 'leg' in event ? event.leg.node : event.node, reason: reasonOf(error) })
      }
    }
  }
  const all = new Map(
    switches.nodes.map(node => [
      node.name,
      ownedNode({ raw: node, sees: () => sees(node), lease: new Lease({ table: node.table, clock, engine, epoch, api }), clock, log, emit }),
    ]),
  )
  const unsubscribe = switches.on(event => all.get('leg' in event ? event.leg.node : event.node)?.heard(event))
  for (const one of all.values()) one.start()

  return {
    nodes: [...all.values()].map(({ node }) => node),
    node: name => all.get(name)?.node ?? switches.node(name),
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    inCharge: () => [...all.values()].filter(one => one.inCharge(clock.elapsed() - began)).map(({ node }) => node.name),
    async close() {
      unsubscribe()
      listeners.clear()
      await Promise.all([...all.values()].map(one => one.close()))
    },
  }
}

interface OwnedNode {
  node: SwitchNode
  heard(event: SwitchEvent): void
  /** It may have been up before anybody listened. */
  start(): void
  inCharge(sinceMs: number): boolean
  close(): Promise<void>
}

interface OwnedPorts extends Pick<OwnedOptions, 'clock' | 'log'> {
  raw: SwitchNode
  sees: () => Promise<boolean>
  lease: Lease
  emit: (event: SwitchEvent) => void
}

function ownedNode({ raw, sees, lease, clock, log, emit }: OwnedPorts): OwnedNode {
  const { name } = raw
  /** The rooms were told that it is up. */
  let told = false
  /** They may hold calls and recordings of it. */
  let held = false
  let closed = false
  let stop = (): void => {}
  /** Why it is not taken; empty where what it records is seen here. */
  let sight = UNKNOWN
  let seenUntil = Number.NEGATIVE_INFINITY
  /** Came while it was not known whose the switch is; undefined: it is known. */
  let waiting: SwitchEvent[] | undefined

  /** Without mod_hash there is no fence: then one engine is all there may be. */
  const fenced = (): boolean => raw.status().modules['mod_hash'] === true
  const isUp = (): boolean => raw.status().state === 'up'
  const ours = (): boolean => (fenced() ? lease.standing === 'ours' : told || sight === '')

  async function look(): Promise<void> {
    stop()
    const unknown = (error: unknown): void => log.debug('switch_owner_unknown', { node: name, reason: reasonOf(error) })
    // Who has it keeps it: a disk that stands still for a while is no reason to leave calls alone.
    if (!told && clock.elapsed() >= seenUntil) await lookAtSpool().catch(unknown)
    if (fenced()) await (told || sight === '' ? lease.look() : lease.peek()).catch(unknown)
    if (closed || !isUp()) return
    settle()
    stop()
    stop = clock.after(ours() ? BEAT : LOOK, () => void look())
  }

  async function lookAtSpool(): Promise<void> {
    const before = sight
    sight = UNKNOWN
    sight = (await within(clock, SIGHT, sees())) ? '' : BLIND
    if (sight === '') seenUntil = clock.elapsed() + SEEN_FOR
    else if (before !== BLIND)
      log.error('switch_spool_not_seen', { node: name, todo: `make RECORDING_DIR and SWITCH_RECORDING_DIR one directory, seen from here and from ${name}` })
  }

  function settle(): void {
    const late = waiting ?? []
    waiting = undefined
    if (ours()) {
      if (told) return late.forEach(emit)
      told = true
      held = true
      if (fenced()) log.info('switch_owned', { node: name })
      else log.warn('switch_not_fenced', { node: name, todo: 'load mod_hash there before a second engine uses this switch' })
      // Whatever came before this is asked for by those who hear it.
      return emit({ name: 'node_up', node: name })
    }
    if (lease.standing === 'unknown') {
      waiting = told ? late : undefined
      return
    }
    if (held) {
      log.warn('switch_lost_to_another', { node: name, owner: lease.owner })
      emit({ name: 'node_lost', node: name, owner: lease.owner })
    }
    told = false
    held = false
  }

  function heard(event: SwitchEvent): void {
    if (event.name === 'node_up') return void look()
    if (event.name === 'node_down') {
      stop()
      waiting = undefined
      if (told) emit(event)
      told = false
      return
    }
    if (!told) return
    if (waiting === undefined && (!fenced() || lease.trusted)) return emit(event)
    // After a gap in our own clock the switch may be another's.
    if (waiting === undefined) void look()
    waiting ??= []
    waiting.push(event)
  }

  const isSure = (): boolean => (told || sight === '') && (!fenced() || lease.trusted)

  async function assertOurs(): Promise<void> {
    if (!told && sight !== '') throw new AppError('switch_down', `${name} is not ours: ${sight}`, { node: name })
    if (!fenced()) return
    try {
      await lease.assertOurs()
    } finally {
      if (lease.standing === 'theirs') settle()
    }
  }

  function status(): NodeStatus {
    const is = raw.status()
    const other = lease.askAt === undefined ? {} : { askAt: lease.askAt }
    if (is.state !== 'up' || told) return { ...is, ...other }
    const reason = sight === BLIND ? BLIND : lease.owner === '' ? UNKNOWN : `driven by ${lease.owner}`
    return { ...is, state: 'standby', reason, ...other }
  }

  const gated = Object.fromEntries(
    COMMANDS.map(command => {
      const send = raw[command] as (...args: readonly unknown[]) => Promise<unknown>
      return [
        command,
        // Where nothing is to be asked first, commands leave in the order in which they were given.
        async (...args: readonly unknown[]) => {
          if (!isSure()) await assertOurs()
          return send(...args)
        },
      ]
    }),
  ) as Pick<SwitchNode, Command>

  return {
    node: { ...raw, ...gated, status },
    heard,
    start: () => void (isUp() && look()),
    inCharge: sinceMs => (raw.status().state === 'up' ? told : lease.standing === 'ours' || held || (lease.standing === 'unknown' && sinceMs > TAKEOVER)),
    async close() {
      closed = true
      stop()
      if (!isUp() || !fenced() || lease.standing !== 'ours') return
      await within(clock, HAND_OVER, lease.release()).then(
        () => log.info('switch_handed_over', { node: name }),
        (error: unknown) => log.warn('switch_not_handed_over', { node: name, reason: reasonOf(error) }),
      )
    },
  }
}
