// A scripted stand-in for the Switches port: what was sent is kept, what comes back is the test's to say.
// It knows just enough of legs to answer, hang up and bridge; the embedded switch is the real thing.

import { AppError } from '../../src/errors.ts'
import type { ExecuteResult, Leg, SwitchEvent, Switches, SwitchNode } from '../../src/switch/switch.ts'
import { aTable } from './table.ts'
import { PATIENCE } from './wait.ts'
import { aLeg } from './legs.ts'

export interface Sent {
  what: string
  uuid: string
  /** Application and argument, variables, or a hangup cause. */
  detail: unknown
}

/** How a bridge goes; legs of `never` were not even made. */
export type BridgeScript =
  | { answered: true }
  | { cause: string; sip?: string; never?: boolean }
  /** Rings until the caller hangs up, or the test ends it. */
  | { rings: true }

export interface FakeSwitch {
  switches: Switches
  sent: Sent[]
  /** Everything that could be expanded by the switch: applications and their arguments. */
  executed(): string[]
  legs: Map<string, Leg>
  /** One after the other; the last one again and again. */
  bridges: BridgeScript[]
  /** What the caller presses when he is asked, one answer after the other; then nothing. */
  pressed: string[]
  /** Set to make a command fail: by its name or by the application's. */
  fail: Map<string, AppError>
  /** Modules that are loaded. */
  modules: Record<string, boolean>
  /** A leg comes and is parked; answers its uuid. */
  park(leg?: Partial<Leg>): string
  /** As `park`, but nobody is told. */
  waiting(leg?: Partial<Leg>): string
  /** As the switch would tell of it. */
  leg(uuid: string): Leg
  emit(event: SwitchEvent): void
  hangup(uuid: string, cause?: string): void
  /** Resolves when something of that name has been sent; rejects when it does not come. */
  until(what: string, times?: number): Promise<Sent>
}

