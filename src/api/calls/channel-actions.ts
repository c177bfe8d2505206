// What can be done to a leg that is up: record it, hang it up, send it elsewhere (cb_channels.erl). Answered when the
// switch has confirmed it.

import { PLAY_TO, RECORD_ACTIONS, type RecordAction } from '../../callflow/control.ts'
import { AppError, isCode, reasonOf } from '../../errors.ts'
import { accountDb } from '../../store/modb.ts'
import { playable } from '../../switch/media.ts'
import type { Leg } from '../../switch/switch.ts'
import { type Fields, isObject } from '../validation/fields.ts'
import { checkFlow } from '../validation/flow.ts'
import { METAFLOW_MODULES } from '../validation/metaflows.ts'
import { join, problem, refuse } from '../validation/problems.ts'
import type { Answer, Request } from '../http/route.ts'
import type { Room } from '../http/room.ts'

/** A leg and what the API says of it. */
export interface Channel {
  leg: Leg
  row: Fields
}

type Find = (request: Request) => Promise<Channel>

/** `anybodys`: the path says no more than the account of whom the leg is. */
export function channelActions(
  room: Room,
  find: Find,
  anybodys: boolean,
): { act: (request: Request) => Promise<Answer>; metaflow: (request: Request) => Promise<Answer> } {
  const { validator, control, store, log } = room

  async function record(request: Request, data: Fields): Promise<Answer> {
    mayRecord(request)
    const { action: asked, ...settings } = data
    const action = recordAction(asked)
    const about = { accountId: request.account._id, settings, by: byWhom(request) }
    // What is to be hidden waits for nothing: what is known of the leg is enough, and the switch is asked meanwhile.
    if (anybodys && (action === 'mask' || action === 'pause')) {
      const leg = control.recorded(about.accountId, request.param('channel'))
      if (leg !== undefined) return { data: await control.record({ ...about, action, leg }) }
    }
    const { leg } = await find(request)
    return { data: await control.record({ ...about, action, leg }) }
  }

  async function siprec(request: Request, { leg }: Channel, data: Fields): Promise<Answer> {
    mayRecord(request)
    try {
      return { data: await control.siprec({ accountId: request.account._id, leg, data, by: byWhom(request) }) }
    } catch (error) {
      if (isCode(error, 'validation error')) refuse(problem('data.server', 'error', { message: error.message, cause: error.data['recording_id'] }))
      throw error
    }
  }

  async function transfer({ leg }: Channel, target: unknown): Promise<Answer> {
    if (typeof target !== 'string') refuse(problem('target', 'required', { message: 'No target destination specified' }))
    if (leg.otherLeg === undefined) refuse(problem('other_leg_call_id', 'required', { message: 'Channel is not bridged' }))
    await control.transfer(leg, String(target))
    return { data: 'transfer initiated' }
  }

  /** Heard while the answer is on its way, which does not wait for its end. */
  async function play({ leg }: Channel, { id, leg: to }: Fields): Promise<Answer> {
    if (playable(String(id)) === undefined) refuse(problem('data.id', 'invalid', { message: 'Not a tone or silence that can be played', value: id }))
    const played = control.play(leg, id, PLAY_TO.find(one => one === to) ?? 'both')
    void played.catch((error: unknown) => log.warn('media_not_played', { leg: leg.uuid, reason: reasonOf(error) }))
    return { data: 'play initiated' }
  }

  /** It gets there as by dialling one of the callflow's numbers. */
  async function callflow({ account }: Request, { leg }: Channel, id: unknown): Promise<Answer> {
    if (typeof id !== 'string') refuse(problem('id', 'required', { message: 'Field is required but missing' }))
    const found = await store.get(accountDb(account._id), String(id))
    const numbers: unknown = found?.['pvt_type'] === 'callflow' && found['pvt_deleted'] !== true ? found['numbers'] : undefined
    const number = Array.isArray(numbers) ? numbers.find(one => typeof one === 'string' && /^[0-9*#+]+$/.test(one)) : undefined
    if (number === undefined) refuse(problem('id', 'not_found', { message: 'No callflow that has a number', cause: id }))
    await control.transfer(leg, String(number))
    return { data: 'callflow initiated' }
  }

  return {
    async act(request) {
      const { fields, problems } = validator.check('channels', request.data)
      const given = fields['data'] ?? {}
      const schema = SCHEMAS[String(fields['action'])]
      const checked = schema !== undefined && isObject(given) ? validator.check(schema, given, ['data']) : undefined
      refuse(join(problems, checked?.problems ?? {}))
      if (fields['action'] === 'record') return record(request, checked?.fields ?? {})
      const channel = await find(request)
      switch (fields['action']) {
        case 'siprec_recording':
          return siprec(request, channel, checked?.fields ?? {})
        case 'transfer':
          return transfer(channel, fields['target'])
        case 'callflow':
          return callflow(request, channel, fields['id'])
        default:
          await control.hangup(channel.leg)
          return { data: 'hangup initiated' }
      }
    },

    async metaflow(request) {
      const { action = 'metaflow' } = request
      if (action !== 'metaflow')
        refuse(problem('action', 'enum', { message: 'Value not found in enumerated list of values', target: ['metaflow'], value: action }))
      const { fields, problems } = validator.check('metaflow', request.data)
      const { flow, problems: inStep } = checkFlow(validator, METAFLOW_MODULES, fields, [], 'metaflow')
      refuse(join(problems, inStep))
      const step = flow as { module: string; data: Fields }
      if (step.module === 'record_call') return record(request, step.data)
      const channel = await find(request)
      switch (step.module) {
        case 'siprec_recording':
          return siprec(request, channel, step.data)
        case 'transfer':
          return transfer(channel, step.data['target'])
        case 'play':
          return play(channel, step.data)
        default:
          await control.hangup(channel.leg)
          return { data: 'hangup initiated' }
      }
    },
  }
}

/** What the data of an action is checked by. */
const SCHEMAS: Readonly<Record<string, string>> = { record: 'metaflows.record_call', siprec_recording: 'metaflows.siprec_recording' }

const byWhom = ({ who }: Request): string => (who.ownerId === undefined ? 'api' : `api ${who.ownerId}`)

const recordAction = (action: unknown): RecordAction => RECORD_ACTIONS.find(one => one === action) ?? 'toggle'

/** Nobody hides his own calls from the recording his account wants, unless it lets its users. */
function mayRecord({ who, account }: Request): void {
  if (who.level === 'user' && account.allow_user_recording_settings !== true)
    throw new AppError('forbidden', 'not with this token (priv_level)', { cause: 'priv_level' })
}
