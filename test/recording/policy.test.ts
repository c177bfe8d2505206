import test from 'ava'
import fc from 'fast-check'
import { decideAccount, decideAction, decideCallee, decideCaller, decideCallerLeg, type Documents, type Way } from '../../src/recording/policy.ts'
import { LAYERS, NETWORKS, SETTINGS, valuesOf } from '../../src/recording/settings.ts'
import { MATRIX, nameOf } from '../helpers/matrix.ts'

const way: Way = { from: 'onnet', to: 'onnet', maxTimeLimit: 10_800 }
const none: Documents = { callflows: [] }
const on = { record_call: true }

test('a call that no document speaks of is not recorded, and the answer says so', t => {
  for (const decision of [decideCaller(none, way), decideCallee(none, way, [])]) {
    t.false(decision.record)
    t.regex(decision.why, /nobody switches/)
  }
})

test('a user whose record_call is true is recorded as caller and as callee, each under its own origin', t => {
  const caller = decideCaller({ ...none, user: on }, way)
  t.true(caller.record)
  t.is(caller.origin, 'outbound to onnet from endpoint')
  t.regex(caller.why, /outbound onnet.*yes, says user/)
  const callee = decideCallee({ ...none, user: on }, way, [])
  t.true(callee.record)
  t.is(callee.origin, 'inbound from onnet to endpoint')
})

test('a device that says no is stronger than the account that says yes', t => {
  const { record, why } = decideCaller({ ...none, account: on, device: { record_call: false } }, way)
  t.false(record)
  t.regex(why, /no, says device/)
})

test('a callflow document is stronger than the device, and the one branched into than the one dialled', t => {
  const device = { record_call: false }
  t.true(decideCaller({ device, callflows: [on] }, way).record)
  t.false(decideCaller({ device, callflows: [on, { record_call: false }] }, way).record)
})

test('the caller is judged by outbound to where the call goes, the callee by inbound from where it came', t => {
  const user = { call_recording: { outbound: { offnet: { enabled: true } }, inbound: { onnet: { enabled: true } } } }
  t.false(decideCaller({ ...none, user }, way).record)
  const out = decideCaller({ ...none, user }, { ...way, to: 'offnet' })
  t.true(out.record)
  t.is(out.origin, 'outbound to offnet from endpoint')
  t.true(decideCallee({ ...none, user }, way, []).record)
  t.false(decideCallee({ ...none, user }, { ...way, from: 'offnet' }, []).record)
})

test('a caller from a trunk is judged by account and callflow alone', t => {
  const from: Way = { ...way, from: 'offnet' }
  t.false(decideCaller({ ...none, user: on, device: on }, from).record)
  t.true(decideCaller({ ...none, account: on }, from).record)
  t.true(decideCaller({ callflows: [{ call_recording: { inbound: { offnet: { enabled: true } } } }] }, from).record)
})

test('an account speaks for its endpoints in call_recording.endpoint; call_recording.account is not theirs', t => {
  const enabled = { any: { any: { enabled: true } } }
  t.true(decideCaller({ ...none, account: { call_recording: { endpoint: enabled } } }, way).record)
  t.false(decideCaller({ ...none, account: { call_recording: { account: enabled } } }, way).record)
  t.false(decideCaller({ ...none, account: { call_recording: enabled } }, way).record)
})

test('a callee is not recorded twice for one flag of the account', t => {
  const account = { record_call: { format: 'wav' } }
  const running = [decideCaller({ ...none, account }, way).settings]
  const decision = decideCallee({ ...none, account }, way, running)
  t.false(decision.record)
  t.regex(decision.why, /same settings, and account/)
})

test('a callee whose own document asks is recorded beside the caller, and so is one with other settings', t => {
  const account = { record_call: { format: 'wav' } }
  const running = [decideCaller({ ...none, account }, way).settings]
  t.true(decideCallee({ ...none, account, user: on }, way, running).record)
  t.true(decideCallee({ ...none, account, device: { record_call: { format: 'mp3' } } }, way, running).record)
  t.true(decideCallee({ ...none, account: { ...account, call_recording: { endpoint: { inbound: { any: { time_limit: 60 } } } } } }, way, running).record)
})

test('a phone that is rung cannot be recorded before it answers, whatever a layer says', t => {
  const asked = (record_call: object) => valuesOf(decideCallee({ ...none, user: { record_call } }, way, []).settings)
  t.is(asked({ record_on_answer: false }).record_on_answer, true)
  t.like(asked({ record_on_answer: false, record_on_bridge: true }), { record_on_answer: false, record_on_bridge: true })
})

