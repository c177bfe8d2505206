import test from 'ava'
import { isCode } from '../../src/errors.ts'
import {
  address,
  answerTo,
  cseqOf,
  format,
  type Header,
  header,
  headersOf,
  isMalformed,
  isRequest,
  parse,
  type Request,
  splitList,
  topVia,
  withToTag,
} from '../../src/sip/message.ts'
import { parseUri, requestUri } from '../../src/sip/uri.ts'
import { find, SDP } from '../../src/siprec/multipart.ts'

const HEADERS: readonly Header[] = [
  ['Via', 'SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;rport'],
  ['From', '"A, \\"B\\"" <sip:a@h>;tag=1'],
  ['To', '<sip:b@h>'],
  ['Call-ID', 'c'],
  ['CSeq', '1 INVITE'],
]
const request: Request = { method: 'INVITE', uri: 'sip:b@h', headers: HEADERS, body: Buffer.from('body') }

function read(text: string): Request {
  const parsed = parse(Buffer.from(text.replaceAll('\n', '\r\n')))
  if (isMalformed(parsed) || !isRequest(parsed)) throw new Error('not a request')
  return parsed
}
const fault = (text: string): string => {
  const parsed = parse(Buffer.from(text.replaceAll('\n', '\r\n')))
  return isMalformed(parsed) ? parsed.fault : ''
}
const REST = 'f: <sip:a@h>;tag=1\nt: <sip:b@h>\ni: c\nCSeq: 1 INVITE\n'

test('what is written reads back the same', t => {
  const parsed = parse(format(request))
  t.deepEqual(parsed, { ...request, headers: [...HEADERS, ['Content-Length', '4']] })
})

test('compact names mean the same, folded lines are one, and bytes after Content-Length are nobody’s', t => {
  const parsed = read(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/TCP h;branch=z9hG4bKx\n${REST}m: <sip:a@h>,\n <sip:c@h>\nl: 2\n\nhello`)
  t.deepEqual(headersOf(parsed, 'contact'), ['<sip:a@h>', '<sip:c@h>'])
  t.is(parsed.body.toString(), 'he')
  t.is(topVia(parsed)?.protocol, 'tcp')
})

test('each fault is told in its own words', t => {
  t.is(fault('INVITE sip:b@h SIP/2.0\n'), 'no empty line after the headers')
  t.is(fault('HELLO\n\n'), 'neither a request nor a response of SIP/2.0')
  t.is(fault(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST.replace('i: c\n', '')}\n`), 'no call-id')
  t.is(fault(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST.replace('1 INVITE', '1 BYE')}\n`), 'CSeq names another method')
  t.is(fault(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST.replace('1 INVITE', 'x')}\n`), 'CSeq is not a number and a method')
  t.is(fault(`INVITE sip:b@h SIP/2.0\nv: nonsense\n${REST}\n`), 'Via cannot be read')
  t.is(fault(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST}l: 9\n\nshort`), 'Content-Length is more than there is')
  t.regex(fault(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST}nonsense\n\n`), /not a header/)
  t.is(fault(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST}${'a: b\n'.repeat(300)}\n`), 'too many headers')
})

test('a broken request that has a Via can still be answered, a broken ACK is not', t => {
  const broken = parse(Buffer.from(`INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST}nonsense\n\n`.replaceAll('\n', '\r\n')))
  t.true(isMalformed(broken) && broken.answerable !== undefined)
  const ack = parse(Buffer.from(`ACK sip:b@h SIP/2.0\nv: SIP/2.0/UDP h\n${REST}\n`.replaceAll('\n', '\r\n')))
  t.true(isMalformed(ack) && ack.answerable === undefined)
})

test('a header that would end its line is never written', t => {
  t.true(
    isCode(
      t.throws(() => format({ ...request, headers: [...HEADERS, ['Subject', 'a\r\nEvil: b']] })),
      'unsafe_argument',
    ),
  )
  t.true(
    isCode(
      t.throws(() => format({ ...request, uri: 'sip:b@h SIP/2.0' })),
      'unsafe_argument',
    ),
  )
})

test('commas in quotes and angle brackets do not cut a list', t => {
  t.deepEqual(splitList('"a,\\",b" <sip:x,y@h>;q=1, <sip:z@h>'), ['"a,\\",b" <sip:x,y@h>;q=1', '<sip:z@h>'])
})

test('without brackets, parameters belong to the header and not to the URI', t => {
  t.deepEqual(address('sip:a@h;tag=1'), { uri: 'sip:a@h', params: new Map([['tag', '1']]) })
  t.is(address('<sip:a@h;lr>;tag=1')?.uri, 'sip:a@h;lr')
  t.is(address('"Odd <name>" <sip:a@h>')?.uri, 'sip:a@h')
  t.is(address('"open'), undefined)
})

test('what has a space in it is no URI, in brackets neither', t => {
  t.is(address('<sip:a b@h>'), undefined)
  t.is(address('"A B" <sip:a@h >;x=1')?.uri, 'sip:a@h')
})

test('a response copies what belongs to its request and gets one tag', t => {
  const response = withToTag(answerTo(request, 200, 'OK'), 'mine')
  t.is(header(response, 'to'), '<sip:b@h>;tag=mine')
  t.is(header(withToTag(response, 'other'), 'to'), '<sip:b@h>;tag=mine')
  t.deepEqual(cseqOf(response), { number: 1, method: 'INVITE' })
})

test('a SIP URI has a host, maybe brackets round it, and a port that exists', t => {
  t.deepEqual(parseUri('SIPS:u@[::1]:5061;transport=TLS'), { secure: true, user: 'u', host: '::1', port: 5061, params: new Map([['transport', 'tls']]) })
  t.deepEqual(
    ['sip:', 'sip:h:0', 'sip:h:70000', 'http://h', 'sip:a b@h', 'sip:h;x="', 'sip:-h'].map(one => parseUri(one)),
    Array(7).fill(undefined),
  )
})

test('a megabyte of spaces is read as quickly as anything else', t => {
  const spaces = ' '.repeat(1 << 20)
  const [, value = ''] =
    (
      parse(
        Buffer.from(
          `OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nX:a${spaces}b${spaces}\r\n\r\n`,
        ),
      ) as Request
    ).headers.at(-1) ?? []
  t.is(value.length, spaces.length + 2)
  t.is(address(`a${spaces}b`), undefined)
  t.is(requestUri(`sip:a@h?${'?'.repeat(1 << 20)}@h?x`), `sip:a@h?${'?'.repeat(1 << 20)}@h`)
  const part = (text: string): string | undefined => find('multipart/mixed;boundary=x', Buffer.from(`--x\r\n${text}`), SDP)
  t.is(part(' \n'.repeat(1 << 19)), undefined)
  t.is(part(`content-type: a${spaces}b\r\n\r\n`), undefined)
  t.is(part(`Content-Type: application/sdp${spaces}\r\n\r\nv=0\r\n--x--`), 'v=0')
})
