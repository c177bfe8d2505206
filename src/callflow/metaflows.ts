// Keys pressed in mid-call: finds whose metaflows they may begin, and does what those say. It stands beside the flows,
// because a call goes on in its flow, or in a bridge, whatever its keys do. Digits are never logged.

import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import { createTurns } from '../in-turn.ts'
import type { Log } from '../log.ts'
import type { Recorder } from '../recording/recorder.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg, SwitchEvent, Switches } from '../switch/switch.ts'
import { type CallControl, PLAY_TO, RECORD_ACTIONS } from './control.ts'
import { live, text } from './documents.ts'
import { type Found, given, merged, type Metaflows, press, type Pressed, stepOf, unmaskingOnly } from './keys.ts'
import { idsOf } from './talk.ts'

export interface KeyPorts {
  switches: Switches
  store: Store
  recorder: Pick<Recorder, 'wishOf'>
  control: CallControl
  /** Call time. */
  clock: Clock
  log: Log
}

export interface Keys {
  /** Resolves when what keys began is done. */
  close(): Promise<void>
}

/** Where a callflow's `metaflow` action keeps what it says: on the leg, so that it outlives the engine. */
export const ON_LEG = 'callrec_metaflows'

/** Steps that follow each other by `_`; a circle of them is none that a document can hold, but it may come by another way. */
const MOST_STEPS = 50

interface Collector {
  pressed: Pressed
  cancel: () => void
}

type DtmfEvent = Extract<SwitchEvent, { name: 'DTMF' }>

/** Whose metaflows they are, and whom he talks with. */
interface Party {
  leg: Leg
  peer: Leg | undefined
  metaflows: Metaflows
}

