// record_caller on the scripted switch: what ends a message, whose settings it has, and that the call goes on whatever
// becomes of it.

import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { valuesOf } from '../../src/recording/settings.ts'
import { documents, type Node, world } from './world.ts'

const after: Node = { module: 'play', data: { id: 'tone_stream://%(500,0,440)' } }
const flow = (data: object = {}): Node => ({ module: 'record_caller', data: { ...data }, children: { _: after } })
const PLAYED = 'playback tone_stream://%(500,0,440)'

test('a message ends with any key or five seconds of silence, unless the node says otherwise', async t => {
  const ends = async (data: object) => {
    const { dial, over, recording, fake } = world(t, documents(flow(data)))
    dial()
    await over()
    t.deepEqual(fake.executed(), ['answer', PLAYED])
    return recording.spoken[0]?.until
  }
  t.deepEqual(await ends({}), { terminators: '0123456789*#', silence: { threshold: 500, seconds: 5 } })
  t.deepEqual(await ends({ terminators: ['#', '1'], silence_seconds: 0 }), { terminators: '1#' })
  t.deepEqual(await ends({ terminators: [], silence_threshold: 200, silence_seconds: 3 }), { terminators: '', silence: { threshold: 200, seconds: 3 } })
  t.deepEqual(await ends({ terminators: 'no list', silence_seconds: 'many', silence_threshold: -1 }), {
    terminators: '0123456789*#',
    silence: { threshold: 500, seconds: 5 },
  })
})

test('a message has the settings of the layers below it, one channel, and waits for nothing', async t => {
  const docs = documents(flow({ time_limit: 60, label: 'Complaints' }))
  const { dial, over, recording, events } = world(t, {
    ...docs,
    account: {
      ...docs['account'],
      _id: docs['account']?._id ?? '',
      record_call: { enabled: false, format: 'wav', url: 'https://records.example/', record_on_bridge: true },
    },
  })
  const leg = dial()
  await over()
  const [asked] = recording.spoken
  t.like(asked, { origin: 'caller : Complaints', by: 'action', side: 'caller', leg: { uuid: leg, answered: true }, facts: { label: 'Complaints' } })
  t.deepEqual(valuesOf(asked?.settings ?? {}), {
    enabled: true,
    format: 'wav',
    url: 'https://records.example/',
    method: 'put',
    record_min_sec: 0,
    time_limit: 60,
    stereo: false,
    should_follow_transfer: false,
  })
  t.like(events('message_recorded')[0], { ended: 'key', key: '#', duration_ms: 3000 })
})

test('a message that is refused, or cannot be taken, is told and the call goes on', async t => {
  const refused = world(t, documents(flow()))
  refused.recording.failing.refuse = 'spool_unwritable'
  refused.dial()
  await refused.over()
  t.deepEqual(refused.fake.executed(), ['answer', PLAYED])
  t.like(refused.events('recording_refused')[0], { level: 'error', reason: 'spool_unwritable', origin: 'caller : Main' })

  const failed = world(t, documents(flow()))
  failed.recording.failing.with = new AppError('switch_timeout', 'no answer')
  failed.dial()
  await failed.over()
  t.deepEqual(failed.fake.executed(), ['answer', PLAYED])
  t.like(failed.events('recording_not_started')[0], { level: 'error', reason: 'no answer' })
})

test('a caller who hangs up in the middle of his message ends the call', async t => {
  const { dial, idle, recording, fake, events } = world(t, documents(flow()))
  recording.failing.with = new AppError('leg_gone', 'hung up')
  const leg = dial()
  await fake.until('answer')
  fake.hangup(leg)
  await idle()
  t.deepEqual(fake.executed(), ['answer'])
  t.like(events('call_ended')[0], { by: 'caller' })
})
