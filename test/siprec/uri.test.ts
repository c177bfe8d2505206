import test from 'ava'
import fc from 'fast-check'
import { MISSING, parseServers } from '../../src/siprec/uri.ts'

const uris = (text: unknown): readonly string[] => {
  const parsed = parseServers(text)
  return 'uris' in parsed ? parsed.uris : []
}
const fault = (text: unknown): string => {
  const parsed = parseServers(text)
  return 'fault' in parsed ? parsed.fault : ''
}

for (const good of [
  'sip:siprec.example.com',
  'sip:siprec.example.com:5060',
  'sip:3.208.57.175',
  'sips:siprec.example.com',
  'sip:3.208.57.175:5068',
  'sip:[2001:db8::1]',
  'sip:[2001:db8::1]:5070',
  'sip:srs@siprec.example.com;transport=tcp',
  'sips:siprec.example.com:5061;transport=tls;lr',
  'sip:srs@h;maddr=192.0.2.1',
]) {
  test(`${good} is a recording server`, t => t.deepEqual(uris(good), [good]))
}

test('a scheme in capitals is the same scheme', t => t.deepEqual(uris('SIP:Srs.example.com'), ['sip:Srs.example.com']))

test('commas separate parallel servers, with or without spaces, and duplicates are one', t => {
  t.deepEqual(uris('sip:srs1.example.com,sip:srs2.example.com'), ['sip:srs1.example.com', 'sip:srs2.example.com'])
  t.deepEqual(uris(' sip:a , sip:b ,sip:a,sip:A'), ['sip:a', 'sip:b'])
})

for (const [bad, why] of [
  ['wss://srs.example.com', 'WebSocket URLs are not supported, write sip: or sips:'],
  ['constructor:srs.example.com', 'the sip: or sips: scheme is missing'],
  ['ws://srs.example.com', 'WebSocket URLs are not supported, write sip: or sips:'],
  ['https://srs.example.com', 'HTTP URLs are not supported, write sip: or sips:'],
  ['http://srs.example.com', 'HTTP URLs are not supported, write sip: or sips:'],
  ['tel:+15551234', 'a tel: number is no server, write sip: or sips:'],
  ['siprec.example.com', 'the sip: or sips: scheme is missing'],
  ['10.0.0.5', 'the sip: or sips: scheme is missing'],
  ['X.X.X.X:5068', 'the sip: or sips: scheme is missing'],
  ['siprec.example.com:5060', 'the sip: or sips: scheme is missing'],
  ['sip:', 'it has no host'],
  ['sip:user@', 'it has no host'],
  ['sip:user:secret@host', 'it has a password, which belongs into the siprec_credentials of the account'],
  ['sip:@host', 'the part before the @ is empty'],
  ['sip:host:0', 'its port is not from 1 to 65535'],
  ['sip:host:65536', 'its port is not from 1 to 65535'],
  ['sip:host:port', 'its port is not from 1 to 65535'],
  ['sip:{{vars.srs}}', 'it has an expression that was not filled in'],
  ['sip:a host', 'it has a space'],
  ['sip:host\u0007', 'it has a control character'],
  ['sip:host|sip:evil', 'it has one of | { } < > [ ]'],
  ['sip:a]b', 'it has one of | { } < > [ ]'],
  ['sip:[x]', 'it has one of | { } < > [ ]'],
  ['<sip:host>', 'the sip: or sips: scheme is missing'],
  ['sip:host;transport=sctp', 'its transport is not udp, tcp or tls'],
  ['sips:host;transport=udp', 'sips: cannot go over udp'],
  ['sip:host?X-Tenant=acme', 'it has a question mark and headers, which belong into `headers`'],
  ['sip:host;method=BYE', 'it has a method'],
  ['sip:-host', 'it cannot be read'],
  [`sip:${'a'.repeat(600)}`, 'it is longer than 512 characters'],
] as const) {
  test(`${JSON.stringify(bad).slice(0, 60)} is refused: ${why}`, t => {
    t.true(fault(bad).endsWith(`is not a SIP URI: ${why}`), fault(bad))
    t.true(fault(`sip:good,${bad}`).endsWith(why))
  })
}

test('nothing at all is the missing header of the troubleshooting table', t => {
  t.is(MISSING, 'startCallRecording request is missing X-Srs-Url header')
  for (const nothing of [undefined, null, '', '  ', 5]) t.is(fault(nothing), MISSING)
})

test('an empty element and too many servers are told as such', t => {
  t.is(fault('sip:a,,sip:b'), 'the list of recording servers has an empty element')
  t.is(fault('sip:a,'), 'the list of recording servers has an empty element')
  t.is(fault(Array.from({ length: 9 }, (_, i) => `sip:h${i}`).join()), 'more than 8 recording servers')
})

test('a quote, a backslash and letters beyond ASCII are no part of a SIP URI', t => {
  for (const text of ['sip:z?^n\'v"', 'sip:a\\b@host', 'sip:zoë@host'])
    t.is(fault(text), `${JSON.stringify(text)} is not a SIP URI: it has a character that no SIP URI has`)
})

test('whatever is written, what passes has nothing that could break out of a dial string or a header', t => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), text => {
      for (const one of uris(`sip:${text}`)) t.regex(one, /^sips?:[^\s<>{}|"]+$/)
    }),
  )
  t.pass()
})
