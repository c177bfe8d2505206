import test from 'ava'
import { type Dns, inOrder, resolve, systemDns } from '../../src/sip/resolve.ts'
import { parseUri } from '../../src/sip/uri.ts'

const DNS: Dns = {
  srv: async name =>
    ({
      '_sip._udp.srs.test': [
        { name: 'b.test', port: 5070, priority: 20, weight: 0 },
        { name: 'a.test', port: 5060, priority: 10, weight: 0 },
      ],
      '_sip._tcp.srs.test': [{ name: 'a.test', port: 5062, priority: 10, weight: 0 }],
      '_sip._tcp.streams.test': [{ name: 'a.test', port: 5062, priority: 10, weight: 0 }],
      '_sips._tcp.safe.test': [{ name: 'a.test', port: 5063, priority: 10, weight: 0 }],
    })[name] ?? [],
  addresses: async name => ({ 'a.test': ['192.0.2.1', '192.0.2.2'], 'b.test': ['192.0.2.3'], 'plain.test': ['192.0.2.9'] })[name] ?? [],
}

const to = async (uri: string, large = false): Promise<string[]> => {
  const parsed = parseUri(uri)
  if (parsed === undefined) throw new Error(uri)
  return (await resolve(parsed, { large, dns: DNS, random: () => 0.5 })).map(({ protocol, address, port }) => `${protocol} ${address}:${port}`)
}

test('a name without a port is asked for its services first, lowest priority first', async t => {
  t.deepEqual((await to('sip:srs.test')).slice(0, 3), ['udp 192.0.2.1:5060', 'udp 192.0.2.2:5060', 'udp 192.0.2.3:5070'])
})

test('a name without a port and without services is looked up', async t => {
  t.deepEqual(await to('sip:plain.test'), ['udp 192.0.2.9:5060'])
})

test('a name with a port is not asked for services', async t => {
  t.deepEqual(await to('sip:a.test:5090'), ['udp 192.0.2.1:5090', 'udp 192.0.2.2:5090'])
})

test('a service that is only there for streams is found for a small message too', async t => {
  t.deepEqual(await to('sip:streams.test'), ['tcp 192.0.2.1:5062', 'tcp 192.0.2.2:5062'])
})

test('what does not fit a datagram goes by TCP first and by UDP after, unless the URI names its transport', async t => {
  t.deepEqual(await to('sip:192.0.2.7', true), ['tcp 192.0.2.7:5060', 'udp 192.0.2.7:5060'])
  t.deepEqual(await to('sip:192.0.2.7;transport=udp', true), ['udp 192.0.2.7:5060'])
  t.deepEqual((await to('sip:srs.test', true))[0], 'tcp 192.0.2.1:5062')
})

test('sips means TLS and its own port, and never UDP', async t => {
  t.deepEqual(await to('sips:192.0.2.7'), ['tls 192.0.2.7:5061'])
  t.deepEqual(await to('sips:safe.test'), ['tls 192.0.2.1:5063', 'tls 192.0.2.2:5063'])
  t.deepEqual(await to('sips:192.0.2.7;transport=udp'), [])
})

test('a transport that is not spoken here, and a name that nobody knows, lead nowhere', async t => {
  t.deepEqual(await to('sip:192.0.2.7;transport=sctp'), [])
  t.deepEqual(await to('sip:nobody.test'), [])
  t.deepEqual(await systemDns.srv('_sip._udp.name-that-is-not.invalid'), [])
  t.deepEqual(await systemDns.addresses('name-that-is-not.invalid'), [])
})

test('among equals chance decides by weight, and a lone dot is no service', t => {
  const records = [
    { name: 'light', port: 1, priority: 1, weight: 1 },
    { name: 'heavy', port: 1, priority: 1, weight: 9 },
    { name: '.', port: 1, priority: 0, weight: 0 },
  ]
  const first = (chance: number): string | undefined => inOrder(records, () => chance)[0]?.name
  t.is(first(0.05), 'light')
  t.is(first(0.5), 'heavy')
  t.is(inOrder(records, () => 0.5).length, 2)
})
