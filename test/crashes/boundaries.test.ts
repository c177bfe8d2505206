// The engine is killed at every step of one recorded call. Here a kill is that its ports are cut, which lets hundreds
// of them be tried; kills of real processes are in sigkill.test.ts.

import test from 'ava'
import { ground, scene } from './scene.ts'

const AT_ONCE = 8

test('an engine that is killed at any step of a recorded call loses no recording, doubles no document and drops no call', async t => {
  const shared = await ground()
  t.teardown(() => shared.close())

  async function run(diesAt: string | undefined): Promise<{ passed: readonly string[]; died: boolean; complaints: string[]; late: number }> {
    const one = await scene(shared)
    try {
      const first = await one.life(boundary => boundary === diesAt)
      await one.call()
      const died = await Promise.race([first.died.then(() => true), one.settled().then(() => false)])
      if (died) await one.life()
      await one.settled()
      return { passed: [...first.passed], died, complaints: await one.complaints(1), late: one.late() }
    } finally {
      await one.close()
    }
  }
  const whole = await run(undefined)
  t.deepEqual(whole.complaints, [])
  const boundaries = [...new Set(whole.passed)]
  t.true(boundaries.length > 60, boundaries.join('\n'))

  const found: string[] = []
  let died = 0
  let late = 0
  const left = [...boundaries]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let boundary = left.shift(); boundary !== undefined; boundary = left.shift()) {
        const at = boundary
        const { died: did, complaints, late: slow } = await run(at).catch(error => ({ died: true, complaints: [String(error)], late: 0 }))
        late += slow
        if (did) died += 1
        found.push(...complaints.map(one => `${at}: ${one}`))
      }
    }),
  )
  t.log(`killed at ${died} of ${boundaries.length} boundaries; ${late} callers gave up because the machine was busy`)
  t.deepEqual(found, [])
  t.true(late < boundaries.length / 4 && died > boundaries.length / 2)
})