test('who says that he waits for the bridge does not begin at the answer, unless somebody says that as well', t => {
  const waits = (documents: Partial<Documents>) => {
    const all = { ...none, ...documents }
    return [decideCaller(all, way), decideCallee(all, way, [])].map(({ settings }) => [settings.record_on_answer?.value, settings.record_on_bridge?.value])
  }
  const user = { record_call: { record_on_bridge: true } }
  t.deepEqual(waits({ user }), [
    [false, true],
    [false, true],
  ])
  t.deepEqual(waits({ user, account: { record_call: { record_on_answer: true } } }), [
    [true, true],
    [true, true],
  ])
  const account = { call_recording: { account: { any: { any: { enabled: true, record_on_bridge: true } } } } }
  t.is(decideAccount({ ...none, account }, way).settings.record_on_answer?.value, false)
})

test('policy waits for the answer; an action starts where it stands and lasts an hour unless it says otherwise', t => {
  t.like(valuesOf(decideCaller({ ...none, user: on }, way).settings), { record_on_answer: true, stereo: true, method: 'put' })
  t.is(decideCaller({ ...none, user: on }, way).settings.time_limit, undefined)
  const { record, origin, settings } = decideAction(none, way, { action: 'start' }, 'Main')
  t.true(record)
  t.is(origin, 'callflow : Main')
  t.like(valuesOf(settings), { enabled: true, record_on_answer: false, time_limit: 3600 })
})

test('an action records whatever the flags say, takes what it does not say from them, and its own word wins', t => {
  const documents: Documents = {
    account: { record_call: { url: 'https://example.com/a', time_limit: 600 } },
    device: { record_call: false },
    callflows: [],
  }
  const { settings } = decideAction(documents, way, { format: 'wav', time_limit: 60, label: 'x', enabled: false }, 'x')
  t.deepEqual(settings.enabled, { value: true, from: 'action' })
  t.deepEqual(settings.url, { value: 'https://example.com/a', from: 'account' })
  t.deepEqual(settings.time_limit, { value: 60, from: 'action' })
  t.is(decideAction(documents, way, 'nonsense', 'x').settings.time_limit?.value, 600)
})

test('nobody gets more than the operator allows, and the layer that asked is still named', t => {
  const small: Way = { ...way, maxTimeLimit: 300 }
  t.deepEqual(decideCaller({ ...none, user: { record_call: { time_limit: 600 } } }, small).settings.time_limit, { value: 300, from: 'user' })
  t.deepEqual(decideAction(none, small, {}, 'x').settings.time_limit, { value: 300, from: 'system' })
  t.is(decideCaller({ ...none, user: { record_call: { time_limit: 60 } } }, small).settings.time_limit?.value, 60)
})

for (const cell of MATRIX) {
  test(`matrix: ${nameOf(cell)} ${cell.recorded === undefined ? 'records nothing' : `records the ${cell.recorded.leg}`}`, t => {
    const { kind, flag, recorded } = cell
    const call_recording = { [flag.direction]: { [flag.network]: { enabled: true } } }
    const ofAccount: Documents = { ...none, account: { call_recording: { [flag.of]: call_recording } } }
    const asked = flag.of === 'account' ? ofAccount : { ...none, user: { call_recording } }
    const made = (documents: Documents): (readonly [string, string])[] => {
      const leg = decideCallerLeg(documents, { ...way, ...kind }).filter(({ record }) => record)
      const settings = leg.map(one => one.settings)
      // Who leaves by a trunk rings nobody of the account.
      const rung = kind.to === 'offnet' ? [] : [decideCallee(documents, { ...way, ...kind }, settings)].filter(({ record }) => record)
      return [...leg.map(({ origin }) => ['caller', origin] as const), ...rung.map(({ origin }) => ['callee', origin] as const)]
    }
    t.deepEqual(made(asked), recorded === undefined ? [] : [[recorded.leg, recorded.origin]])
    // The same flag as the account's word for all its endpoints makes the same file, if perhaps from the other side.
    t.deepEqual(
      made(ofAccount).map(([, origin]) => origin),
      recorded === undefined ? [] : [recorded.origin],
    )
  })
}

