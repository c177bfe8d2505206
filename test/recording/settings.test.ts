import test from 'ava'
import fc from 'fast-check'
import {
  DIRECTIONS,
  everywhere,
  type Flags,
  isEnabled,
  LAYERS,
  type Layer,
  layer,
  merge,
  NETWORKS,
  SETTINGS,
  sameFile,
  settingsIn,
  valuesOf,
} from '../../src/recording/settings.ts'

const settings = fc.record(
  {
    enabled: fc.constantFrom(true, false, 'true', 'false', null),
    format: fc.constantFrom('mp3', 'wav', 'ogg', null),
    time_limit: fc.constantFrom(5, 60, 10_800, 2, '60', null),
    record_sample_rate: fc.constantFrom(8000, 16_000, 12_345),
    url: fc.constantFrom('https://a/r', '', null),
    stereo: fc.boolean(),
    should_follow_transfer: fc.boolean(),
    nonsense: fc.anything(),
  },
  { requiredKeys: [] },
)
const source = fc.record({ any: settings, onnet: settings, offnet: settings }, { requiredKeys: [] })
const callRecording = fc.record({ any: source, inbound: source, outbound: source, sideways: source }, { requiredKeys: [] })
const flags: fc.Arbitrary<Flags> = fc.record(
  { record_call: fc.oneof(settings, fc.constantFrom(true, false, 'true', 'false', null, 0, 'yes')), call_recording: fc.oneof(callRecording, fc.anything()) },
  { requiredKeys: [] },
)
const signed = fc.tuple(fc.constantFrom(...LAYERS), flags).map(([from, said]) => layer(from, said))
const leafNames = DIRECTIONS.flatMap(direction => NETWORKS.map(network => [direction, network] as const))

test('merging is associative', t => {
  fc.assert(
    fc.property(signed, signed, signed, (a, b, c) => {
      t.deepEqual(merge(merge(a, b), c), merge(a, merge(b, c)))
    }),
  )
})

test('a layer that says nothing changes nothing, wherever it stands', t => {
  const empty = layer('user', {})
  fc.assert(
    fc.property(signed, a => {
      t.deepEqual(merge(a, empty), merge(a))
      t.deepEqual(merge(empty, a), merge(a))
    }),
  )
})

test('a setting in the strongest layer always wins, and its layer is named', t => {
  fc.assert(
    fc.property(fc.array(signed), flags, (weaker, said) => {
      const result = merge(...weaker, layer('action', said))
      for (const [direction, network] of leafNames) {
        for (const [setting, value] of Object.entries(valuesOf(layer('action', said)[direction][network]))) {
          t.deepEqual(result[direction][network][setting as 'format'], { value, from: 'action' } as never)
        }
      }
    }),
  )
})

test('any never beats a specific key of the same layer', t => {
  fc.assert(
    fc.property(callRecording, call_recording => {
      for (const [direction, network] of leafNames) {
        for (const [setting, value] of Object.entries(settingsIn(call_recording[direction]?.[network]))) {
          t.deepEqual(layer('user', { call_recording })[direction][network][setting as 'format'], { value, from: 'user' } as never)
        }
      }
    }),
  )
})

test('no leaf exists but the four, no setting but the known ones, and null nowhere', t => {
  fc.assert(
    fc.property(fc.array(signed), layers => {
      const result = merge(...layers)
      t.deepEqual(Object.keys(result).sort(), ['inbound', 'outbound'])
      for (const direction of DIRECTIONS) {
        t.deepEqual(Object.keys(result[direction]).sort(), ['offnet', 'onnet'])
        for (const network of NETWORKS) {
          for (const [setting, decided] of Object.entries(result[direction][network])) {
            t.true((SETTINGS as readonly string[]).includes(setting))
            t.not(decided.value, null)
          }
        }
      }
    }),
  )
})

const inboundOnnet = (...said: [Layer, Flags][]) => merge(...said.map(([from, one]) => layer(from, one))).inbound.onnet

test('a user switches on, his device sets the rest, and each value names its layer', t => {
  const result = inboundOnnet(
    ['account', { record_call: { format: 'mp3', enabled: false } }],
    ['user', { record_call: true }],
    ['device', { record_call: { time_limit: 120, enabled: 'true' } }],
  )
  t.deepEqual(result, {
    enabled: { value: true, from: 'device' },
    format: { value: 'mp3', from: 'account' },
    time_limit: { value: 120, from: 'device' },
  })
})

test('the flags of both generations merge as Kazoo documents it (C1)', t => {
  const result = inboundOnnet(
    ['account', { record_call: true }],
    ['user', { record_call: { format: 'wav', time_limit: 600, url: 'https://a/r' } }],
    ['device', { record_call: { time_limit: 120 } }],
  )
  t.deepEqual(valuesOf(result), { enabled: true, format: 'wav', time_limit: 120, url: 'https://a/r' })
})

test('false on a device stops what the user switched on (C2, unlike Kazoo)', t => {
  t.false(isEnabled(inboundOnnet(['user', { record_call: true }], ['device', { record_call: false }])))
  t.false(isEnabled(inboundOnnet(['user', { record_call: true }], ['device', { record_call: 'false' }])))
})

test('a partial call_recording disables no other leaf (C3, unlike Kazoo)', t => {
  const result = merge(
    layer('account', { call_recording: { any: { any: { enabled: true, format: 'mp3' } } } }),
    layer('user', { call_recording: { outbound: { offnet: { enabled: true, url: 'https://u' } } } }),
  )
  for (const [direction, network] of leafNames) t.true(isEnabled(result[direction][network]), `${direction} ${network}`)
  t.deepEqual(result.outbound.offnet.url, { value: 'https://u', from: 'user' })
  t.is(result.inbound.onnet.url, undefined)
})

test('a specific leaf is taken out of any (C4)', t => {
  const result = layer('device', { call_recording: { any: { any: { enabled: true } }, inbound: { onnet: { enabled: false } } } })
  t.deepEqual(
    leafNames.map(([direction, network]) => isEnabled(result[direction][network])),
    [false, true, true, true],
  )
})

test('in one document call_recording is more specific than record_call', t => {
  const result = layer('user', { record_call: true, call_recording: { inbound: { any: { enabled: false } } } })
  t.deepEqual(
    leafNames.map(([direction, network]) => isEnabled(result[direction][network])),
    [false, false, true, true],
  )
})

test('nothing said means not recorded', t => {
  t.false(isEnabled(merge().inbound.onnet))
  t.false(isEnabled(inboundOnnet(['user', { record_call: { enabled: false, format: 'wav' } }])))
})

test('two recordings are the same file whoever asked for it, and different when any value differs', t => {
  const one = everywhere('user', { enabled: true, format: 'wav' }).inbound.onnet
  t.true(sameFile(one, everywhere('account', { enabled: true, format: 'wav' }).inbound.onnet))
  t.false(sameFile(one, everywhere('user', { enabled: true, format: 'wav', time_limit: 60 }).inbound.onnet))
  t.true(sameFile(one, everywhere('user', { enabled: true, format: 'wav', should_follow_transfer: false }).inbound.onnet), 'what comes after is no part of it')
})
