import test from 'ava'
import { LAST_ANSWERS } from '../src/api/listen.ts'
import { type Closable, closeInTurn, LAST_WORDS, LATE } from '../src/closing.ts'
import { manualClock } from './helpers/clock.ts'
import { notedLog } from './helpers/log.ts'
import { until } from './helpers/wait.ts'

test('what was opened last is closed first, and one that fails is told of and keeps no other open', async t => {
  const { log, lines } = notedLog()
  const clock = manualClock()
  const closed: string[] = []
  const room = (name: string): Closable => ({ close: async () => closed.push(name) })
  const broken: Closable = { close: () => Promise.reject(new Error('stuck')) }
  await closeInTurn([room('store'), room('switches'), broken, room('api')], { clock, log, neighbours: () => [] })
  t.deepEqual(closed, ['api', 'switches', 'store'])
  t.like(lines, [{ level: 'warn', event: 'not_closed', reason: 'stuck' }])
  t.deepEqual(clock.waits(), [])
})

test('a neighbour that says nothing is closed when its time is over, before who waits for it', async t => {
  const { log, lines } = notedLog()
  const clock = manualClock()
  const closed: string[] = []
  let answer = (): void => {}
  const answered = new Promise<void>(resolve => {
    answer = resolve
  })
  const store: Closable = {
    async close() {
      closed.push('store')
      answer()
    },
  }
  const switches: Closable = { close: async () => closed.push('switches') }
  const recorder: Closable = { close: () => answered.then(() => closed.push('recorder')) }
  const done = closeInTurn([store, switches, recorder], { clock, log, neighbours: () => [store] })
  clock.advance(LAST_WORDS - 1)
  t.deepEqual(closed, [])
  clock.advance(1)
  await done
  t.deepEqual(closed, ['store', 'recorder', 'switches', 'store'])
  t.like(lines, [{ level: 'warn', event: 'closing_late' }])
})

test('one that does not come to its end keeps no other open, and who hands over has his time', async t => {
  const { log, lines } = notedLog()
  const clock = manualClock()
  const closed: string[] = []
  let handedOver = (): void => {}
  const switches: Closable = {
    atLeastMs: 2_000,
    close: () =>
      new Promise<void>(resolve => {
        closed.push('asked')
        handedOver = resolve
      }),
  }
  const reads: Closable = { close: () => new Promise(() => {}) }
  const store: Closable = { close: async () => closed.push('store') }
  const done = closeInTurn([store, switches, reads], { clock, log, neighbours: () => [] })
  clock.advance(LATE)
  await until('the switches are asked', () => closed.length > 0)
  clock.advance(1_999)
  handedOver()
  await done
  t.deepEqual(closed, ['asked', 'store'])
  t.like(lines, [{ event: 'closing_late' }, { event: 'not_closed' }])
  t.is(lines.length, 2)
})

test('a client that does not read its answer leaves the others time to close', t => {
  t.true(LAST_ANSWERS <= LAST_WORDS - 2_000)
})
