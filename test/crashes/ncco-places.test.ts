// A voice application's call goes on with its actions where it was when its engine died.

import test from 'ava'
import { until } from '../helpers/wait.ts'
import { application, installation } from './application.ts'

/** A phone that hangs up five seconds after it hears or says something does so when two engines have had the time to start. */
const SPEED = 0.1

interface Id {
  id: string
}

test('a call whose engine is killed goes on with the action that it was in, and none that was done is done again', async t => {
  const one = await installation(t, SPEED)
  const { app, at, client, calls, events, place, state, told } = await application(t, one)
  const notify = (stage: string): object => ({ action: 'notify', payload: { stage }, eventUrl: [`${app.url}/${stage}`] })
  const came = (stage: string): unknown[] =>
    events()
      .filter(({ path }) => path === `/${stage}`)
      .map(({ uuid }) => uuid)
  const { id: bob } = await client.put<Id>(`${at}/devices`, { name: 'bob-phone', sip: { username: 'bob', password: 'bob-secret' } })
  const { id: carol } = await client.put<Id>(`${at}/devices`, { name: 'carol-phone', sip: { username: 'carol', password: 'carol-secret' } })
  const event_url = `${app.url}/flow`
  const ncco = (actions: object[], child?: object) => ({
    module: 'ncco',
    data: { ncco: actions, event_url },
    ...(child === undefined ? {} : { children: { _: child } }),
  })
  await client.put(`${at}/callflows`, {
    numbers: ['3100'],
    flow: ncco(
      [notify('flow-first')],
      ncco([notify('flow-before'), { action: 'wait', timeout: 8 }, notify('flow-after')], ncco([notify('flow-next'), { action: 'record' }])),
    ),
  })

  const talks = await place([
    notify('talk-before'),
    { action: 'connect', endpoint: [{ type: 'device', id: bob }], eventUrl: [`${app.url}/connect`] },
    notify('talk-after'),
  ])
  await until('they talk', () => events().some(({ path, status }) => path === '/connect' && status === 'answered'))
  const waits = await place([notify('wait-before'), { action: 'wait', timeout: 8 }, notify('wait-after')])
  const records = await place([notify('record-before'), { action: 'record' }])
  const takes = await place([notify('part-before'), { action: 'record', timeOut: 8, eventUrl: [`${app.url}/part`] }, notify('part-after')])
  const plays = await place([notify('play-before'), { action: 'talk', text: 'one '.repeat(100), loop: 0 }, notify('play-after')])
  const asks = await place([
    notify('input-before'),
    { action: 'input', type: ['dtmf'], dtmf: { timeOut: 1, maxDigits: 1 }, eventUrl: [`${app.url}/input`] },
    notify('input-after'),
  ])
  await one.api(`callrec_simulator_call {callrec_account_id=${client.accountId},callrec_device_id=${carol}}carol 3100`)
  const stages = ['wait', 'record', 'part', 'play', 'input', 'talk', 'flow']
  for (const stage of stages) await until(`${stage} has begun`, () => came(`${stage}-before`).length === 1)
  await until('all are recorded', async () => (await client.get<{ state: string }[]>(`${at}/recordings`)).filter(one => one.state === 'recording').length === 2)
  const other = String(events().find(({ path, status }) => path === '/connect' && status === 'answered')?.['uuid'])
  await one.kill()
  await one.start()
  // What ends by itself does so under the next engine.
  for (const [stage, uuid] of [
    ['wait', waits],
    ['part', takes],
    ['input', asks],
  ] as const) {
    await until(`${stage} goes on`, () => came(`${stage}-after`).length > 0)
    t.deepEqual(came(`${stage}-after`), [uuid])
  }
  await until('the callflow goes on behind it', () => came('flow-next').length > 0)
  t.deepEqual(came('talk-after'), [], 'they still talk')
  await one.api(`uuid_kill ${other}`)
  await until('what comes after the talk', () => came('talk-after').length > 0)
  // The application can give other actions to those that go on for ever.
  for (const [uuid, stage] of [
    [plays, 'play'],
    [records, 'record'],
  ] as const) {
    t.is(await state(uuid), 'answered')
    await calls('PUT', `/${uuid}`, { action: 'transfer', destination: { type: 'ncco', ncco: [notify(`${stage}-changed`)] } })
    await until('other actions', () => came(`${stage}-changed`).length > 0)
  }
  for (const uuid of [waits, records, takes, plays, asks, talks]) {
    await until('its end', () => told(uuid).includes('completed'))
    t.deepEqual(
      told(uuid).filter(status => status !== undefined),
      ['started', 'ringing', 'answered', 'completed'],
    )
  }
  for (const stage of [...stages.map(name => `${name}-before`), 'flow-first', 'flow-after', 'flow-next', 'input']) t.is(came(stage).length, 1, stage)
  t.deepEqual(came('play-after'), [])
  await until('the recordings', () => events().some(({ path }) => path === '/part'))
  t.is(events().filter(({ path }) => path === '/part').length, 1)
  t.is((await client.get<Id[]>(`${at}/recordings`)).length, 3)
})
