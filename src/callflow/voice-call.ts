// A call of the callflow as the Voice API's interpreter takes it: the same leg, the same ways to ring somebody, and
// the same policy for whoever is rung.

import { isCode } from '../errors.ts'
import type { VoiceFacts } from '../recording/document.ts'
import { accountDb } from '../store/modb.ts'
import type { Leg } from '../switch/switch.ts'
import type { Dial, Dialled, VoiceCall } from '../voice/call.ts'
import type { Endpoint } from '../voice/ncco.ts'
import { isPlacedId } from '../voice/outgoing.ts'
import { resources } from './actions/resources.ts'
import { type Call, execute } from './call.ts'
import { text } from './documents.ts'
import { fromTrunk } from './e164.ts'
import { deviceAlone, devicesOfUser, type Endpoint as Phone } from './endpoint.ts'
import { ring } from './ring.ts'
import type { Outcome } from './flow.ts'
import { next } from './flow.ts'
import { callerFacts } from './recording.ts'

export function voiceCall(call: Call): VoiceCall {
  const { leg, node, ports, signal } = call
  const { uuid } = leg
  const placed = isPlacedId(call.dialled._id)
  return {
    uuid,
    accountId: call.accountId,
    // Once it is answered a switch names who was called as the caller of a leg that it has made.
    from: placed ? text(call.dialled['from']) : leg.callerIdNumber,
    to: call.number,
    placed,
    node,
    signal,
    log: call.log,
    answered: () => call.leg.answered,
    variable: name => call.leg.variables[name],
    onAnswer(then) {
      const stop = ports.switches.on(event => {
        if (event.name !== 'CHANNEL_ANSWER' || event.leg.uuid !== uuid) return
        stop()
        then()
      })
      signal.addEventListener('abort', stop, { once: true })
    },
    set: variables => node.setVariables(uuid, variables),
    execute: (app, argument) => execute(call, app, argument),
    startRecording: (settings, pvt_voice: VoiceFacts, more) =>
      ports.recorder.start({
        accountId: call.accountId,
        leg: call.leg,
        fresh: false,
        side: 'caller',
        facts: { ...callerFacts(call), pvt_voice },
        settings,
        origin: 'ncco',
        by: 'action',
        ...more,
      }),
    dial: (to, how) => dial(call, to, how),
    async breakOff() {
      const now = await node.leg(uuid)
      if (now?.otherLeg !== undefined) return node.hangup(now.otherLeg, 'NORMAL_CLEARING')
      const rung = (await node.legs()).filter(one => isRungFor(one, uuid))
      if (rung.length === 0) return node.interrupt(uuid)
      await Promise.all(rung.map(one => node.hangup(one.uuid, 'ORIGINATOR_CANCEL').catch(unlessGone)))
    },
  }
}

/** A bridge that rings is not ended by uuid_break, but by the end of whom it rings. */
const isRungFor = ({ answered, uuid, variables }: Leg, caller: string): boolean =>
  !answered && uuid !== caller && variables['callrec_call_id'] === caller && variables['callrec_recording_leg'] !== 'true'

function unlessGone(error: unknown): void {
  if (!isCode(error, 'leg_gone')) throw error
}

async function dial(call: Call, to: Endpoint, { from, timeout, limit, talking }: Dial): Promise<Dialled> {
  const { clock, switches } = call.ports
  if (from !== undefined) {
    const refused = await whyNotShown(call, from)
    if (refused !== undefined) return refused
  }
  let cancel = (): void => {}
  const stop = switches.on(event => {
    if (event.name !== 'CHANNEL_BRIDGE' || event.leg.uuid !== call.leg.uuid) return
    const { otherLeg } = event
    talking(otherLeg)
    cancel()
    cancel = clock.after(limit * 1000, () => {
      call.node.hangup(otherLeg, 'ALLOTTED_TIMEOUT').catch((error: unknown) => {
        if (!isCode(error, 'leg_gone')) call.log.warn('talk_not_ended', { why: String(error) })
      })
    })
  })
  const shown = call.showsNumber
  call.showsNumber = from
  try {
    const outcome = await rung(call, to, timeout)
    return { answered: outcome.go === 'stop', cause: outcome.go === 'next' ? (outcome.keys[0] ?? '') : '' }
  } finally {
    call.showsNumber = shown
    stop()
    cancel()
  }
}

/** Whoever may call in the name of others could call in the name of a bank. */
async function whyNotShown(call: Call, from: string): Promise<Dialled | undefined> {
  const number = fromTrunk(from)
  const claim = number === undefined ? undefined : await call.ports.store.get('numbers', number)
  if (claim !== undefined && claim['pvt_deleted'] !== true && claim['pvt_account_id'] === call.accountId) return undefined
  call.log.warn('caller_id_refused', { from, why: 'the account has not claimed this number' })
  return { answered: false, cause: 'CALLER_ID_REFUSED' }
}

async function rung(call: Call, to: Endpoint, timeout: number): Promise<Outcome> {
  if (to.type === 'phone') return resources({ to_did: to.number, timeout }, call)
  const phones = await phonesOf(call, to)
  if (phones === undefined || phones.length === 0) {
    call.log.warn('endpoint_not_found', { endpoint_type: to.type })
    return next('UNALLOCATED_NUMBER')
  }
  return ring(call, { endpoints: phones, forwards: 'ignored', timeout, strategy: 'simultaneous', canCallSelf: false })
}

async function phonesOf(call: Call, to: Exclude<Endpoint, { type: 'phone' }>): Promise<Phone[] | undefined> {
  const { store } = call.ports
  const db = accountDb(call.accountId)
  if (to.type === 'device') return deviceAlone(store, db, to.id)
  if (to.type === 'user') return devicesOfUser(store, db, to.id)
  const [name = '', realm = ''] = ('uri' in to ? to.uri : '').replace(/^sip:/, '').split('@')
  if (realm.toLowerCase() !== text(call.account['realm']).toLowerCase()) return undefined
  const rows = await store.query(db, 'devices/listing_by_username', { key: name.toLowerCase() })
  const found = await Promise.all(rows.map(({ id }) => deviceAlone(store, db, id)))
  return found.flatMap(phones => phones ?? [])
}