export function fakeSwitch(name = 'fs1'): FakeSwitch {
  const listeners = new Set<(event: SwitchEvent) => void>()
  const legs = new Map<string, Leg>()
  const sent: Sent[] = []
  const bridges: BridgeScript[] = []
  const pressed: string[] = []
  const fail = new Map<string, AppError>()
  const modules: Record<string, boolean> = {}
  const pending = new Map<string, (error: AppError) => void>()
  const waiters = new Set<() => void>()
  let counter = 0

  const emit = (event: SwitchEvent): void => {
    for (const listener of listeners) listener(event)
  }

  function note(what: string, uuid: string, detail: unknown): void {
    sent.push({ what, uuid, detail })
    for (const waiter of waiters) waiter()
    const error = fail.get(what)
    if (error !== undefined) throw error
    if (!legs.has(uuid)) throw new AppError('leg_gone', `no leg ${uuid}`)
  }

  const legOf = (uuid: string): Leg => {
    const leg = legs.get(uuid)
    if (leg === undefined) throw new AppError('leg_gone', `no leg ${uuid}`)
    return leg
  }

  function change(uuid: string, change: Partial<Leg>): Leg {
    const leg = { ...legOf(uuid), ...change }
    legs.set(uuid, leg)
    return leg
  }

  function add(partial: Partial<Leg>): Leg {
    counter += 1
    const leg = aLeg(`00000000-0000-4000-8000-${String(counter).padStart(12, '0')}`, {
      node: name,
      answered: false,
      destination: '1000',
      ...partial,
      variables: { current_application: 'park', ...partial.variables },
    })
    legs.set(leg.uuid, leg)
    return leg
  }

  function hangup(uuid: string, cause = 'NORMAL_CLEARING'): void {
    const leg = legs.get(uuid)
    if (leg === undefined) return
    legs.delete(uuid)
    pending.get(uuid)?.(new AppError('leg_gone', `leg ${uuid} hung up`))
    emit({ name: 'CHANNEL_HANGUP_COMPLETE', leg, at: 0, cause })
    emit({ name: 'CHANNEL_DESTROY', leg, at: 0 })
  }

  function bridge(uuid: string, argument: string): Promise<Leg> | Leg {
    const script = (bridges.length > 1 ? bridges.shift() : bridges[0]) ?? { answered: true }
    const rung = [...argument.matchAll(/origination_uuid=([0-9a-f-]+)/g)].map(([, id = '']) => id)
    const disposition = (value: string): Leg => change(uuid, { variables: { ...legOf(uuid).variables, originate_disposition: value } })
    if ('rings' in script) return new Promise<Leg>((_resolve, reject) => pending.set(uuid, reject))
    const made = 'cause' in script && script.never === true ? [] : rung.map(id => add({ uuid: id, direction: 'outbound' }))
    if ('cause' in script) {
      for (const leg of made) {
        change(leg.uuid, { variables: script.sip === undefined ? {} : { sip_invite_failure_status: script.sip } })
        hangup(leg.uuid, script.cause)
      }
      return disposition(script.cause)
    }
    const [first, ...losers] = made
    if (first === undefined) throw new Error(`nobody to answer in ${argument}`)
    emit({ name: 'CHANNEL_ANSWER', leg: change(first.uuid, { answered: true }), at: 0 })
    for (const leg of losers) hangup(leg.uuid, 'LOSE_RACE')
    emit({ name: 'CHANNEL_ANSWER', leg: change(uuid, { answered: true }), at: 0 })
    emit({ name: 'CHANNEL_BRIDGE', leg: change(uuid, { otherLeg: first.uuid }), otherLeg: first.uuid, at: 0 })
    hangup(first.uuid)
    return disposition('SUCCESS')
  }

  async function execute(uuid: string, app: string, arg = ''): Promise<ExecuteResult> {
    note(app, uuid, arg)
    if (app === 'answer') emit({ name: 'CHANNEL_ANSWER', leg: change(uuid, { answered: true }), at: 0 })
    if (app === 'play_and_get_digits') {
      const { callrec_digits: _, ...variables } = legOf(uuid).variables
      const digits = pressed.shift() ?? ''
      return {
        response: '_none_',
        taken: false,
        cutOff: false,
        leg: change(uuid, { variables: digits === '' ? variables : { ...variables, callrec_digits: digits } }),
      }
    }
    if (app === 'bridge') {
      const leg = await bridge(uuid, arg)
      // As a real one does; the call has its callrec_node by now.
      emit({ name: 'CHANNEL_PARK', leg, at: 0 })
      return { response: '_none_', leg, taken: false, cutOff: false }
    }
    if (app === 'playback' && arg === 'silence_stream://-1') return new Promise((_resolve, reject) => pending.set(uuid, reject))
    return { response: app === 'playback' ? 'FILE PLAYED' : '_none_', leg: legOf(uuid), taken: false, cutOff: false }
  }

  const unused = (): Promise<never> => Promise.reject(new Error('not scripted'))

  const node: SwitchNode = {
    name,
    table: aTable(),
    status: () => ({ name, state: 'up', address: '127.0.0.1:0', modules, formats: [] }),
    clock: () => Promise.resolve(0),
    expandsCommands: () => Promise.resolve(false),
    hasFile: unused,
    exists: uuid => Promise.resolve(legs.has(uuid)),
    async legs() {
      const error = fail.get('legs')
      if (error !== undefined) throw error
      return [...legs.values()]
    },
    async leg(uuid) {
      const error = fail.get('leg')
      if (error !== undefined) throw error
      return legs.get(uuid)
    },
    execute,
    recordMessage: unused,
    interrupt: async uuid => note('interrupt', uuid, undefined),
    async setVariables(uuid, variables) {
      note('setVariables', uuid, variables)
      const set = Object.entries(variables).filter((one): one is [string, string] => one[0].startsWith('callrec_') && one[1] !== null)
      change(uuid, { variables: { ...legOf(uuid).variables, ...Object.fromEntries(set) } })
    },
    record: unused,
    stopRecording: unused,
    mask: unused,
    unmask: unused,
    pause: unused,
    resume: unused,
    beep: unused,
    stopBeep: unused,
    recordings: unused,
    originate: unused,
    async transfer(uuid, number, context) {
      note('transfer', uuid, `${number} ${context}`)
    },
    tap: unused,
    packetsSent: unused,
    async hangup(uuid, cause) {
      note('hangup', uuid, cause)
      hangup(uuid, cause)
    },
    async cancelScheduledHangup(uuid) {
      note('cancelScheduledHangup', uuid, undefined)
    },
    forgetPhones: unused,
  }

  return {
    switches: {
      nodes: [node],
      node(wanted) {
        if (wanted !== name) throw new AppError('switch_down', `there is no switch named ${wanted}`)
        return node
      },
      on(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      close: () => Promise.resolve(),
    },
    sent,
    executed: () =>
      sent
        .filter(({ what }) => !['setVariables', 'hangup', 'cancelScheduledHangup'].includes(what))
        .map(({ what, detail }) => `${what} ${String(detail)}`.trim()),
    legs,
    bridges,
    pressed,
    fail,
    modules,
    park(partial = {}) {
      const leg = add(partial)
      emit({ name: 'CHANNEL_PARK', leg, at: 0 })
      return leg.uuid
    },
    waiting: (partial = {}) => add(partial).uuid,
    leg: legOf,
    emit,
    hangup,
    until(what, times = 1) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(look)
          reject(new Error(`no ${what} within ${PATIENCE} ms; sent: ${JSON.stringify(sent)}`))
        }, PATIENCE)
        function look(): void {
          const found = sent.filter(one => one.what === what)[times - 1]
          if (found === undefined) return
          waiters.delete(look)
          clearTimeout(timer)
          resolve(found)
        }
        waiters.add(look)
        look()
      })
    },
  }
}
