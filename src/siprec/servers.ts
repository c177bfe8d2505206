// The servers of one session: what they are told of the call, and how they stand together.

import { reasonOf } from '../errors.ts'
import type { Leg } from '../switch/switch.ts'
import type { Store } from '../store/store.ts'
import { credentialsOf } from './credentials.ts'
import type { ServerPorts } from './dialog.ts'
import { RECORDING_ID, type ServerEntry, type SiprecInFlight, type SiprecRecording } from './document.ts'
import { metadata } from './metadata.ts'
import { joined, left, type NewId, peopleOf, snapshotOf, streamIds } from './people.ts'
import { createServer, type Server, type ServerEvents } from './server.ts'
import { serverKey } from './uri.ts'

export interface ServersPorts extends ServerPorts {
  store: Store
}

export type ServersEvents = Omit<ServerEvents, 'metadata'>

/** Of the wall: how long anybody waits for the answers to our BYEs. */
const BYE_PATIENCE = 1000

export class Servers {
  readonly #ports: ServersPorts
  readonly #of: { inFlight: SiprecInFlight; recording: SiprecRecording }
  readonly #events: ServersEvents
  readonly #since: string
  readonly #ids: Parameters<typeof snapshotOf>[1]
  readonly #newId: NewId
  readonly #all: Server[]
  #people: ReturnType<typeof peopleOf>
  #isHeld = false

  constructor(ports: ServersPorts, of: { inFlight: SiprecInFlight; recording: SiprecRecording }, events: ServersEvents) {
    this.#ports = ports
    this.#of = of
    this.#events = events
    this.#newId = () => Buffer.from(ports.random(16), 'hex').toString('base64')
    this.#since = new Date(ports.clock.now()).toISOString()
    this.#ids = { groupId: groupIdOf(of.recording) ?? this.#newId(), sessionId: this.#newId(), streams: streamIds(of.inFlight.mode, this.#newId) }
    this.#people = peopleOf(of.recording, this.#newId, this.#since)
    this.#all = of.inFlight.servers.map(uri => this.#serverAt(uri))
  }

  get entries(): ServerEntry[] {
    return this.#all.map(({ entry }) => ({ ...entry }))
  }

  /** None has it, nor will have it. */
  get areLost(): boolean {
    return this.#all.every(({ entry }) => entry.state === 'failed')
  }

  /** In words, server by server. */
  get reasons(): string {
    return this.#all.map(({ entry: { uri, code = '', reason = '' } }) => `${uri}: ${code} ${reason}`.trim()).join('; ')
  }

  /** Those of them that it has not yet. */
  add(uris: readonly string[]): Server[] {
    const there = new Set(this.#all.map(({ entry }) => serverKey(entry.uri)))
    const more = uris.filter(uri => !there.has(serverKey(uri))).map(uri => this.#serverAt(uri))
    this.#all.push(...more)
    return more
  }

  /** Resolves when each was called once, and what that came to was seen to. */
  async start(seen: (server: Server, taken: boolean) => Promise<void>): Promise<void> {
    await Promise.all(this.#all.map(async server => seen(server, await server.start())))
  }

  async agree(): Promise<void> {
    await Promise.all(this.#all.map(async server => server.agree()))
  }

  async hide(): Promise<void> {
    await Promise.all(this.#all.map(async server => server.hide()))
  }

  async show(): Promise<void> {
    await Promise.all(this.#all.map(async server => server.show()))
  }

  /** The recorded leg talks to that one now, or to nobody. */
  talksTo(leg: Leg | undefined): void {
    const at = new Date(this.#ports.clock.now()).toISOString()
    const next = leg === undefined ? left(this.#people, at) : joined(this.#people, leg, this.#newId, at)
    if (next === undefined) return
    this.#people = next
    this.#update()
  }

  /** Nobody speaks on any stream until that ends. */
  hold(on: boolean): void {
    this.#isHeld = on
    this.#update()
  }

  /** Of those that record, who has been sent nothing so far. */
  async withoutAudio(): Promise<string[]> {
    const found = await Promise.all(
      this.#all.map(async server => (server.entry.state === 'recording' && (await server.sent()) === 0 ? [server.entry.uri] : [])),
    )
    return found.flat()
  }

  /** Resolves when they were told, or that takes too long. */
  async stop(): Promise<void> {
    const waited = new Promise<void>(resolve => this.#ports.clock.after(BYE_PATIENCE, resolve))
    await Promise.race([Promise.all(this.#all.map(async server => server.stop())), waited])
  }

  /** Nobody waits for that: what comes next may be a pause. */
  #update(): void {
    for (const server of this.#all) {
      server.update().catch((error: unknown) => this.#ports.log.warn('siprec_metadata_not_sent', { uri: server.entry.uri, reason: reasonOf(error) }))
    }
  }

  #serverAt(uri: string): Server {
    const { inFlight, recording } = this.#of
    // The recorded leg is the caller's, or that of who was called: then what it says is stream 2.
    const [caller, other] = inFlight.side === 'caller' ? (['said', 'heard'] as const) : (['heard', 'said'] as const)
    const streams =
      inFlight.mode === 'mixed' ? [{ listens: 'both' as const, label: '1' }] : [caller, other].map((listens, at) => ({ listens, label: String(at + 1) }))
    return createServer(
      this.#ports,
      {
        uri,
        target: inFlight.leg,
        streams,
        from: 'sip:callrec@callrec.invalid',
        headers: [[RECORDING_ID, recording.siprec_recording_id], ...Object.entries(inFlight.headers)],
        credentials: at => credentialsOf(this.#ports.store, inFlight.account_id, at).catch((error: unknown) => this.#unread(at, error)),
      },
      { ...this.#events, metadata: () => this.#metadata() },
    )
  }

  #metadata(): string {
    const { siprec_recording_id: recordingId } = this.#of.recording
    return metadata(snapshotOf(this.#people, this.#ids, { since: this.#since, recordingId, paused: this.#events.hidden() || this.#isHeld }))
  }

  #unread(uri: string, error: unknown): undefined {
    const { account_id, _id: recording_id, leg } = this.#of.inFlight
    this.#ports.log.warn('siprec_credentials_not_read', { account_id, recording_id, leg, uri, reason: reasonOf(error) })
  }
}

/** The parts of one conversation are one group to servers, too (RFC 7865 section 6.2): its id is 16 bytes, and so is this. */
function groupIdOf({ group_id }: SiprecRecording): string | undefined {
  const [, hex] = /-([0-9a-f]{32})$/.exec(group_id) ?? []
  return hex === undefined ? undefined : Buffer.from(hex, 'hex').toString('base64')
}
