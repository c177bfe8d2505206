// Calls that ended while no engine watched their switch. What they were stood on their leg, and it is gone; their recordings know
// enough for a detail record all the same.

import type { Recording } from '../recording/document.ts'
import type { Recorder, Unheard } from '../recording/recorder.ts'
import { fromGregorian, monthDb } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Switches } from '../switch/switch.ts'
import type { OverCall } from './cdr.ts'
import { isDeleted } from './documents.ts'
import type { Lives } from './lives.ts'
import type { Records } from './records.ts'
import type { Log } from '../log.ts'

export interface UnheardPorts {
  store: Store
  switches: Switches
  recorder: Pick<Recorder, 'onUnheard' | 'ended'>
  lives: Pick<Lives, 'knows'>
  records: Records
  log: Log
}

/** The answer ends it. */
export function watchUnheard({ store, switches, recorder, lives, records, log }: UnheardPorts): () => void {
  return recorder.onUnheard(({ node, recording }) => {
    const callId = recording.cdr_id.slice('YYYYMM-'.length)
    if (lives.knows(callId)) return
    void recorder.ended(recording._id).then(() =>
      records.write(async () => {
        // Another leg of it was recorded: its end is still to come.
        if (await switches.node(node).exists(callId)) return undefined
        return overCall(store, callId, recording)
      }, log),
    )
  })
}

/** Undefined where nothing of it was heard, or its account is no more. */
async function overCall(
  store: Store,
  callId: string,
  { cdr_id, pvt_account_id: accountId }: Unheard['recording'],
): Promise<Omit<OverCall, 'recordings'> | undefined> {
  const [account, rows] = await Promise.all([
    store.get('accounts', accountId),
    store.query(monthDb(accountId, cdr_id.slice(0, 'YYYYMM'.length)), 'recordings/listing_by_cdr', { key: cdr_id, includeDocs: true }),
  ])
  const heard = rows.map(({ doc }) => doc as unknown as Recording).filter(({ duration_ms }) => duration_ms > 0)
  const own = heard.find(({ call_id }) => call_id === callId)
  const known = own ?? heard[0]
  if (account === undefined || isDeleted(account) || known?.pvt_call === undefined) return undefined
  const { came_at: cameAt, from, to } = known.pvt_call
  const { authorizing_id: deviceId, callflow_id: callflowId } = known.custom_channel_vars
  const starts = heard.map(({ start }) => fromGregorian(start))
  const ends = heard.map(({ start, duration_ms }) => fromGregorian(start) + duration_ms)
  const application = known.pvt_voice?.application_id
  return {
    accountId,
    account,
    device: own === undefined || deviceId === undefined ? undefined : ({ _id: deviceId, owner_id: known.owner_id } satisfies Doc),
    dialled: callflowId === undefined ? undefined : { _id: callflowId },
    number: known.callee_id_number,
    interactionId: known.interaction_id,
    leg: {
      uuid: callId,
      direction: own?.direction ?? 'inbound',
      sipCallId: own?.sip_call_id ?? '',
      sipFrom: known.from,
      sipTo: own?.to ?? '',
      sipRequest: own?.request ?? '',
      callerIdName: known.caller_id_name,
      callerIdNumber: known.caller_id_number,
      calleeIdName: known.callee_id_name,
      variables: application === undefined ? {} : { callrec_application_id: application },
    },
    way: { from, to },
    cameAt,
    answeredAfterMs: Math.max(0, Math.min(...starts) - cameAt),
    endedAfterMs: Math.max(...ends) - cameAt,
    hangupCause: 'NORMAL_UNSPECIFIED',
    unheard: true,
  }
}
