// Whose end will be heard: what an engine knows of calls whose switch it lost for a while.

import test from 'ava'
import { watchLives } from '../../src/callflow/lives.ts'
import { silent } from '../../src/log.ts'
import type { Store } from '../../src/store/store.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'

const livesOf = () => watchLives({ store: {} as Store, clock: manualClock(), log: silent, records: { write: () => {}, close: async () => {} } })

test('the end of a call is waited for while its switch is connected', t => {
  const lives = livesOf()
  lives.came(aLeg('leg-a'))
  t.true(lives.knows('leg-a'))
})

test('a call that is gone when its switch is back has ended unheard, and one that is up has not', t => {
  const lives = livesOf()
  const [gone, up] = [aLeg('gone'), aLeg('up')]
  lives.came(gone)
  lives.came(up)
  lives.reconnected(up.node)
  t.false(lives.knows('up'), 'nobody has asked yet')
  lives.found(up.node, [up])
  t.true(lives.knows('up'))
  t.false(lives.knows('gone'))
})

test('what comes after the switch is back, and what another switch has, is not doubted', t => {
  const lives = livesOf()
  const other = aLeg('other', { node: 'fs2' })
  lives.came(other)
  lives.reconnected(aLeg('any').node)
  const young = aLeg('young')
  lives.came(young)
  lives.found(young.node, [])
  t.true(lives.knows('young'))
  t.true(lives.knows('other'))
})
