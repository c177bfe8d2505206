// A call that an application has made rings on when its engine is killed: whoever comes next sees it through.

import test from 'ava'
import { until } from '../helpers/wait.ts'
import { application, installation } from './application.ts'

/** A phone that answers half a second after it rings does so when two engines have had the time to start. */
const SPEED = 0.02

test('a call that rings when its engine is killed runs its actions when it is answered, and else is told of, and read, as what became of it', async t => {
  const one = await installation(t, SPEED)
  const { app, place: call, state, told } = await application(t, one)
  const place = (): Promise<string> => call([{ action: 'notify', payload: { stage: 'answered' }, eventUrl: [`${app.url}/notify`] }])
  const [answered, busy, lost] = [await place(), await place(), await place()]
  for (const uuid of [answered, busy, lost]) await until('it rings', async () => (await state(uuid)) === 'ringing')
  await one.kill()
  await one.api(`uuid_kill ${lost} USER_BUSY`)
  await one.start()
  // It asks for one after the other, the oldest first.
  await until('the end of the one that was lost', async () => (await state(lost)) === 'failed')
  t.is(await state(busy), 'ringing')
  await one.api(`uuid_kill ${busy} USER_BUSY`)
  await until('the end of the one that was busy', async () => (await state(busy)) === 'busy')
  await until('the actions of the one that is answered', () => app.received.some(({ url, whole }) => whole && url === '/notify'))
  await until('its end', async () => (await state(answered)) === 'completed')
  await until('all is told', () => told(answered).includes('completed') && told(lost).length > 2)
  t.deepEqual(told(answered), ['started', 'ringing', 'answered', 'completed'])
  t.deepEqual(told(busy), ['started', 'ringing', ['busy', 'USER_BUSY']])
  t.deepEqual(told(lost), ['started', 'ringing', ['failed', 'it ended while no engine watched it']])
})
