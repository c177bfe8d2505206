// Accounts, users, devices and callflows alike: documents that are made, read, merged, replaced and
// put away by Crossbar's verbs. A resource adds what no schema can say, as `check` and `settle`.

import { AppError } from '../../errors.ts'
import { toGregorian } from '../../store/modb.ts'
import type { Doc, Store, Stored } from '../../store/store.ts'
import { permitted } from '../rights/changes.ts'
import { type Fields, isObject, merge, privateFields, publicFields, shown } from '../validation/fields.ts'
import { checkMetaflows } from '../validation/metaflows.ts'
import { lostRaceIs412, requireMatch } from '../http/preconditions.ts'
import { join, problem, type Problems, refuse } from '../validation/problems.ts'
import type { Answer, Request } from '../http/route.ts'
import type { Account } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

export interface Draft {
  db: string
  id: string
  account: Stored<Account>
  /** What is stored now; absent for a new one. */
  before?: Stored
  /** Public fields as the schema left them. */
  fields: Fields
}

export interface Settled {
  fields: Fields
  /** Private fields to set; undefined takes one away. */
  pvt?: Fields
}

export interface Resource {
  /** The schema, and the resource's name in the path. */
  name: string
  /** `pvt_type` of its documents. */
  type: string
  /** Its documents are unique over all accounts, so their changes take turns over all accounts too. */
  global?: boolean
  /** Public fields that are answered and not kept: a client that sends back what it read sends them too. */
  computed?: readonly string[]
  /** They may have `metaflows`. */
  metaflows?: true
  /** What can be told from the body alone, beyond its schema. */
  check?: (fields: Fields) => { fields: Fields; problems: Problems }
  /** What needs the store: uniqueness, references, secrets. Runs in the account's turn. */
  settle?: (draft: Draft) => Promise<Settled>
  /** After a document was written: what others keep of it. `before` is absent for a new one. */
  changed?: (change: { before?: Stored; after: Stored; account: Stored<Account> }) => Promise<void>
  /** Throws where a document has to stay. Runs in the account's turn. */
  removable?: (place: Place) => Promise<void>
  /** Public fields as this client may see them. */
  shown?: (doc: Stored, request: Request) => Fields
}

/** A document's place. */
export interface Place {
  db: string
  id: string
  /** Where accounts share a database: whose document it must be. */
  accountId?: string
}

export type Verbs = ReturnType<typeof verbs>

