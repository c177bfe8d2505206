import test from 'ava'
import { aorOf, asksForSnapshot, escaped, metadata, type Snapshot } from '../../src/siprec/metadata.ts'
import { find, join, METADATA, SDP } from '../../src/siprec/multipart.ts'
import { schemaFaults } from '../helpers/rs-metadata.ts'

const id = (fill: number): string => Buffer.alloc(16, fill).toString('base64')
const SINCE = '2026-05-16T10:00:00.000Z'
const caller = { id: id(1), aor: 'sip:1001@a.example', name: 'Ann "<&>\' \u0001Ω', since: SINCE }
const callee = { id: id(2), aor: 'sip:1002@a.example', name: '', since: SINCE }
const snapshot: Snapshot = {
  groupId: id(3),
  sessionId: id(4),
  since: SINCE,
  participants: [caller, callee],
  streams: [
    { id: id(5), label: '1', speakers: [id(1)] },
    { id: id(6), label: '2', speakers: [id(2)] },
  ],
  recordingId: '202605-<&>',
  paused: false,
}

test('each variant holds to the schema of RFC 7865: two streams, paused, mixed, with one who left', async t => {
  const documents = [
    metadata(snapshot),
    metadata({ ...snapshot, paused: true }),
    metadata({ ...snapshot, streams: [{ id: id(5), label: '1', speakers: [id(1), id(2)] }] }),
    metadata({ ...snapshot, participants: [caller, { ...callee, until: SINCE }, { ...callee, id: id(7) }] }),
  ]
  t.deepEqual(await schemaFaults(...documents), [])
})

test('the check itself can fail: an element that is not of the schema, or out of its order, is found', async t => {
  const good = metadata(snapshot)
  const wrong = good.replace('<group ', '<extensiondata/><group ')
  const disordered = good.replace(/(<stream [\s\S]*?<\/stream>)/, '').replace('</recording>', '<stream stream_id="AAAA"/></recording>')
  t.true((await schemaFaults(wrong)).length > 0)
  t.true((await schemaFaults(disordered)).length > 0)
})

test('who speaks sends a stream and hears the other one; while paused nobody does', t => {
  const text = metadata(snapshot)
  t.regex(text, new RegExp(`<participantstreamassoc participant_id="${id(1)}"><send>${id(5)}</send><recv>${id(6)}</recv>`))
  t.notRegex(metadata({ ...snapshot, paused: true }), /<send>|<recv>/)
})

test('the recording id stands in a namespace of its own, and ids are 24 characters of base64', t => {
  const text = metadata(snapshot)
  t.regex(text, /<recordingid xmlns="urn:callrec:siprec:1">202605-&lt;&amp;&gt;<\/recordingid><\/session>/)
  for (const [, found = ''] of text.matchAll(/_id="([^"]+)"/g)) t.regex(found, /^[A-Za-z0-9+/]{22}==$/)
})

test('no name can leave its place, and what XML cannot hold is left out', t => {
  t.is(escaped('<a b="c\'&">\u0000\uD800'), '&lt;a b=&quot;c&apos;&amp;&quot;&gt;')
  t.is(aorOf('+49 30/x', 'a.example'), 'sip:+49%2030%2Fx@a.example')
  t.is(aorOf('', ''), 'sip:anonymous@anonymous.invalid')
})

test('a request for a snapshot is known with and without a prefix', t => {
  t.true(asksForSnapshot('<recording><requestsnapshot><requestreason/></requestsnapshot></recording>'))
  t.true(asksForSnapshot('<r:requestsnapshot/>'))
  t.false(asksForSnapshot('<recording><datamode>complete</datamode></recording>'))
})

test('parts are found by type, with bare line ends too, and a lone body is its own part', t => {
  const { contentType, body } = join(
    [
      { contentType: 'application/sdp', text: 'v=0\r\n' },
      { contentType: 'application/rs-metadata+xml', disposition: 'recording-session', text: '<a/>' },
    ],
    'ab12',
  )
  t.is(find(contentType, body, SDP), 'v=0\r\n')
  t.is(find(contentType, body, METADATA), '<a/>')
  t.is(find(contentType, Buffer.from(body.toString().replaceAll('\r\n', '\n')), METADATA), '<a/>')
  t.is(find('application/sdp;x=y', Buffer.from('v=0'), SDP), 'v=0')
  t.is(find('multipart/mixed', body, SDP), undefined)
  t.is(find('text/plain', body, SDP), undefined)
  t.is(find(contentType, body, /^image/), undefined)
})
