// Why a call would be recorded, or not: the decision for a call that has not happened. The answer is made
// by what decides about real calls; here is only who calls whom, and what a client sees of it.

import { isDisabled, live } from '../../callflow/documents.ts'
import { type Forecast, forecast, type From, phonesOf, type To } from '../../callflow/forecast.ts'
import type { Foreseen } from '../../callflow/rehearsal.ts'
import { accountDb, fromGregorian, isId } from '../../store/modb.ts'
import type { Doc } from '../../store/store.ts'
import { noSuch } from '../documents/document.ts'
import { join, problem, type Problems, refuse } from '../validation/problems.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const recordingPolicyRoutes = (room: Room): Route[] => [
  { method: 'GET', path: '/v2/accounts/:account/recording_policy', access: 'admin', run: request => policy(room, request) },
]

/** What a phone may dial, or who a trunk says that calls. */
const NUMBER = /^[0-9*#+]{1,36}$/

/** Gregorian seconds. */
const MOMENT = /^6\d{10}$/

async function policy({ store, log, config, clock }: Room, { account, query }: Request): Promise<Answer> {
  const said = { from: written(query, 'from'), to: written(query, 'to') }
  const moment = query.get('at') ?? ''
  refuse(join(problemOf('from', said.from), problemOf('to', said.to), momentProblem(moment)))
  const at = moment === '' ? clock.now() : fromGregorian(Number(moment))
  const db = accountDb(account._id)
  const party = async (text: string): Promise<Doc | string> => {
    if (!isId(text)) return text
    const doc = await store.get(db, text)
    const found = live(doc, 'device') ?? live(doc, 'user')
    if (found === undefined) throw noSuch('device or user', text)
    return found
  }
  const [from, to] = await Promise.all([party(said.from), party(said.to)])
  const callers: From[] = typeof from === 'string' ? [{ number: from }] : await phonesOf(store, db, from)
  const called: To = typeof to === 'string' ? { number: to } : { endpoint: to }
  const asked = { store, log, account, maxTimeLimit: config.maxTimeLimit, at }
  const calls = await Promise.all(callers.map(async caller => ({ ...partyOf(caller), ...shownCall(await foreseen(caller, called)) })))
  return { data: { ...said, calls, ...(calls.length === 0 ? { why: 'the user has no phone to call from' } : {}) } }

  async function foreseen(caller: From, to: To): Promise<Forecast> {
    // A call to a number finds this out by itself.
    if (isDisabled(account)) return { refused: 'the account is disabled', decisions: [] }
    if ('device' in caller && isDisabled(caller.device)) return { refused: 'the device is disabled', decisions: [] }
    return forecast(asked, caller, to)
  }
}

/** A plus that was not encoded arrives as a space. */
const written = (query: URLSearchParams, name: string): string => (query.get(name) ?? '').replace(/^ (?=\d)/, '+')

function problemOf(name: string, text: string): Problems {
  if (text === '') return problem(name, 'required', { message: 'Field is required but missing', value: {} })
  if (isId(text) || NUMBER.test(text)) return {}
  return problem(name, 'pattern', { message: 'Not the id of a device or user, nor a number', target: NUMBER.source, value: text })
}

const momentProblem = (text: string): Problems =>
  text === '' || MOMENT.test(text) ? {} : problem('at', 'pattern', { message: 'Not a moment in gregorian seconds', target: MOMENT.source, value: text })

const partyOf = (caller: From): Record<string, string> => ('number' in caller ? { caller_id_number: caller.number } : ids(caller.device, caller.user))

const ids = (device: Doc | undefined, user: Doc | undefined): Record<string, string> => ({
  ...(device === undefined ? {} : { device_id: device._id }),
  ...(user === undefined ? {} : { owner_id: user._id }),
})

function shownCall({ refused, way, callflow_id, decisions, open }: Forecast): Record<string, unknown> {
  const recordings = decisions.filter(({ record }) => record).map(shown)
  return {
    ...way,
    ...(callflow_id === undefined ? {} : { callflow_id }),
    ...(refused === undefined ? {} : { refused }),
    ...(open === undefined ? {} : { open_from: open.module, open_why: open.why }),
    recordings,
    not_recorded: decisions.filter(({ record }) => !record).map(shown),
  }
}

function shown({ leg, by, origin, when, why, settings, device, user, callflow_id, joins, stopped }: Foreseen): Record<string, unknown> {
  return {
    leg,
    ...ids(device, user),
    by,
    origin,
    when,
    why,
    settings,
    ...(callflow_id === undefined ? {} : { callflow_id }),
    ...(joins === undefined ? {} : { joins }),
    ...(stopped === undefined ? {} : { stopped: 'by a later record_call action' }),
  }
}
