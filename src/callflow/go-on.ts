// A call that a voice application had when its engine went is where it was: in its callflow, and in its actions.

import { isCode, reasonOf } from '../errors.ts'
import type { Call } from './call.ts'
import type { Position } from './flow.ts'

/** What an action has its leg do until it is over, and has it do again. */
const PLAYS: ReadonlySet<string> = new Set(['playback', 'speak', 'record', 'play_and_get_digits', 'conference'])

/** Nothing, for a call that begins. */
export async function goOn(call: Call): Promise<void> {
  const { leg, log, node, ports } = call
  const place = leg.variables['callrec_node'] === undefined ? undefined : await ports.voice.placeOf(leg)
  if (place === undefined) return
  call.at = place.flow as Position
  call.place = place
  log.info('voice_application_goes_on', { action: place.at, of: place.actions.length })
  if (!PLAYS.has(leg.variables['current_application'] ?? '')) return
  await node.interrupt(leg.uuid).catch((error: unknown) => {
    if (isCode(error, 'leg_gone') || isCode(error, 'switch_down')) throw error
    log.warn('application_not_ended', { reason: reasonOf(error) })
  })
}
