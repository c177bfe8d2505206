// A call that ends while no engine is there to hear it.

import test from 'ava'
import { until } from '../helpers/wait.ts'
import { ground, scene } from './scene.ts'

test('a recorded call that ends between two engines has a detail record with its recordings, and says that nobody heard its end', async t => {
  const shared = await ground()
  t.teardown(() => shared.close())
  const one = await scene(shared)
  t.teardown(() => one.close())
  const first = await one.life()
  await one.call(20)
  await until('somebody is recorded on both legs', () => one.records() === 2)
  first.kill()
  await until('the end of the call', () => one.over())
  await one.life()
  await one.settled()
  const [record] = await until('its detail record', async () => {
    const found = await one.cdrs()
    return found.length > 0 && found
  })
  t.like(record, { hangup_cause: 'NORMAL_UNSPECIFIED', disposition: 'ANSWERED', end_unheard: true })
  t.is((record?.['media_recordings'] as string[] | undefined)?.length, 2)
  t.true(Number(record?.['duration_seconds']) >= Number(record?.['billing_seconds']) && Number(record?.['billing_seconds']) > 0)
  t.deepEqual(await one.complaints(1), [])
})
