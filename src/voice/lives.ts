// What an application is told of a call's life, from `started` to `completed`, whatever it does meanwhile and whichever
// engine sees the end, and what it is told of a recording. It is written down before any of it is told.

import { pause } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { SwitchEvent } from '../switch/switch.ts'
import { signerFor } from './application.ts'
import type { Address } from './ask.ts'
import { conversationOf, type VoiceCall, type VoicePorts } from './call.ts'
import { lifeId, openLives, type OpenLife, type OwedLife } from './open-lives.ts'
import type { Fields } from './options.ts'
import type { Places } from './places.ts'
import { type Report, reporter } from './report.ts'

export interface Lives {
  /** What is told of the call from now on; the same where it began before. */
  begin(call: VoiceCall, eventUrl: Address | undefined, applicationId: string | undefined): Report
  /** Whether its end will be told, or is being told. */
  knows(leg: string): boolean
  /** What is to be told whatever becomes of its call. `written` resolves where the next engine would tell it, too; neither rejects. */
  owe(life: OwedLife): { written: Promise<void>; told: Promise<void> }
  /** Resolves when it is owed no more, whoever wrote it down. */
  told(life: Pick<OwedLife, '_id' | 'leg'>): Promise<void>
  /** Resolves when what is being told is told; calls go on, and are the next engine's to tell of. */
  close(): Promise<void>
}

interface Life {
  doc: OpenLife
  /** Nobody was told of it before. */
  fresh: boolean
  /** There is a document of it, so another engine may tell. */
  kept: boolean
  /** What is written of it, one after the other; never rejects. */
  writing: Promise<unknown>
  /** Call time of its answer, where that was seen here. */
  since?: number
  /** Undefined until an application runs it here. */
  report?: Report
  over: boolean
  /** Resolves when its end is told. */
  settled?: Promise<void>
}

/** Milliseconds until a store that failed is asked again. */
const AGAIN = 5_000
const UNWATCHED = 'it ended while no engine watched it'

const iso = (unixMs: number): string => new Date(unixMs).toISOString()

type End = Extract<SwitchEvent, { name: 'CHANNEL_HANGUP_COMPLETE' | 'CHANNEL_DESTROY' }>