export function startKeys({ switches, store, recorder, control, clock, log }: KeyPorts): Keys {
  const inTurn = createTurns()
  /** By the party's leg and the leg that presses. */
  const collectors = new Map<string, Collector>()
  /** What documents say of a leg, as long as it lives. */
  const known = new Map<string, Promise<Metaflows | undefined>>()
  const working = new Set<Promise<void>>()

  const later = (leg: Leg, work: () => Promise<void>): void => see(leg, inTurn(leg.uuid, work))

  function see(leg: Leg, work: Promise<void>): void {
    const one = work.catch((error: unknown) => log.error('keys_not_served', { ...aboutOf(leg), reason: reasonOf(error) })).finally(() => working.delete(one))
    working.add(one)
  }

  async function pressed({ leg, digit }: DtmfEvent): Promise<void> {
    const other = leg.otherLeg === undefined ? undefined : await switches.node(leg.node).leg(leg.otherLeg)
    for (const party of await partiesOf(leg, other)) {
      const masked = recorder.wishOf(interactionOf(party.leg)).mask !== undefined
      if (collect(leg, masked ? { ...party, metaflows: unmaskingOnly(party.metaflows) } : party, digit)) return
    }
  }

  /** His own metaflows first: what they know is done, and not by those of the other party as well. */
  async function partiesOf(leg: Leg, other: Leg | undefined): Promise<Party[]> {
    const own = await metaflowsOf(leg)
    const others = other === undefined ? undefined : await metaflowsOf(other)
    return [
      ...(own !== undefined && own.listen_on !== 'peer' ? [{ leg, peer: other, metaflows: own }] : []),
      ...(other !== undefined && others !== undefined && others.listen_on !== 'self' ? [{ leg: other, peer: leg, metaflows: others }] : []),
    ]
  }

  /** True when something began. */
  function collect(presser: Leg, party: Party, digit: string): boolean {
    const key = `${party.leg.uuid} ${presser.uuid}`
    const before = collectors.get(key)
    before?.cancel()
    const { pressed, found, waitMs } = press(before?.pressed, digit, party.metaflows)
    if (pressed === undefined) collectors.delete(key)
    else {
      const cancel = clock.after(waitMs ?? 0, () => {
        collectors.delete(key)
        const late = given(pressed, party.metaflows)
        if (late !== undefined) begin(presser, party, late)
      })
      collectors.set(key, { pressed, cancel })
    }
    if (found === undefined) return false
    begin(presser, party, found)
    return true
  }

  /** What is played takes its time, and the next key may be one that masks. */
  function begin(presser: Leg, party: Party, found: Found): void {
    drop(key => key.endsWith(` ${presser.uuid}`))
    later(presser, async () => (plays(found.step) ? see(presser, run(party, found)) : run(party, found)))
  }

  async function run(party: Party, { step, key, captures }: Found): Promise<void> {
    const about = { ...aboutOf(party.leg), by: `key ${key}` }
    let next = stepOf(step)
    for (let steps = 0; next !== undefined && steps < MOST_STEPS; steps++) {
      log.info('metaflow_started', { ...about, module: next.module })
      try {
        await act(party, next, captures, `key ${key}`)
      } catch (error) {
        return log.warn('metaflow_failed', { ...about, module: next.module, reason: reasonOf(error) })
      }
      next = stepOf(next.children['_'])
    }
  }

  async function act(
    { leg, peer }: Party,
    { module, data }: { module: string; data: Readonly<Record<string, unknown>> },
    captures: readonly string[],
    by: string,
  ): Promise<void> {
    switch (module) {
      case 'record_call': {
        const { action, ...settings } = data
        const accountId = leg.variables['callrec_account_id'] ?? ''
        await control.record({ accountId, leg, action: RECORD_ACTIONS.find(one => one === action) ?? 'toggle', settings, by })
        return
      }
      case 'siprec_recording':
        await control.siprec({ accountId: leg.variables['callrec_account_id'] ?? '', leg, data, by })
        return
      case 'hangup':
        return control.hangup(leg)
      case 'play':
        return control.play(leg, data['id'], PLAY_TO.find(one => one === data['leg']) ?? 'both')
      case 'transfer': {
        const target = text(data['target']) || (captures[0] ?? '')
        if (peer === undefined) throw new Error('the leg talks with nobody')
        return control.transfer(peer, target)
      }
      default:
        throw new Error(`no metaflow ${module}`)
    }
  }

  function metaflowsOf(leg: Leg): Promise<Metaflows | undefined> {
    // A callflow may say something new in the middle of a call.
    const key = `${leg.uuid} ${leg.variables[ON_LEG] ?? ''}`
    const found = known.get(key) ?? read(leg)
    known.set(key, found)
    found.catch(() => known.delete(key))
    return found
  }

  /** A stranger from a trunk presses no keys of the account, unless the callflow that he called says so. */
  async function read({ uuid, variables }: Leg): Promise<Metaflows | undefined> {
    const { callrec_account_id: accountId = '', callrec_device_id: deviceId = '', callrec_callflow_id: callflowId = '', callrec_call_id: callId } = variables
    if (!isId(accountId)) return undefined
    const db = accountDb(accountId)
    const named = (id: string): Promise<Doc | undefined> => (isId(id) ? store.get(db, id) : Promise.resolve(undefined))
    const isCaller = callId === uuid
    const [account, phone, flow] = await Promise.all([store.get('accounts', accountId), named(deviceId), isCaller ? named(callflowId) : undefined])
    const device = live(phone, 'device')
    const user = live(await named(text(device?.['owner_id'])), 'user')
    const own = device === undefined ? [] : [account?.['metaflows'], user?.['metaflows'], device['metaflows']]
    return merged([...own, live(flow, 'callflow')?.['metaflows'], ...(isCaller ? [onLeg(variables[ON_LEG])] : [])])
  }

  function forget(uuid: string): void {
    for (const key of known.keys()) if (key.startsWith(`${uuid} `)) known.delete(key)
    drop(key => key.includes(uuid))
  }

  function drop(is: (key: string) => boolean): void {
    for (const [key, { cancel }] of collectors) {
      if (!is(key)) continue
      cancel()
      collectors.delete(key)
    }
  }

  const unsubscribe = switches.on(event => {
    if (event.name === 'DTMF') later(event.leg, () => pressed(event))
    else if (event.name === 'CHANNEL_DESTROY') forget(event.leg.uuid)
  })

  return {
    async close() {
      unsubscribe()
      for (const { cancel } of collectors.values()) cancel()
      await Promise.all(working)
    },
  }
}

function plays(step: Found['step']): boolean {
  let next: ReturnType<typeof stepOf> = step
  for (let steps = 0; next !== undefined && steps < MOST_STEPS; steps++) {
    if (next.module === 'play') return true
    next = stepOf(next.children['_'])
  }
  return false
}

const interactionOf = ({ uuid, variables }: Leg): string => variables['callrec_interaction_id'] ?? uuid

const aboutOf = (leg: Leg) => ({ account_id: leg.variables['callrec_account_id'], ...idsOf(leg) })

function onLeg(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : (JSON.parse(json) as unknown)
  } catch {
    return undefined
  }
}
