import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { ALREADY } from '../../src/siprec/sessions.ts'
import { ACCOUNT, documents, type Node, world } from './world.ts'

const node = (data: Record<string, unknown>): Node => ({ module: 'siprec_recording', data, children: { _: { module: 'hangup', data: {}, children: {} } } })

test('a node asks for a recording by servers with what its expressions came to, and the call goes on at once', async t => {
  const { dial, over, servers } = world(
    t,
    documents(
      node({
        activity: 'start',
        server: 'sip:{{call.caller_id_number}}.example',
        recording_id: 'r-{{call.destination}}',
        headers: { 'X-A': '{{call.destination}}' },
        mode: 'mixed',
        label: 'desk',
      }),
    ),
  )
  dial()
  await over()
  t.like(servers.started[0], {
    accountId: ACCOUNT,
    servers: 'sip:2001.example',
    recordingId: 'r-1000',
    headers: { 'X-A': '1000' },
    mode: 'mixed',
    required: false,
    side: 'caller',
    origin: 'callflow : desk',
  })
})

test('an expression that yields nothing leaves the server missing, which the recording then says; the action is not left out', async t => {
  const { dial, over, servers, events } = world(t, documents(node({ activity: 'start', server: '{{vars.nothing}}' })))
  dial()
  await over()
  t.is(servers.started[0]?.servers, '')
  t.is(events('expression_failed').length, 1)
})

test('a node without a server takes the one that a layer names', async t => {
  const docs = documents(node({ activity: 'start' }))
  docs['account'] = { ...docs['account'], _id: ACCOUNT, record_call: { enabled: false, siprec_server: 'sip:account.example' } }
  const { dial, over, servers } = world(t, docs)
  dial()
  await over()
  t.is(servers.started[0]?.servers, 'sip:account.example')
})

test('what policy records goes to the servers its layers name as well, and needs no node', async t => {
  const docs = documents({ module: 'hangup' })
  docs['account'] = { ...docs['account'], _id: ACCOUNT, record_call: { siprec_server: 'sip:account.example' } }
  const { dial, over, servers, recording } = world(t, docs)
  dial()
  await over()
  t.is(recording.started.length, 1)
  t.like(servers.started, [{ servers: 'sip:account.example', by: 'policy', side: 'caller' }])
})

test('stop, pause and resume reach what records the call', async t => {
  const stop = node({ activity: 'stop' })
  const { dial, over, servers, lines } = world(t, documents(stop))
  const leg = dial()
  await over()
  t.deepEqual(servers.stopped, [leg])
  t.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
})

test('what is refused stands in the log with its words, and the call goes on', async t => {
  const { dial, over, servers, events } = world(t, documents(node({ activity: 'start', server: 'sip:a' })))
  servers.refuses.with = new AppError('wrong_state', ALREADY)
  dial()
  t.truthy(await over())
  t.like(events('siprec_refused'), [{ activity: 'start', reason: 'Cannot start recording when recording is already started' }])
})

test('what has failed at once is logged with its recording', async t => {
  const { dial, over, servers, events } = world(t, documents(node({ activity: 'start', server: 'sip:a', required: true })))
  servers.refuses.state = 'failed'
  dial()
  await over()
  t.like(events('siprec_refused'), [{ recording_id: 'siprec1', reason: 'scripted' }])
})