export function verbs(room: Room, resource: Resource) {
  const { store, clock, inTurn } = room
  const visible = resource.shown ?? shown
  const answer = (doc: Stored, request: Request): Answer => ({ data: visible(doc, request), revision: doc._rev })

  /** What a client says of a document. */
  const said = ({ data }: Request): Fields => without(publicFields(data), resource.computed ?? [])

  async function load({ db, id, accountId }: Place): Promise<Stored> {
    const doc = await existing(store, db, resource.type, id)
    if (accountId !== undefined && doc['pvt_account_id'] !== accountId) throw noSuch(resource.type, id)
    return doc
  }

  function checked(fields: Fields): Fields {
    const bySchema = room.validator.check(resource.name, fields)
    const byResource = resource.check?.(bySchema.fields) ?? { fields: bySchema.fields, problems: {} }
    const { metaflows } = byResource.fields
    const byStep = resource.metaflows === true && isObject(metaflows) ? checkMetaflows(room.validator, metaflows, ['metaflows']) : undefined
    refuse(join(bySchema.problems, byResource.problems, byStep?.problems ?? {}))
    return byStep === undefined ? byResource.fields : { ...byResource.fields, metaflows: byStep.fields }
  }

  /** Who touched it and when, as Kazoo notes it (crossbar_doc.erl add_pvt_*). */
  const marks = ({ id, who }: Request): Fields => ({
    pvt_modified: toGregorian(clock.now()),
    pvt_request_id: id,
    pvt_auth_account_id: who.accountId,
    pvt_auth_user_id: who.ownerId,
  })

  async function write({ db, id }: Place, fields: Fields, before: Stored | undefined, birth: Fields, request: Request): Promise<Stored> {
    const allowed = permitted(resource.name, before && publicFields(before), fields, request)
    const draft = { db, id, account: request.account, fields: checked(allowed), ...(before === undefined ? {} : { before }) }
    const settled = (await resource.settle?.(draft)) ?? { fields: draft.fields }
    const pvt = { ...(before === undefined ? birth : privateFields(before)), ...settled.pvt, ...marks(request) }
    const doc: Doc = { ...settled.fields, ...withoutUndefined(pvt), _id: id }
    refuseLarge('data', doc, LARGEST_DOCUMENT)
    const rev = await lostRaceIs412(request.headers['if-match'], store.put(db, doc))
    const after = { ...doc, _rev: rev }
    await resource.changed?.({ ...(before === undefined ? {} : { before }), after, account: request.account })
    return after
  }

  const turnOf = ({ account }: Request): string => (resource.global === true ? resource.name : `${account._id}/${resource.name}`)

  const change = (place: Place, request: Request, next: (before: Stored) => Fields): Promise<Answer> =>
    inTurn(turnOf(request), async () => {
      const before = await load(place)
      requireMatch(request.headers['if-match'], before._rev)
      return answer(await write(place, next(before), before, {}, request), request)
    })

  return {
    load,
    /** From its public fields to those it is to have. */
    change: (place: Place, request: Request, next: (before: Fields) => Fields): Promise<Answer> =>
      change(place, request, before => merge({}, next(publicFields(before)))),
    answer,
    /** Public fields as this client may see them. */
    visible,

    /** `pvt` are the private fields it is born with, beside those that every document has. */
    create: (place: Place, request: Request, location: string, pvt: Fields = {}): Promise<Answer> =>
      inTurn(turnOf(request), async () => {
        const birth = { pvt_type: resource.type, pvt_created: toGregorian(clock.now()), pvt_vsn: '1', ...pvt }
        const doc = await write(place, merge({}, said(request)), undefined, birth, request)
        return { ...answer(doc, request), status: 201, headers: { location } }
      }),

    read: async (place: Place, request: Request): Promise<Answer> => answer(await load(place), request),
    patch: (place: Place, request: Request): Promise<Answer> => change(place, request, before => merge(publicFields(before), said(request))),
    replace: (place: Place, request: Request): Promise<Answer> => change(place, request, () => merge({}, said(request))),

    /** Puts it away: it is read and listed no more, but its document stays. */
    remove: (place: Place, request: Request): Promise<Answer> =>
      inTurn(turnOf(request), async () => {
        const before = await load(place)
        const ifMatch = request.headers['if-match']
        requireMatch(ifMatch, before._rev)
        await resource.removable?.(place)
        const doc: Doc = { ...withoutUndefined({ ...before, ...marks(request), pvt_deleted: true }), _id: place.id }
        const _rev = await lostRaceIs412(ifMatch, store.put(place.db, doc))
        const after = { ...doc, _rev }
        await resource.changed?.({ before, after, account: request.account })
        const { data } = answer(after, request)
        return { data: { ...(data as Fields), _read_only: { deleted: true } }, revision: _rev }
      }),
  }
}

/** Bytes of JSON. A list holds thousands of documents at once, and a merge adds to what is there. */
const LARGEST_DOCUMENT = 256_000

export function refuseLarge(path: string, value: unknown, most: number): void {
  if (Buffer.byteLength(JSON.stringify(value)) <= most) return
  const message = `${path} must be at most ${most} bytes of JSON`
  throw new AppError('body_too_large', message, problem(path, 'maxSize', { message, target: most }))
}

/** A document of this type that was not put away. */
export async function existing<T extends Doc>(store: Store, db: string, type: string, id: string): Promise<Stored<T>> {
  const doc = await store.get<T>(db, id)
  if (doc === undefined || doc['pvt_type'] !== type || doc['pvt_deleted'] === true) throw noSuch(type, id)
  return doc
}

export const noSuch = (type: string, id: string): AppError => new AppError('bad_identifier', `no ${type} ${id}`, { cause: id })

const without = (fields: Fields, names: readonly string[]): Fields => Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))

const withoutUndefined = (fields: Fields): Fields => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
