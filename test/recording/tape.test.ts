// What the switch is asked to do with a message is not what it is asked to do with a leg that is overheard.

import test from 'ava'
import { leastOf, limitOf, Tape, type TapePorts } from '../../src/recording/tape.ts'
import { everywhere } from '../../src/recording/settings.ts'
import type { SwitchNode } from '../../src/switch/switch.ts'
import { aLeg } from '../helpers/legs.ts'

const settings = everywhere('action', { enabled: true, time_limit: 60 }).inbound.onnet

function tape(application: string | undefined) {
  const asked: string[] = []
  const node = {
    leg: async uuid => (application === undefined ? undefined : { ...aLeg(uuid), variables: { current_application: application } }),
    interrupt: async uuid => void asked.push(`interrupt ${uuid}`),
    record: async () => void asked.push('record'),
    mask: async () => void asked.push('mask'),
  } as Partial<SwitchNode> as SwitchNode
  const spool = { onSwitch: (file: string) => `/spool/${file}`, check: async () => {}, makeReady: async () => {} } as Partial<
    TapePorts['spool']
  > as TapePorts['spool']
  const label = { account_id: 'a'.repeat(32), _id: 'r1', node: 'fs1', leg: 'a', side: 'caller' as const, file: 'm.wav', settings, message: true as const }
  return { asked, tape: new Tape({ spool, node: () => node }, label, limitOf(label, 10_800)) }
}

test('a message is stopped by breaking off its application, and begun by whoever waits for it', async t => {
  const { tape: one, asked } = tape('record')
  await one.start()
  await one.stop()
  t.deepEqual(asked, ['interrupt a'])
})

test('a message runs as long as its leg records, which no list of recordings shows', async t => {
  t.true(await tape('record').tape.runs())
  t.false(await tape('playback').tape.runs())
  t.false(await tape(undefined).tape.runs())
})

test('a message cannot be covered, and says so rather than to go on in clear', async t => {
  const { tape: one, asked } = tape('record')
  await t.throwsAsync(one.cover('mask'), { message: /cannot be covered/ })
  t.deepEqual(asked, [])
})

test('the limit behind a message is later than its own, and it never goes on in a next part', t => {
  t.deepEqual(limitOf({ settings, message: true }, 10_800), { seconds: 70, goesOn: false })
  t.deepEqual(limitOf({ settings: {}, message: true }, 600), { seconds: 610, goesOn: false })
})

test('a next part has what earlier ones left of the limit and of the least length, and one that gives way to it is never too short', t => {
  t.deepEqual(limitOf({ settings, earlier_ms: 12_500 }, 10_800), { seconds: 47.5, goesOn: false })
  t.deepEqual(limitOf({ settings, earlier_ms: 61_000 }, 10_800), { seconds: 0, goesOn: false })
  t.deepEqual(limitOf({ settings: {}, earlier_ms: 61_000 }, 10_800), { seconds: 10_800, goesOn: true })
  const { inbound } = everywhere('action', { enabled: true, record_min_sec: 5 })
  t.deepEqual(
    [{}, { earlier_ms: 2000 }, { earlier_ms: 9000 }, { goes_on: true as const }].map(more => leastOf({ settings: inbound.onnet, ...more })),
    [5, 3, 0, 0],
  )
})
