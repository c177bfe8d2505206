import test from 'ava'
import { answers, isSilent, legAnswer, placeOf, sdpOf } from '../../src/siprec/sdp.ts'

// As FreeSWITCH 1.11.2 offered it (test/fixtures/esl/51-siprec-sip-at-srs.txt).
const FREESWITCH =
  'v=0\r\no=FreeSWITCH 1795195669 1795195670 IN IP4 127.0.0.1\r\ns=FreeSWITCH\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 24004 RTP/AVP 0 101 13\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtpmap:13 CN/8000\r\na=ptime:20\r\na=sendonly\r\n'
const OFFERED = { codecs: [0] as const }
const CRYPTO = 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj'
const SAVP = FREESWITCH.replace('RTP/AVP', 'RTP/SAVP').replace('a=ptime', `${CRYPTO}\r\na=ptime`)

test('two legs become one offer with labels in their order, without keys and comfort noise', t => {
  const streams = [FREESWITCH, FREESWITCH.replace('24004', '24006')].map((sdp, at) => ({
    place: placeOf(sdp),
    label: String(at + 1),
    direction: 'sendonly' as const,
  }))
  const text = sdpOf(streams, { id: '7', version: 3 })
  const lines = text.split('\r\n')
  t.deepEqual(
    lines.filter(line => line.startsWith('m=')),
    ['m=audio 24004 RTP/AVP 0', 'm=audio 24006 RTP/AVP 0'],
  )
  t.deepEqual(
    lines.filter(line => line.startsWith('a=label')),
    ['a=label:1', 'a=label:2'],
  )
  t.is(lines[1], 'o=callrec 7 3 IN IP4 127.0.0.1')
  t.notRegex(text, /101|telephone-event|CN/)
  t.is(lines.filter(line => line === 'a=sendonly').length, 2)
})

test('keys for encrypted audio go through both ways', t => {
  const text = sdpOf([{ place: placeOf(SAVP), label: '1', direction: 'sendonly' }], { id: '7', version: 1 })
  t.true(text.includes('m=audio 24004 RTP/SAVP 0'))
  t.true(text.includes(CRYPTO))
  const [one] = answers(SAVP.replace('sendonly', 'recvonly'), [OFFERED])
  t.true(one !== undefined && legAnswer(one, 'recvonly', { id: '7', version: 1 }).includes(CRYPTO))
})

test('an answer is cut into one place for each leg, addresses of the session and of the stream alike', t => {
  const answer =
    'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=recvonly\r\nm=audio 4002 RTP/AVP 0 8\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n'
  const [first, second] = answers(answer, [OFFERED, OFFERED])
  t.like(first, { address: '192.0.2.1', port: 4000, listens: true })
  t.like(second, { address: '2001:db8::1', port: 4002, listens: false })
  t.true(second !== undefined && legAnswer(second, 'inactive', { id: '1', version: 1 }).includes('c=IN IP6 2001:db8::1'))
})

const ONE = 'v=0\no=- 1 1 IN IP4 1.1.1.1\ns=-\nc=IN IP4 1.1.1.1\nt=0 0\n'
for (const [what, text, why] of [
  ['garbage', 'hello', 'its answer is no SDP'],
  ['nothing', '', 'its answer is no SDP'],
  ['one m-line of two', `${ONE}m=audio 4000 RTP/AVP 0\n`, 'its answer has 1 of 2 m-lines'],
  ['port 0 for both', `${ONE}m=audio 0 RTP/AVP 0\nm=audio 0 RTP/AVP 0\n`, 'it refused every stream (port 0)'],
  ['another codec', `${ONE}m=audio 4000 RTP/AVP 8\nm=audio 4002 RTP/AVP 8\n`, 'its answer has a codec that was not offered'],
  ['no address', 'v=0\no=- 1 1 IN IP4 1.1.1.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n', 'its answer has no address'],
  [
    'an address with more in it',
    `${ONE.replace('IP4 1.1.1.1\nt', 'IP4 1.1.1.1;rm\nt')}m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n`,
    'its answer has no address',
  ],
  ['an address that is a number', `${ONE.replace('IP4 1.1.1.1\nt', 'IP4 0\nt')}m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n`, 'its answer has no address'],
  ['a port that is none', `${ONE}m=audio 99999 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n`, 'its answer has no port'],
  ['video', `${ONE}m=video 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n`, 'its m-line 1 is not audio'],
] as const) {
  test(`an answer with ${what} is refused: ${why}`, t => {
    t.throws(() => answers(text.replaceAll('\n', '\r\n'), [OFFERED, OFFERED]), { message: why })
  })
}

test('a stream may be refused alone, and an address of zeros is the old way to say that nobody listens', t => {
  const text = `${ONE}m=audio 0 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\nc=IN IP4 0.0.0.0\n`.replaceAll('\n', '\r\n')
  t.deepEqual(
    answers(text, [OFFERED, OFFERED]).map(({ port, listens }) => [port, listens]),
    [
      [0, false],
      [4002, false],
    ],
  )
})

test('an offer of a leg that has no audio, neither PCMU nor PCMA or no address is refused', t => {
  t.throws(() => placeOf(FREESWITCH.replace('24004', '0')), { message: /no audio/ })
  t.throws(() => placeOf(FREESWITCH.replace('RTP/AVP 0 101 13', 'RTP/AVP 9')), { message: /neither PCMU nor PCMA/ })
  t.throws(() => placeOf(FREESWITCH.replace('c=IN IP4 127.0.0.1\r\n', '')), { message: /no address/ })
})

test('a leg is silent when it says inactive or only listens', t => {
  t.false(isSilent(FREESWITCH))
  t.true(isSilent(FREESWITCH.replace('sendonly', 'inactive')))
  t.true(isSilent(FREESWITCH.replace('sendonly', 'recvonly')))
})
