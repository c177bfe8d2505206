// A call that an application runs goes on when its engine dies: its application hears of its end as if nothing had happened.

import test from 'ava'
import { until } from '../helpers/wait.ts'
import { application, installation } from './application.ts'

interface Listed {
  id: string
  state: string
  duration_ms: number
  delivery?: { state: string }
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`the end of an answered call whose engine ended by ${signal} is told once, as of any other, and so is its recording`, async t => {
    const one = await installation(t, 1)
    const { app, at, client, events, place, told } = await application(t, one)
    const record = { action: 'record', eventUrl: [`${app.url}/recorded`] }
    const [ended, lost] = [await place([record]), await place([record])]
    const before = Date.now()
    for (const uuid of [ended, lost]) await until('its answer', () => told(uuid).includes('answered'))
    await until('recordings', async () => (await client.get<Listed[]>(`${at}/recordings`)).filter(({ state }) => state === 'recording').length === 2)
    await until('audio of both', async () => (await one.heard()) === 2)
    await one.kill(signal)
    await one.api(`uuid_kill ${lost}`)
    await one.start()
    await until('the end of the one that was lost', () => told(lost).length > 3)
    t.deepEqual(told(ended), ['started', 'ringing', 'answered'])
    await one.api(`uuid_kill ${ended}`)
    await until('the end of the other', () => told(ended).length > 3)
    await until('both recordings', () => events().filter(({ path }) => path === '/recorded').length > 1)

    t.deepEqual(told(ended), ['started', 'ringing', 'answered', 'completed'])
    t.deepEqual(told(lost), ['started', 'ringing', 'answered', ['completed', 'it ended while no engine watched it']])
    const of = (uuid: string, status: string): Record<string, unknown> => events().find(event => event['uuid'] === uuid && event['status'] === status) ?? {}
    const end = of(ended, 'completed')
    t.deepEqual(Object.keys(end).toSorted(), [
      'conversation_uuid',
      'direction',
      'duration',
      'end_time',
      'from',
      'path',
      'start_time',
      'status',
      'timestamp',
      'to',
      'uuid',
    ])
    t.like(end, { direction: 'outbound', conversation_uuid: `CON-${ended}`, from: of(ended, 'answered')['from'], to: of(ended, 'answered')['to'] })
    t.true(Math.abs(Date.parse(String(end['start_time'])) - Date.parse(String(of(ended, 'answered')['start_time']))) < 1000)
    const lasted = (Date.parse(String(end['end_time'])) - Date.parse(String(end['start_time']))) / 1000
    t.true(Math.abs(lasted - Number(end['duration'])) <= 1 && lasted > 0 && lasted < (Date.now() - before) / 1000 + 1, `${lasted} s`)
    // Nobody knows when it ended.
    t.like(of(lost, 'completed'), { start_time: of(lost, 'answered')['start_time'], end_time: undefined, duration: undefined })
    for (const recorded of events().filter(({ path }) => path === '/recorded')) t.true(Number(recorded['size']) > 44, JSON.stringify(recorded))
  })
}
