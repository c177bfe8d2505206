// After every connection to a switch: what the documents say is running on it, compared with what it
// says. One after the other for each switch; again and again while the store is away, because nobody
// else looks for what ran before.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import { createLimit } from '../in-turn.ts'
import type { Facts, Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { IN_FLIGHT, type InFlight, type Recording } from './document.ts'
import { inFlightOf, type NewRecording, recordingOf } from './new-recording.ts'
import type { CallCovers } from './cover-call.ts'
import type { Journal } from './journal.ts'
import { isEnd } from './lifecycle.ts'
import { knownRecording, knownRecordings } from './known.ts'
import type { Live } from './live.ts'
import { Papers } from './papers.ts'
import { assertFile, assertQueued, isUnreadable } from './readable.ts'
import type { Roster } from './roster.ts'
import type { Spool } from './spool.ts'

export interface AdoptionPorts {
  store: Store
  spool: Spool
  journal: Journal
  clock: Clock
  log: Log
}

/** Milliseconds of call time until what could not be adopted is looked at again. */
const ADOPT_AGAIN = 5_000
/** Recordings that a switch is asked about at the same time. */
const AT_ONCE = 64

export class Adoption {
  readonly #ports: AdoptionPorts
  readonly #roster: Roster
  readonly #covers: Pick<CallCovers, 'load' | 'forgetIfOver'>
  readonly #turns = new Map<string, Promise<void>>()
  readonly #limited = createLimit(AT_ONCE)
  readonly #again = new Map<string, () => void>()
  #closed = false

  constructor(ports: AdoptionPorts, roster: Roster, covers: Pick<CallCovers, 'load' | 'forgetIfOver'>) {
    this.#ports = ports
    this.#covers = covers
    this.#roster = roster
  }

  /** Never rejects: what fails is logged and tried again. */
  takeOver(node: string): void {
    const { clock, log } = this.#ports
    this.#again.get(node)?.()
    const turn = (this.#turns.get(node) ?? Promise.resolve()).then(() => this.#adopt(node))
    const settled = turn.catch((error: unknown) => {
      log.error('recordings_not_adopted', { node, reason: reasonOf(error) })
      // A switch that went is adopted when it is back.
      if (this.#closed || isCode(error, 'switch_down')) return
      this.#again.set(
        node,
        clock.after(ADOPT_AGAIN, () => this.takeOver(node)),
      )
    })
    this.#turns.set(node, settled)
  }

  /** Settles when what was found on a switch so far is known. */
  async done(node: string): Promise<void> {
    await this.#turns.get(node)
  }

  close(): void {
    this.#closed = true
    for (const cancel of this.#again.values()) cancel()
  }

  async #adopt(node: string): Promise<void> {
    const { store, log } = this.#ports
    const roster = this.#roster
    if (this.#closed) return
    for (const made of await this.#ports.journal.read(node)) {
      await this.#alone({ node, recording_id: made.id }, async () => (roster.get(made.id) === undefined ? this.#replay(made) : undefined))
    }
    const covered = await this.#covers.load(node)
    const rows = await store.query(IN_FLIGHT, 'in_flight/by_node', { startKey: [node], endKey: [node, {}], includeDocs: true })
    const compared = roster
      .all()
      .filter(one => one.node === node && !isEnd(one.state))
      .map(one => this.#compare(one))
    const found: InFlight[] = []
    for (const doc of rows.map(row => row.doc as InFlight | undefined)) {
      if (doc === undefined || doc.delivery !== undefined) continue
      await this.#alone({ node, recording_id: doc._id }, async () => {
        assertQueued(doc)
        found.push(doc)
      })
    }
    for await (const { inFlight, recording } of knownRecordings<Recording, InFlight>(store, found)) {
      if (this.#closed) return
      if (roster.get(inFlight._id) !== undefined) continue
      await this.#alone({ node, recording_id: inFlight._id }, async () => {
        assertFile(inFlight, recording)
        if (recording !== undefined && !isEnd(recording.state)) compared.push(this.#compare(roster.watch(inFlight, recording)))
        else if (recording?.state === 'stopped') compared.push(this.#compare(roster.watch(inFlight, { ...recording, state: inFlight.state })))
        else await this.#leaveBehind(inFlight, recording)
      })
    }
    await Promise.all(compared)
    await Promise.all(covered.map(interactionId => this.#covers.forgetIfOver(node, interactionId)))
    log.info('recordings_adopted', { node, recordings: compared.length })
  }

  /** Documents may be behind what runs, so the switch is asked before anything else is heard of it. */
  #compare(one: Live): Promise<void> {
    const compared = this.#alone({ node: one.node, recording_id: one.id }, () => one.reconcile(this.#limited))
    // Seen when all have been asked.
    compared.catch(() => {})
    return compared
  }

  /** What nobody can read is told, and keeps no other recording from being adopted. */
  async #alone(about: Facts, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.#ports.log.error('recording_not_adopted', { ...about, reason: reasonOf(error) })
    }
  }

  /** The store was away when it began, and the engine that had it is gone. */
  async #replay(made: NewRecording): Promise<void> {
    const { store, clock, journal, log } = this.#ports
    const [inFlight, recording] = [inFlightOf(made), recordingOf(made)]
    const known = await knownRecording<Recording>(store, inFlight)
    if (known === undefined) await new Papers(store, clock, inFlight, recording).save()
    else if (!isEnd(known.state) && (await store.get(IN_FLIGHT, made.id)) === undefined) await store.put(IN_FLIGHT, inFlight)
    await journal.remove(made)
    log.info('journal_replayed', { account_id: made.accountId, recording_id: made.id, node: made.node })
  }

  /** Cut off between its last two writes, or before the second of its first two: then the switch was never asked. */
  async #leaveBehind(inFlight: InFlight, recording: Recording | undefined): Promise<void> {
    if (recording?.state === 'discarded') await this.#ports.spool.remove(inFlight.file)
    await this.#ports.store.purge(IN_FLIGHT, inFlight._id)
  }
}
