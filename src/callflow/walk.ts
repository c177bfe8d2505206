// One call through its flow: what is to be recorded of it is asked for, then one action after the other, until
// there is none left or one of them ends the call.

import { isCode, reasonOf } from '../errors.ts'
import { decideCallerLeg } from '../recording/policy.ts'
import { actions } from './actions/index.ts'
import { PLACE } from '../voice/places.ts'
import { type Call, callerDocuments } from './call.ts'
import { fill } from './expressions.ts'
import { begin, type FlowNode, follow, isEnd, next, type Outcome } from './flow.ts'
import { startOf } from './lives.ts'
import { recordingRefused, recordNewCaller, recordOn } from './recording.ts'
import { scopeOf } from './scope.ts'

/** Actions that run though an expression yielded nothing: what is missing then stands in a document of theirs. */
const SAYS_WHAT_IS_MISSING: ReadonlySet<string> = new Set(['siprec_recording'])

/** The place of a call in its flow when it begins. */
const ROOT = '/'

/** Answers the cause to hang up with. `left`: the leg it talked with until it was transferred here. */
export async function walk(call: Call, left: string | undefined): Promise<string> {
  const { leg, log } = call
  // A leg that was transferred here may be recorded already.
  const fresh = leg.variables['callrec_call_id'] === undefined
  await call.node.setVariables(leg.uuid, {
    // Whoever meets the leg later reads there whose it is.
    ...(leg.variables['callrec_account_id'] === undefined ? { callrec_account_id: call.accountId } : {}),
    // It was to be called there; where it is transferred later, its own destination counts.
    ...(leg.variables['callrec_destination'] === undefined ? {} : { callrec_destination: null }),
    // Where it was in another flow is nothing in this one.
    ...(leg.variables[PLACE] === undefined || call.place !== undefined ? {} : { [PLACE]: null }),
    callrec_node: ROOT,
    callrec_callflow_id: call.callflow._id,
    callrec_interaction_id: call.interactionId,
    callrec_call_id: leg.uuid,
    ...startOf(call),
    continue_on_fail: 'true',
    hangup_after_bridge: 'false',
    // Without media through the switch a recording starts and has no file.
    bypass_media: 'false',
  })
  const decisions = decideCallerLeg(callerDocuments(call), call.way)
  const record = decisions.filter(one => one.record)
  log.info('call_started', {
    device_id: call.device?._id,
    owner_id: call.user?._id,
    from: call.way.from,
    to: call.way.to,
    record: record.length > 0,
    why: decisions.map(one => one.why).join('; '),
  })
  if (left !== undefined) await recordOn(call, left)
  for (const decision of record) await recordNewCaller(call, decision, fresh)

  let at = call.at ?? begin(call.dialled, call.preflow)
  while (!isEnd(at)) {
    if (call.signal.aborted) return ''
    call.at = at
    call.callflow = at.callflow
    call.children = Object.keys(at.node.children)
    at = follow(at, await act(at.node, call))
  }
  if (at.end === 'too_many_branches') log.warn('callflow_loops', { why: 'the callflows of this call name each other' })
  return at.cause
}

/** Modules whose data are settings of a recording. */
const RECORDING = new Set(['record_call', 'record_caller'])

async function act({ module, data }: FlowNode, call: Call): Promise<Outcome> {
  if (data['skip_module'] === true) return next()
  const action = actions.get(module)
  if (action === undefined) {
    call.log.warn('module_unknown', { module })
    return next()
  }
  const { data: filled, faults } = fill(data, scopeOf(call))
  if (faults.length > 0) {
    for (const { path, expression, why } of faults) call.log.error('expression_failed', { module, path: ['data', ...path].join('.'), expression, why })
    if (RECORDING.has(module) && data['action'] !== 'stop') await recordingRefused(call, data, faults)
    if (!SAYS_WHAT_IS_MISSING.has(module)) return next()
  }
  call.log.debug('action_started', { module })
  try {
    return await action(filled, call)
  } catch (error) {
    if (call.signal.aborted || isCode(error, 'leg_gone') || isCode(error, 'leg_taken') || isCode(error, 'switch_down')) throw error
    call.log.error('action_failed', { module, reason: reasonOf(error) })
    return next()
  }
}