export function startLives(ports: VoicePorts, places: Pick<Places, 'sweep'>): Lives {
  const { clock, log, store, switches, wall } = ports
  const documents = openLives(store)
  /** By leg and id. */
  const known = new Map<string, Map<string, Life>>()
  const working = new Set<Promise<unknown>>()
  const closing = new AbortController()
  const { signal: closed } = closing

  const ofLeg = (leg: string): readonly Life[] => [...(known.get(leg)?.values() ?? [])]

  function know(one: Life): Life {
    const { leg, _id } = one.doc
    known.set(leg, (known.get(leg) ?? new Map<string, Life>()).set(_id, one))
    return one
  }

  function forget({ doc: { leg, _id } }: Life): void {
    const lives = known.get(leg)
    lives?.delete(_id)
    if (lives?.size === 0) known.delete(leg)
  }

  function begin(call: VoiceCall, eventUrl: Address | undefined, applicationId: string | undefined): Report {
    const about = {
      from: call.from,
      to: call.to,
      uuid: call.uuid,
      conversation_uuid: conversationOf(call.uuid),
      direction: call.placed ? 'outbound' : 'inbound',
    }
    const report = reporter({ ...ports, log: call.log, now: () => wall.now() }, eventUrl, about)
    if (eventUrl === undefined) return report
    const id = lifeId(call.uuid, eventUrl, applicationId)
    const before = known.get(call.uuid)?.get(id)
    if (before?.report !== undefined) return before.report
    const doc: OpenLife = {
      _id: id,
      pvt_type: 'voice_life',
      account_id: call.accountId,
      node: call.node.name,
      leg: call.uuid,
      ...(applicationId === undefined ? {} : { application_id: applicationId }),
      event_url: eventUrl.url,
      event_method: eventUrl.method,
      about,
      came_at: wall.now(),
    }
    const one = before ?? know({ doc, fresh: true, kept: false, writing: Promise.resolve(), over: false })
    one.report = report
    if (before === undefined) void inTurn(one, () => written(one))
    const first = one.writing
    if (!call.placed) for (const status of ['started', 'ringing']) void report.tell({ status }, eventUrl, () => first.then(() => one.fresh))
    if (call.answered()) answered(one, report)
    else call.onAnswer(() => answered(one, report))
    return report
  }

  async function written(one: Life): Promise<void> {
    const before = await documents.write(one.doc)
    one.kept = true
    if (before !== undefined) Object.assign(one, { doc: before, fresh: false })
  }

  /** It may have been told by the engine that had the call before. */
  function answered(one: Life, report: Report): void {
    const [at, since] = [wall.now(), clock.elapsed()]
    const before = ports.toldBefore(one.doc.leg)
    const first = inTurn(one, async () => {
      if (one.doc.answered_at !== undefined) return false
      one.since = since
      one.doc = { ...one.doc, answered_at: at }
      if (one.kept) await documents.change(one.doc, { answered_at: at })
      return true
    })
    void report.tell({ status: 'answered', start_time: iso(at) }, undefined, async () => {
      await before
      return (await first) !== false
    })
  }

  /** Undefined where it could not be written: what is told of it is told all the same. */
  function inTurn<T>(one: Life, write: () => Promise<T>): Promise<T | undefined> {
    const work = one.writing.then(write).catch((error: unknown): undefined => {
      log.warn('voice_life_not_kept', { account_id: one.doc.account_id, leg: one.doc.leg, reason: reasonOf(error) })
      return undefined
    })
    one.writing = keep(work)
    return work
  }

  function over(one: Life, endAt: (ended: { at: number; elapsed: number }) => Fields): void {
    if (one.over || closed.aborted) return
    one.over = true
    const ended = { at: wall.now(), elapsed: clock.elapsed() }
    one.settled = keep(one.writing.then(() => settle(one, { timestamp: iso(ended.at), ...endAt(ended) })).finally(() => forget(one)))
  }

  /** First written, then told, then forgotten: who finds it later tells what is written. */
  async function settle(one: Life, end: Fields): Promise<void> {
    do {
      try {
        const doc = one.kept ? await documents.change(one.doc, { end }) : one.doc
        if (doc === undefined) return
        await (await reportOf(one)).tell(doc.end ?? end)
        if (one.kept) await documents.forget(doc)
        return
      } catch (error) {
        // Another engine has written it this moment, and tells.
        if (isCode(error, 'datastore_conflict')) return
        log.warn('voice_call_end_not_saved', { account_id: one.doc.account_id, leg: one.doc.leg, reason: reasonOf(error), again_in_ms: AGAIN })
        await pause(wall, AGAIN, closed)
      }
    } while (!closed.aborted)
  }

  async function reportOf({ doc: { account_id, application_id, event_url: url, event_method: method, about }, report }: Life): Promise<Report> {
    if (report !== undefined) return report
    const sign = await signerFor(ports, account_id, application_id)
    return reporter({ ...ports, now: () => wall.now() }, { url, method, ...(sign === undefined ? {} : { sign }) }, about)
  }

  /** How long it was up is the switch's to say where nobody here saw the answer. */
  function endOf({ doc: { answered_at, came_at }, since }: Life, { leg: { answeredAt }, at }: End, ended: { at: number; elapsed: number }): Fields {
    const start = answered_at ?? answeredAt
    const switchMs = start === undefined ? 0 : (at - (answeredAt ?? start)) * (clock.speed ?? 1)
    const ms = since === undefined ? switchMs : ended.elapsed - since
    return { status: 'completed', duration: String(Math.round(ms / 1000)), start_time: iso(start ?? came_at), end_time: iso(ended.at) }
  }

  const unwatched = ({ doc: { answered_at, came_at } }: Life): Fields => ({ status: 'completed', start_time: iso(answered_at ?? came_at), detail: UNWATCHED })

  function owe(doc: OwedLife): { written: Promise<void>; told: Promise<void> } {
    const before = known.get(doc.leg)?.get(doc._id)
    const one = before ?? know({ doc, fresh: true, kept: false, writing: Promise.resolve(), over: false })
    const writing = before === undefined ? inTurn(one, () => written(one)) : Promise.resolve()
    over(one, () => doc.end)
    return { written: writing, told: one.settled ?? Promise.resolve() }
  }

  async function told({ _id, leg }: Pick<OwedLife, '_id' | 'leg'>): Promise<void> {
    const doc = known.get(leg)?.has(_id) === true ? undefined : await documents.read(_id)
    const one = known.get(leg)?.get(_id) ?? (doc === undefined ? undefined : know({ doc, fresh: false, kept: true, writing: Promise.resolve(), over: false }))
    if (one !== undefined) over(one, () => unwatched(one))
    await one?.settled
  }

  /** What runs on a switch that was another engine's, or out of sight, until now. */
  async function resume(node: string): Promise<void> {
    while (!closed.aborted && switches.node(node).status().state === 'up') {
      try {
        for (const doc of await documents.on(node)) {
          if (known.get(doc.leg)?.has(doc._id) !== true) know({ doc, fresh: false, kept: true, writing: Promise.resolve(), over: false })
        }
        for (const one of [...known.keys()].flatMap(ofLeg)) {
          if (one.doc.node !== node || one.over) continue
          if (one.doc.end !== undefined || !(await switches.node(node).exists(one.doc.leg))) over(one, () => unwatched(one))
        }
        return await places.sweep(node)
      } catch (error) {
        log.warn('voice_lives_not_resumed', { node, reason: reasonOf(error), again_in_ms: AGAIN })
        await pause(wall, AGAIN, closed)
      }
    }
  }

  function heard(event: SwitchEvent): void {
    if (event.name === 'node_up') void keep(resume(event.node))
    else if (event.name === 'node_lost') for (const one of [...known.keys()].flatMap(ofLeg)) if (one.doc.node === event.node) forget(one)
    if (event.name !== 'CHANNEL_HANGUP_COMPLETE' && event.name !== 'CHANNEL_DESTROY') return
    for (const one of ofLeg(event.leg.uuid)) over(one, ended => endOf(one, event, ended))
  }

  function keep<T>(work: Promise<T>): Promise<T> {
    working.add(work)
    void work.finally(() => working.delete(work))
    return work
  }

  const unsubscribe = switches.on(heard)
  for (const node of switches.nodes) if (node.status().state === 'up') void keep(resume(node.name))

  return {
    begin,
    knows: leg => known.has(leg),
    owe,
    told,
    async close() {
      closing.abort()
      unsubscribe()
      await Promise.all(working)
    },
  }
}
