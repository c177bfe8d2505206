// A voice application is told of its recordings by the next engine, where its engine died before it had told.

import test from 'ava'
import { hang, httpSink } from '../helpers/http-sink.ts'
import { until } from '../helpers/wait.ts'
import { application, installation } from './application.ts'

test('what an engine was killed before it had told of a recording is told by the next one, and before the next action where the call waits for it', async t => {
  const one = await installation(t, 1)
  const { at, client, events } = await application(t, one)
  // Whoever is asked first says nothing until his engine is dead.
  const [blocks, whole] = [await httpSink(t, [hang, 204]), await httpSink(t, [hang, 204])]
  const { id: carol } = await client.put<{ id: string }>(`${at}/devices`, { name: 'carol-phone', sip: { username: 'carol', password: 'carol-secret' } })
  const flow = (ncco: object[]) => ({ module: 'ncco', data: { ncco } })
  await client.put(`${at}/callflows`, {
    numbers: ['3100'],
    flow: flow([
      { action: 'record', timeOut: 3, eventUrl: [`${blocks.url}/recorded`] },
      { action: 'notify', payload: {}, eventUrl: [`${blocks.url}/next`] },
    ]),
  })
  await client.put(`${at}/callflows`, { numbers: ['3200'], flow: flow([{ action: 'record', eventUrl: [`${whole.url}/recorded`] }]) })
  const call = (number: string, seconds: number): Promise<string> =>
    one.api(`callrec_simulator_call {callrec_account_id=${client.accountId},callrec_device_id=${carol},callrec_simulator_seconds=${seconds}}carol ${number}`)
  await call('3100', 120)
  await call('3200', 3)
  await until('both are being told of', () => blocks.received.length === 1 && whole.received.length === 1)
  await one.kill()
  await one.start()
  await until('the next action', () => blocks.received.some(({ url }) => url === '/next'))
  await until('the other one', () => whole.received.length > 1)
  t.is(
    blocks.received.findIndex(({ url }) => url === '/next'),
    blocks.received.length - 1,
  )
  for (const sink of [blocks, whole]) {
    // Who says nothing may have been asked twice before his engine died.
    t.true(sink.received.filter(({ url }) => url === '/recorded').length >= 2)
    const [first, again] = sink.received.map(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>)
    t.regex(String(first?.['recording_url']), /\/v1\/files\//)
    t.deepEqual(again, first)
  }
  t.deepEqual(events(), [])
})
