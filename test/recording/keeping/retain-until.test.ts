import test from 'ava'
import { recordingOf } from '../../../src/recording/new-recording.ts'
import { type Effective, layer, merge } from '../../../src/recording/settings.ts'

const made = (settings: Effective) =>
  recordingOf({
    id: `202605-${'1'.repeat(32)}`,
    accountId: 'a'.repeat(32),
    node: 'fs1',
    leg: 'leg',
    side: 'caller',
    facts: {} as never,
    settings,
    format: 'wav',
    written: 'wav',
    warnings: [],
    origins: [{ origin: 'x', by: 'policy', at: 0 }],
    state: 'waiting',
    sampleRate: 8000,
    before: 0,
    now: Date.UTC(2026, 4, 16),
  })

const says = (account: unknown, device?: unknown): Effective =>
  merge(layer('account', { record_call: account }), layer('device', { record_call: device })).inbound.onnet

test('a recording knows from its start until when it is kept, by the layer that won', t => {
  t.is(made(says({ retention_days: 30 })).retain_until, 63_946_108_800 + 30 * 86_400)
  t.is(made(says({ retention_days: 30 }, { retention_days: 1 })).retain_until, 63_946_108_800 + 86_400)
  t.deepEqual(made(says({ retention_days: 30 }, { retention_days: 1 })).policy.retention_days, { value: 1, from: 'device' })
})

test('a device that says 0 is kept for ever, whatever its account says, and so is what nobody limits', t => {
  t.is(made(says({ retention_days: 30 }, { retention_days: 0 })).retain_until, undefined)
  t.is(made(says(true)).retain_until, undefined)
  for (const nonsense of [-1, 1.5, '30', 36_501]) t.is(made(says({ retention_days: nonsense })).retain_until, undefined)
})
