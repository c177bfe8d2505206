// Callflows. A number or a pattern belongs to one callflow of the account, and a flow that could not
// run is refused here rather than found out by a caller.

import { international } from '../../callflow/e164.ts'
import { isId } from '../../store/modb.ts'
import type { Doc, Store, Stored } from '../../store/store.ts'
import { accountResource } from '../documents/account-resource.ts'
import type { Draft, Place, Settled } from '../documents/document.ts'
import { type Fields, isObject } from '../validation/fields.ts'
import { actionsOf, checkFlow, whyNoExpression } from '../validation/flow.ts'
import { join, problem, type Problems, refuse } from '../validation/problems.ts'
import type { Answer, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

interface Callflow extends Doc {
  name?: string
  numbers?: string[]
}

export const callflowRoutes = (room: Room): Route[] =>
  accountResource(room, {
    name: 'callflows',
    type: 'callflow',
    param: 'callflow',
    metaflows: true,
    computed: ['metadata'],
    check: fields => checkCallflow(room, fields),
    settle: draft => settle(room.store, draft),
    read: (place, plain) => withMetadata(room.store, place, plain),
  })

const strings = (value: unknown): string[] => (Array.isArray(value) ? value.filter(one => typeof one === 'string') : [])

export function checkCallflow({ validator, modules }: Pick<Room, 'validator' | 'modules'>, fields: Fields): { fields: Fields; problems: Problems } {
  const { flow, problems } = checkFlow(validator, modules, fields['flow'])
  const numbers = Array.isArray(fields['numbers']) ? { numbers: [...new Set(fields['numbers'].map(asDialled))] } : {}
  const patterns = strings(fields['patterns'])
  const wrong = patterns.map((pattern, at) => {
    const message = whyNoExpression(pattern)
    return message === undefined ? {} : problem(`patterns.${at}`, 'error', { message, value: pattern })
  })
  const none = strings(fields['numbers']).length === 0 && patterns.length === 0 ? noNumber(fields) : {}
  return { fields: { ...fields, ...numbers, ...('flow' in fields ? { flow } : {}) }, problems: join(problems, none, ...wrong) }
}

/** As it is dialled: `+49 (30) 123-456` is `+4930123456`; what is not international stays as it is written. */
const asDialled = (number: unknown): unknown =>
  typeof number === 'string' && number.startsWith('+') ? (international(number.replaceAll(/[\s().-]/g, '')) ?? number) : number

/** Of the wrong type it is refused as that by the schema. */
const noNumber = ({ numbers = [] }: Fields): Problems =>
  Array.isArray(numbers) && numbers.length === 0
    ? problem('numbers', 'required', { message: 'Callflows must be assigned at least one number or pattern', value: numbers })
    : {}

async function settle(store: Store, draft: Draft): Promise<Settled> {
  const numbers = await taken(store, draft, 'numbers', 'Number', 'listing_by_number')
  refuse(join(numbers, await taken(store, draft, 'patterns', 'Pattern', 'listing_by_pattern')))
  return { fields: draft.fields }
}

/** Only what it did not have before is looked for. */
async function taken(store: Store, { db, id, before, fields }: Draft, field: string, word: string, view: string): Promise<Problems> {
  const had = strings(before?.[field])
  const keys = strings(fields[field]).filter(key => !had.includes(key))
  if (keys.length === 0) return {}
  const rows = await store.query(db, `callflows/${view}`, { keys })
  const other = rows.find(row => row.id !== id)
  if (other === undefined) return {}
  const doc = await store.get<Callflow>(db, other.id)
  const key = typeof other.key === 'string' ? other.key : ''
  return problem(field, 'unique', { message: `${word} ${key} exists in callflow ${other.id} ${doc?.name ?? ''}`.trimEnd(), cause: key })
}

/** Beside the callflow: name, numbers and type of every document its actions name (cb_callflows.erl maybe_add_metadata). */
async function withMetadata(store: Store, { db }: Place, plain: Promise<Answer>): Promise<Answer> {
  const answer = await plain
  const callflow = answer.data as Fields
  const ids = new Set(actionsOf(callflow['flow']).flatMap(({ data }) => (isObject(data) ? idsIn(data) : [])))
  const docs = await store.getMany<Callflow>(db, [...ids])
  const known = docs.filter(doc => doc !== undefined && doc['pvt_deleted'] !== true)
  return { ...answer, data: { ...callflow, metadata: Object.fromEntries(known.map(doc => [doc?._id, about(doc as Stored<Callflow>)])) } }
}

const idsIn = (data: Fields): string[] =>
  Object.entries(data)
    .filter(([key]) => key === 'id' || key.endsWith('_id'))
    .map(([, value]) => String(value))
    .filter(isId)

function about(doc: Stored<Callflow>): Fields {
  const { first_name: first, last_name: last, pvt_type } = doc
  const name = doc.name ?? (typeof first === 'string' ? `${first} ${String(last)}` : undefined)
  return { ...(name === undefined ? {} : { name }), ...(doc.numbers === undefined ? {} : { numbers: doc.numbers }), pvt_type }
}
