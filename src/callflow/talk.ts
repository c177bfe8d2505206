// A conversation as its leg tells of it: for calls that no flow runs here, and for those who act on a call from
// outside of its flow.

import type { Log } from '../log.ts'
import type { Network } from '../recording/settings.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg } from '../switch/switch.ts'
import { bound, type Ports } from './call.ts'
import { isDeleted, live, text } from './documents.ts'
import type { Talk } from './recording.ts'

export interface TalkPorts extends Pick<Ports, 'recorder' | 'siprec' | 'config'> {
  store: Store
  log: Log
}

const NO_CALLFLOW: Doc = { _id: '' }

export const networkOf = ({ variables }: Leg): Network => (variables['callrec_inception'] === 'offnet' ? 'offnet' : 'onnet')

/** Undefined where the leg is no account's. `to`: where the other side is; `cameAt`: unix milliseconds. */
export async function talkOf({ store, recorder, siprec, config, log }: TalkPorts, leg: Leg, to: Network, cameAt: number): Promise<Talk | undefined> {
  const { callrec_account_id: accountId = '', callrec_device_id: deviceId = '', callrec_callflow_id: callflowId = '' } = leg.variables
  if (!isId(accountId)) return undefined
  const db = accountDb(accountId)
  const named = (id: string): Promise<Doc | undefined> => (isId(id) ? store.get(db, id) : Promise.resolve(undefined))
  const [account, phone, flow] = await Promise.all([store.get('accounts', accountId), named(deviceId), named(callflowId)])
  if (account === undefined || isDeleted(account)) return undefined
  const device = live(phone, 'device')
  const user = live(await named(text(device?.['owner_id'])), 'user')
  const callflow = live(flow, 'callflow') ?? NO_CALLFLOW
  return {
    ports: { recorder, siprec },
    leg,
    accountId,
    account,
    device,
    user,
    dialled: callflow,
    callflow,
    number: leg.variables['callrec_number'] ?? leg.destination,
    interactionId: leg.variables['callrec_interaction_id'] ?? leg.uuid,
    cameAt,
    way: { from: networkOf(leg), to, maxTimeLimit: config.maxTimeLimit },
    log: bound(log, { account_id: accountId, ...idsOf(leg) }),
  }
}

export const idsOf = ({ uuid, sipCallId, node }: Leg) => ({ call_id: uuid, leg: uuid, sip_call_id: sipCallId, node })
