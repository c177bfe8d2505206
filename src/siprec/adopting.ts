// After a gap in what the switch told, and for an engine that is gone: its dialogs died with it, so its calls are recorded anew.

import { reasonOf } from '../errors.ts'
import { IN_FLIGHT } from '../recording/document.ts'
import { knownRecording } from '../recording/known.ts'
import { assertQueued, assertSession, isUnreadable } from '../recording/readable.ts'
import type { SiprecInFlight, SiprecRecording } from './document.ts'
import type { Roster, SiprecPorts } from './roster.ts'

export async function adopt({ switches, store, log }: Pick<SiprecPorts, 'switches' | 'store' | 'log'>, roster: Roster, name: string): Promise<void> {
  const node = switches.node(name)
  const rows = await store.query(IN_FLIGHT, 'in_flight/siprec_by_node', { key: name, includeDocs: true })
  const mine = new Set(roster.all.map(one => one.id))
  const here = roster.all.filter(({ inFlight }) => inFlight.siprec_node === name)
  for (const one of here) roster.quietly((await node.exists(one.leg)) ? one.met() : one.end('stopped'), one.leg)
  const found = rows.map(({ doc }) => doc as unknown as SiprecInFlight).filter(({ _id }) => !mine.has(_id))
  if (found.length === 0 || roster.isClosed) return
  for (const leg of await node.legs()) {
    if (leg.variables['callrec_recording_leg'] === 'true') await node.hangup(leg.uuid, 'NORMAL_CLEARING').catch(() => undefined)
  }
  for (const inFlight of found) {
    try {
      await adoptOne(inFlight)
    } catch (error) {
      // What nobody can read keeps no other recording from being adopted.
      if (!isUnreadable(error)) throw error
      log.error('recording_not_adopted', { node: name, recording_id: inFlight._id, reason: reasonOf(error) })
    }
  }
  log.info('siprec_adopted', { node: name, recordings: found.length })

  async function adoptOne(inFlight: SiprecInFlight): Promise<void> {
    assertQueued(inFlight)
    const recording = await knownRecording<SiprecRecording>(store, inFlight)
    if (recording === undefined) return store.purge(IN_FLIGHT, inFlight._id)
    assertSession(inFlight, recording)
    const one = roster.add(inFlight, recording)
    const leg = await node.leg(inFlight.leg)
    if (leg === undefined) await one.end('failed', 'the engine that recorded it went, and the call ended meanwhile')
    else if (leg.answered) roster.quietly(roster.begin(one), one.leg)
  }
}
