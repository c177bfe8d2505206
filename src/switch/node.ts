// One switch behind the port: keeps a connection up and turns the port's verbs into commands. Whatever
// waits when the socket goes is rejected; what happened meanwhile must be asked for after `node_up`.

import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { BACKOFF, backoff } from './backoff.ts'
import type { Backoff } from './backoff.ts'
import * as commands from './commands.ts'
import { connect } from './connection.ts'
import type { Connection, Limits, Loss } from './connection.ts'
import { eventOf, header, legOf, parseEvent } from './event.ts'
import type { EventHeaders } from './event.ts'
import { executions } from './executions.ts'
import { messages } from './messages.ts'
import { WROTE_NOTHING, accepted, causeOf, channelsOf, isRefusal, recordingsOf, refusal } from './reply.ts'
import type { ExecuteResult, Leg, NodeStatus, SwitchEvent, SwitchNode, Table } from './switch.ts'

export interface Address {
  /** As in FREESWITCH_ESL. */
  name: string
  host: string
  port: number
  password: string
}

export interface NodeOptions {
  address: Address
  /** Call time: how long an application or a ringing leg may take. */
  clock: Clock
  /** The wall's: sockets, replies, back-off. */
  wall: Clock
  log: Log
  random: () => number
  limits: Limits
  retry?: Backoff
  emit: (event: SwitchEvent) => void
}

/** Asked at each connect: what recordings, rooms, speech and the fence of a switch depend on. */
const FORMATS = ['mp3', 'ogg', 'wav']
const MODULES = ['mod_sndfile', 'mod_shout', 'mod_hash', 'mod_flite', 'mod_conference']
/** A connection that lasted this long was a good one: the back-off starts again. */
const STEADY_MS = 5_000
/** Longest an application may take unless the caller says otherwise: nothing waits for ever. */
const LONGEST_APPLICATION_MS = 24 * 3_600_000
/** What an application gets to end after uuid_break, which is said again meanwhile: one that comes before the application began is lost. */
const BREAK_MS = 5_000
const BREAK_AGAIN_MS = 500
/** uuid_dump commands under way at once during a sweep. */
const SWEEP_WIDTH = 64

