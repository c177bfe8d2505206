// `make soak`: kills at random over calls at random, until the minutes are over. Every world is looked at as in
// boundaries.test.ts; the first that has lost something is printed with what is needed to find it, and the exit code is 1.

import { ground, scene } from './scene.ts'

const minutes = Number(process.env['SOAK_MINUTES'] ?? 10)
const AT_ONCE = 6
const CALLS = 4
const KILLS = 3
/** About what one call passes. */
const STEPS = 110

const shared = await ground()
const until = performance.now() + minutes * 60_000
const sum = { worlds: 0, calls: 0, kills: 0, late: 0, wrong: 0 }
const random = (below: number): number => Math.floor(Math.random() * below)

async function world(): Promise<void> {
  const one = await scene(shared)
  const calls = 1 + random(CALLS)
  const told: string[] = []
  let armed = true
  try {
    const placed = Promise.all(
      Array.from({ length: calls }, async () => {
        await new Promise(resolve => setTimeout(resolve, random(300)))
        await one.call(1 + random(6))
      }),
    )
    const kills = 1 + random(KILLS)
    let over = false
    for (let kill = 0; kill < kills && !over; kill++) {
      let left = 1 + random(STEPS * calls)
      const life = await one.life(boundary => {
        left -= 1
        if (left === 0 && armed) told.push(boundary)
        return left === 0 && armed
      })
      const died = await Promise.race([life.died.then(() => true), placed.then(() => one.settled(calls)).then(() => false)])
      if (died) sum.kills += 1
      over = !died
    }
    if (!over) await one.life()
    await placed
    await one.settled(calls)
    // It is closed next, which is no death.
    armed = false
    const complaints = await one.complaints(calls)
    sum.late += one.late()
    if (complaints.length > 0) {
      sum.wrong += 1
      process.stdout.write(`killed ${told.join(', then ')}\n  ${complaints.join('\n  ')}\n`)
    }
  } catch (error) {
    sum.wrong += 1
    process.stdout.write(`killed ${told.join(', then ')}\n  ${String(error)}\n`)
  } finally {
    sum.worlds += 1
    sum.calls += calls
    await one.close()
  }
}

await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (performance.now() < until) await world()
  }),
)
await shared.close()
process.stdout.write(
  `${sum.kills} kills over ${sum.calls} calls in ${sum.worlds} worlds: ${sum.wrong} lost, doubled or dropped something; ${sum.late} callers gave up because the machine was busy\n`,
)
process.exitCode = sum.wrong > 0 ? 1 : 0
