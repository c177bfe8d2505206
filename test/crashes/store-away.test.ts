// The store goes away at every request that a recorded call makes of it, and comes back when the call is over; once it stays away for minutes.

import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { until } from '../helpers/wait.ts'
import { ground, scene, SPEED } from './scene.ts'

const AT_ONCE = 32
/** Seconds of call time. */
const TALK = 10
const AWAY = 20
const LONG = 200

test('a store that is away for minutes, or at any point of a recorded call, costs no call and no recording', async t => {
  const shared = await ground()
  t.teardown(() => shared.close())

  /** `from`: the number of the request from which on it is away, for so many seconds of call time. */
  async function run(from: number, away = AWAY): Promise<{ requests: number; accepted: number; refused: number; complaints: string[] }> {
    const one = await scene(shared)
    let requests = 0
    let accepted = 0
    let refused = 0
    let back: number | undefined
    try {
      await one.life(undefined, () => {
        requests += 1
        if (requests < from) return
        back ??= performance.now() + (away * 1000) / SPEED
        if (performance.now() > back) return
        refused += 1
        throw new AppError('datastore_unreachable', 'it is away')
      })
      await one.call(TALK)
      await until('the call talks', () => one.talks())
      accepted = requests
      await one.settled()
      return { requests, accepted, refused, complaints: await one.complaints(1) }
    } finally {
      await one.close()
    }
  }
  const whole = await run(Number.POSITIVE_INFINITY)
  t.deepEqual(whole.complaints, [])

  const found: string[] = []
  let refused = 0
  // Before that its account and callflow cannot be read, and it is refused in an orderly way.
  const long = run(whole.accepted + 2, LONG)
  const points = Array.from({ length: whole.requests - whole.accepted }, (_, nth) => whole.accepted + 1 + nth)
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let point = points.shift(); point !== undefined; point = points.shift()) {
        const at = point
        const one = await run(at).catch(error => ({ refused: 0, complaints: [String(error)] }))
        refused += one.refused
        found.push(...one.complaints.map(complaint => `from request ${at} on: ${complaint}`))
      }
    }),
  )
  found.push(...(await long).complaints)
  t.deepEqual(found, [])
  t.log(`${whole.requests - whole.accepted} points, ${refused} requests refused`)
  t.true(refused > 0)
})
