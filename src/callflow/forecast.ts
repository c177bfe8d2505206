// A call that has not happened: what would be recorded of it, and why. It is looked up and decided by
// the very functions the executor uses, and walked through its flow as a call that everybody answers.

import type { Log } from '../log.ts'
import type { Way } from '../recording/policy.ts'
import { isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import { live, text } from './documents.ts'
import { devicesOfUser, type Endpoint } from './endpoint.ts'
import { begin } from './flow.ts'
import { type Found, lookup, type Refused } from './lookup.ts'
import { type Foreseen, type Open, Rehearsal, type Situation } from './rehearsal.ts'

/** Who calls: a phone of the account, or a number outside. */
export type From = { device: Doc; user: Doc | undefined } | { number: string }
/** What is called: a number, or an endpoint without any callflow. */
export type To = { number: string } | { endpoint: Doc }

export interface Forecast {
  /** Why there would be no call at all. */
  refused?: string
  way?: Pick<Way, 'from' | 'to'>
  callflow_id?: string
  decisions: Foreseen[]
  /** The action from which on nobody can tell without the call, and what it depends on. */
  open?: Open
}

interface Asked {
  store: Store
  log: Log
  account: Doc
  maxTimeLimit: number
  /** Unix milliseconds: when it would happen. */
  at: number
}

export async function forecast(asked: Asked, from: From, to: To): Promise<Forecast> {
  const found = await find(asked, from, to)
  if ('refused' in found) return { refused: found.refused, decisions: [] }
  const { account, callflow, device, preflow, user, number } = found
  const situation: Situation = {
    account,
    device,
    user,
    number,
    dialled: callflow,
    callflow,
    way: { from: found.from, to: found.to, maxTimeLimit: asked.maxTimeLimit },
  }
  const rehearsal = new Rehearsal(asked, situation)
  await rehearsal.through(begin(callflow, preflow))
  return {
    way: { from: found.from, to: found.to },
    ...(callflow._id === '' ? {} : { callflow_id: callflow._id }),
    decisions: rehearsal.decisions,
    ...(rehearsal.open === undefined ? {} : { open: rehearsal.open }),
  }
}

async function find({ store, log, account }: Asked, from: From, to: To): Promise<Found | Refused> {
  const outside = 'number' in from
  const party = outside ? { callrec_inception: 'offnet' } : { callrec_account_id: account._id, callrec_device_id: from.device._id }
  if ('number' in to) {
    const found = await lookup(store, { variables: party, destination: to.number }, log)
    // Whose number it is instead is none of this account's business.
    if ('refused' in found || found.accountId === account._id) return found
    return { refused: 'the account has not claimed this number', cause: 'UNALLOCATED_NUMBER' }
  }
  const { endpoint } = to
  const flow = { module: endpoint['pvt_type'] === 'user' ? 'user' : 'device', data: { id: endpoint._id } }
  const [device, user] = outside ? [undefined, undefined] : [from.device, from.user]
  const network = outside ? 'offnet' : 'onnet'
  return {
    accountId: account._id,
    number: endpoint._id,
    captures: [],
    account,
    device,
    user,
    preflow: undefined,
    callflow: { _id: '', flow },
    from: network,
    to: 'onnet',
  }
}

/** The phones a party may call from. */
export async function phonesOf(store: Store, db: string, doc: Doc): Promise<Endpoint[]> {
  if (doc['pvt_type'] === 'user') return (await devicesOfUser(store, db, doc._id)) ?? []
  const owner = text(doc['owner_id'])
  return [{ device: doc, user: isId(owner) ? live(await store.get(db, owner), 'user') : undefined }]
}