export function switchNode({ address, clock, wall, log, random, limits, retry = BACKOFF, emit }: NodeOptions): {
  node: SwitchNode
  close: () => Promise<void>
} {
  const { name } = address
  const running = executions(name)
  const recorded = messages(name, clock, () => node)
  /** Legs that events told of and that have not ended. */
  const seen = new Set<string>()
  const counters = { connects: 0, events: 0, dropped: 0 }
  let connection: Connection | undefined
  let status: Pick<NodeStatus, 'state' | 'reason' | 'version'> = { state: 'connecting' }
  let modules: Record<string, boolean> = {}
  let formats: string[] = []
  let upSince: number | undefined
  let failures = 0
  let closed = false
  let stopRetry = (): void => {}

  function start(): void {
    connection = connect(address, limits, wall, { greet, up, event, dropped, down })
  }

  async function greet(to: Connection): Promise<void> {
    const [said, known, ...loaded] = await Promise.all([
      to.api(commands.version()),
      to.api(commands.showFormats()),
      ...MODULES.map(module => to.api(commands.moduleExists(module))),
    ])
    status = { ...status, version: said?.trim() ?? '' }
    formats = FORMATS.filter(format => known?.includes(`file,${format},`))
    modules = Object.fromEntries(MODULES.map((module, at) => [module, loaded[at]?.trim() === 'true']))
  }

  function up(): void {
    upSince = wall.elapsed()
    counters.connects += 1
    status = { state: 'up', ...(status.version === undefined ? {} : { version: status.version }) }
    log.info('switch_connected', { node: name, address: `${address.host}:${address.port}`, version: status.version, ...modules })
    emit({ name: 'node_up', node: name })
  }

  function down(reason: string, loss: Loss): void {
    const wasUp = upSince !== undefined
    const repeated = status.reason === reason
    if (upSince !== undefined && wall.elapsed() - upSince > STEADY_MS) failures = 0
    upSince = undefined
    connection = undefined
    seen.clear()
    status = { state: loss === 'auth_failed' ? 'auth_failed' : 'down', reason }
    running.lost(unreachable())
    if (!closed) {
      const waitMs = loss === 'auth_failed' ? retry.mostMs : backoff(failures, random(), retry)
      failures += 1
      if (wasUp || !repeated) log.warn('switch_unreachable', { node: name, reason, state: status.state, retry_ms: waitMs })
      stopRetry = wall.after(waitMs, start)
    }
    if (wasUp) emit({ name: 'node_down', node: name, reason })
  }

  function dropped(what: string): void {
    counters.dropped += 1
    log.debug('switch_event_dropped', { node: name, what })
  }

  function event(headers: EventHeaders): void {
    counters.events += 1
    const kind = header(headers, 'Event-Name')
    if (kind === 'HEARTBEAT') return
    if (kind === 'CHANNEL_EXECUTE_COMPLETE') return running.completed(headers)
    const told = eventOf(name, headers, wall.now())
    if (told === undefined || !('leg' in told)) return dropped(`${kind} of no channel`)
    if (told.name === 'CHANNEL_HANGUP_COMPLETE' || told.name === 'CHANNEL_DESTROY') {
      seen.delete(told.leg.uuid)
      running.legGone(told.leg.uuid, header(headers, 'Hangup-Cause'))
    } else {
      seen.add(told.leg.uuid)
    }
    recorded.told(told)
    if (told.name === 'DTMF') void pressed(told)
    else emit(told)
  }

  /**
   * FreeSWITCH tells a key without the variables of its leg, and so without whom that talks with (switch_channel.c,
   * switch_channel_event_set_extended_data). Keys are asked about in their order, and answered in it.
   */
  async function pressed(key: Extract<SwitchEvent, { name: 'DTMF' }>): Promise<void> {
    const now = await leg(key.leg.uuid).catch(() => undefined)
    if (now === undefined) dropped('DTMF of a leg that is gone')
    else emit({ ...key, leg: now })
  }

  const unreachable = (): AppError =>
    new AppError('switch_down', `switch ${name} is not connected: ${status.reason ?? 'connecting'}`, { node: name, state: status.state })

  /** The connection, while commands may be sent on it. */
  function link(): Connection {
    if (connection === undefined || upSince === undefined) throw unreachable()
    return connection
  }

  const ask = async (command: commands.Api): Promise<string> => link().api(command)
  const order = async (what: string, command: commands.Api): Promise<void> => {
    accepted(name, what, await ask(command))
  }
  /**
   * For what waits on the switch (disk, threads): events and other commands go on meanwhile. uuid_record holds an `api` for
   * 10 ms, so that the last of 30 at once began after 300 ms; as jobs it was 38 ms, and one alone begins as early either way.
   */
  const orderJob = async (what: string, command: commands.Api): Promise<void> => {
    accepted(name, what, await link().job(command))
  }
  const record = (uuid: string, action: commands.RecordAction, path: string): Promise<void> =>
    order(`uuid_record ${action}`, commands.record(uuid, action, path))

  async function leg(uuid: string): Promise<Leg | undefined> {
    const dump = await ask(commands.dump(uuid))
    if (isRefusal(dump)) {
      const error = refusal(name, 'uuid_dump', dump)
      if (error.code === 'leg_gone') return undefined
      throw error
    }
    const headers = parseEvent(dump)
    return headers && legOf(name, headers)
  }

  async function legs(): Promise<Leg[]> {
    const listed = accepted(name, 'show channels', await link().job(commands.showChannels()))
    // The list comes from a database that lags behind: legs just made are only in `seen`, legs just gone have no dump.
    const uuids = [...new Set([...channelsOf(listed), ...seen])]
    const found: Leg[] = []
    for (let at = 0; at < uuids.length; at += SWEEP_WIDTH) {
      const some = await Promise.all(uuids.slice(at, at + SWEEP_WIDTH).map(leg))
      found.push(...some.filter(one => one !== undefined))
    }
    return found
  }

  /** Runs `late` when the switch has had so much call time, and then as long as any command may take. */
  const patience = (callMs: number) => (late: () => void) => {
    let stop = clock.after(callMs, () => {
      stop = wall.after(limits.commandMs, late)
    })
    return () => stop()
  }

  async function execute(uuid: string, app: string, arg = '', options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<ExecuteResult> {
    const { timeoutMs = LONGEST_APPLICATION_MS, signal } = options
    const id = randomUUID()
    const message = commands.execute(uuid, id, app, arg)
    signal?.throwIfAborted()
    const to = link()
    const late = (why: string): AppError => new AppError('switch_timeout', `${name}: ${app} on leg ${uuid} ${why}`, { node: name, leg: uuid, app })
    let stop = (): void => {}
    let abort = (): void => {}
    try {
      return await new Promise<ExecuteResult>((resolve, reject) => {
        running.add(id, { uuid, app, resolve, reject })
        stop = clock.after(timeoutMs, () => reject(late(`did not end within ${timeoutMs} ms`)))
        const breakOff = (left: number): void => {
          stop()
          if (left <= 0) return reject(late('did not stop when told to'))
          stop = wall.after(BREAK_AGAIN_MS, () => breakOff(left - BREAK_AGAIN_MS))
          node.interrupt(uuid).catch(reject)
        }
        abort = () => breakOff(BREAK_MS)
        signal?.addEventListener('abort', abort, { once: true })
        to.send(message).then(reply => {
          if (isRefusal(reply)) reject(refusal(name, app, reply, { leg: uuid }))
        }, reject)
      })
    } finally {
      stop()
      signal?.removeEventListener('abort', abort)
      running.remove(id)
    }
  }

  /** True when it was done; a refusal says that the value is not what it would have to be. */
  const hashed = async (verb: commands.HashVerb, key: string, value: string): Promise<boolean> => !isRefusal(await ask(commands.hash(verb, key, value)))
  const table: Table = {
    async read(key) {
      const said = await ask(commands.hash('select', key))
      return said === '' || isRefusal(said) ? undefined : said.trim()
    },
    write: async (key, value) => order('hash insert', commands.hash('insert', key, value)),
    add: (key, value) => hashed('insert_ifempty', key, value),
    remove: (key, value) => hashed('delete_ifmatch', key, value),
  }

  const node: SwitchNode = {
    name,
    status: () => ({
      name,
      ...status,
      address: `${address.host}:${address.port}`,
      modules,
      formats,
      counters: { ...counters, pending: (connection?.pending() ?? 0) + running.size() },
    }),
    async clock() {
      const said = (await ask(commands.microseconds())).trim()
      if (!/^\d{15,17}$/.test(said)) throw refusal(name, 'strmicroepoch', said)
      return Number(said) / 1000
    },
    table,
    expandsCommands: async () => (await ask(commands.expansionProbe())).trim() === 'yes',
    hasFile: async path => (await ask(commands.fileExists(path))).trim() === 'true',
    exists: async uuid => (await ask(commands.exists(uuid))).trim() === 'true',
    legs,
    leg,
    execute,
    recordMessage: recorded.record,
    interrupt: async uuid => order('uuid_break', commands.interrupt(uuid)),
    async setVariables(uuid, variables) {
      const all = commands.setVariables(uuid, variables)
      await Promise.all(all.map(command => order('uuid_setvar', command)))
    },
    record: async (uuid, path, options) => orderJob('uuid_record start', commands.recordStart(uuid, path, options)),
    stopRecording: async (uuid, path) => orderJob('uuid_record stop', commands.record(uuid, 'stop', path)),
    mask: async (uuid, path) => record(uuid, 'mask', path),
    unmask: async (uuid, path) => record(uuid, 'unmask', path),
    pause: async (uuid, path) => record(uuid, 'pause', path),
    resume: async (uuid, path) => record(uuid, 'resume', path),
    beep: async (uuid, every) => order('uuid_displace start', commands.beep(uuid, 'start', every)),
    stopBeep: async (uuid, every) => order('uuid_displace stop', commands.beep(uuid, 'stop', every)),
    async recordings(uuid) {
      const list = await ask(commands.buglist(uuid))
      if (list.startsWith(WROTE_NOTHING)) throw new AppError('leg_gone', `${name}: no leg ${uuid}`, { node: name, leg: uuid })
      return recordingsOf(accepted(name, 'uuid_buglist', list))
    },
    async originate(what) {
      const reply = await link().job(commands.originate(what), patience(what.timeoutSeconds * 1000))
      if (isRefusal(reply)) throw refusal(name, 'originate', reply, { cause: causeOf(reply) ?? '' })
    },
    transfer: async (uuid, number, context) => order('uuid_transfer', commands.transfer(uuid, number, context)),
    async tap(what) {
      const reply = await link().job(commands.tap(what), patience(what.timeoutSeconds * 1000))
      if (isRefusal(reply)) throw refusal(name, 'originate', reply, { cause: causeOf(reply) ?? '' })
    },
    async packetsSent(uuid) {
      await order('uuid_set_media_stats', commands.countMedia(uuid))
      return Number(accepted(name, 'uuid_getvar', await ask(commands.packetsSent(uuid)))) || 0
    },
    hangup: async (uuid, cause) => order('uuid_kill', commands.kill(uuid, cause)),
    cancelScheduledHangup: async uuid => order('sched_del', commands.schedDel(uuid)),
    forgetPhones: async phone => order('xml_flush_cache', commands.flushDirectory(phone)),
  }

  start()
  return {
    node,
    async close() {
      closed = true
      stopRetry()
      await connection?.close()
    },
  }
}