test('the account’s own policy records a call once: where it came from is asked first, where it goes only after that', t => {
  const account = (inbound: boolean, outbound: boolean) => ({
    call_recording: { account: { inbound: { onnet: { enabled: inbound, format: 'wav' } }, outbound: { any: { enabled: outbound, format: 'mp3' } } } },
  })
  const decided = (inbound: boolean, outbound: boolean) => decideAccount({ ...none, account: account(inbound, outbound) }, { ...way, to: 'offnet' })
  t.like(decided(true, true), { record: true, origin: 'inbound from onnet to account', settings: { format: { value: 'wav', from: 'account' } } })
  t.like(decided(false, true), { record: true, origin: 'outbound to offnet from account', settings: { format: { value: 'mp3', from: 'account' } } })
  t.false(decided(false, false).record)
  t.regex(decided(false, true).why, /says no of calls that come from onnet, and says yes of calls that go to offnet/)
})

test('nobody below the account switches its own policy off (C5)', t => {
  const off = { call_recording: { any: { any: { enabled: false } } } }
  const account = { call_recording: { account: { inbound: { offnet: { enabled: true } } } } }
  const documents: Documents = { account, user: off, device: off, callflows: [off] }
  const decisions = decideCallerLeg(documents, { ...way, from: 'offnet' })
  t.deepEqual(
    decisions.filter(({ record }) => record).map(({ origin }) => origin),
    ['inbound from offnet to account'],
  )
  t.false(decideCallee(documents, { ...way, from: 'offnet' }, []).record)
})

test('what the account says of itself is not inherited by its endpoints, nor the other way round', t => {
  const enabled = { any: { any: { enabled: true } } }
  t.false(decideAccount({ ...none, account: { call_recording: { endpoint: enabled } } }, way).record)
  t.false(decideAccount({ ...none, account: { record_call: true, call_recording: enabled } }, way).record)
  t.false(decideAccount(none, way).record)
})

test('a limit above MAX_TIME_LIMIT is the maximum, at it or below it stays, and none stays none (C6)', t => {
  const limit = (time_limit?: number) =>
    decideCaller({ ...none, user: { record_call: time_limit === undefined ? true : { time_limit } } }, way).settings.time_limit?.value
  t.deepEqual([limit(), limit(3600), limit(10_800)], [undefined, 3600, 10_800])
  // A value that no schema lets through says nothing.
  t.is(limit(20_000), undefined)
})

test('nobody can refuse to be recorded where the account does not let him, whichever layer offers him a key', t => {
  const announce = { media: 'tone_stream://%(1,0,440)', optout_key: '9' }
  const said = (documents: Documents): unknown =>
    [decideCaller(documents, way), decideCallee(documents, way, []), decideAction(documents, way, { announce }, 'x')].map(
      ({ settings }) => settings.announce?.value && settings.announce.value.optout_key,
    )
  const user = { record_call: { announce } }
  t.deepEqual(said({ ...none, user }), [undefined, undefined, undefined])
  t.deepEqual(said({ ...none, user, mayRefuse: true }), ['9', '9', '9'])
  const account = { call_recording: { account: { any: { any: { enabled: true, announce } } } } }
  t.is(decideAccount({ ...none, account }, way).settings.announce?.from, 'account')
  t.like(decideAccount({ ...none, account, mayRefuse: true }, way).settings.announce?.value, { optout_key: '9' })
  t.notThrows(() => decideCaller({ ...none, user: { record_call: { announce: false } } }, way))
})

const word = fc.oneof(
  fc.boolean(),
  fc.constantFrom('true', 'false', 'yes', null, 7),
  fc.record({ enabled: fc.boolean(), time_limit: fc.integer({ min: 5, max: 900 }) }, { requiredKeys: [] }),
)
const flags = fc.record({ record_call: word }, { requiredKeys: [] })
const anyDocuments: fc.Arbitrary<Documents> = fc.record(
  { account: flags, user: flags, device: flags, callflows: fc.array(flags, { maxLength: 2 }) },
  { requiredKeys: ['callflows'] },
)
const anyWay: fc.Arbitrary<Way> = fc.record({
  from: fc.constantFrom(...NETWORKS),
  to: fc.constantFrom(...NETWORKS),
  maxTimeLimit: fc.integer({ min: 60, max: 10_800 }),
})

test('every decision gives a reason, names a layer for each setting and keeps the cap, whatever the documents hold', t => {
  fc.assert(
    fc.property(anyDocuments, anyWay, (documents, way) => {
      for (const { record, settings, why } of [decideCaller(documents, way), decideCallee(documents, way, []), decideAction(documents, way, {}, 'x')]) {
        t.true(why.length > 0)
        t.is(record, settings.enabled?.value === true)
        t.true((settings.time_limit?.value ?? 0) <= way.maxTimeLimit)
        for (const setting of SETTINGS) if (settings[setting] !== undefined) t.true(LAYERS.includes(settings[setting].from))
      }
    }),
  )
})
