import test from 'ava'
import { isCode } from '../src/errors.ts'
import { isAllowed, mayLeadTo, parseNetworks } from '../src/addresses.ts'

const none = parseNetworks([])

test('addresses of the public internet are allowed', t => {
  for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8']) t.true(isAllowed(address, none), address)
})

test('nothing that is not unicast on the public internet is allowed, in IPv6 clothes neither', t => {
  const inside = `
    127.0.0.1 127.255.0.3 0.0.0.0 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 100.64.0.1
    192.0.2.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:a00:1 ::ffff:0:10.0.0.1 64:ff9b::10.0.0.1 2002:a00:1:: 2001::1
    fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2001:db8::1 100::1 4000::1
  `
  for (const address of inside.trim().split(/\s+/)) t.false(isAllowed(address, none), address)
})

test('what is not an address is not allowed, whatever is exempt', t => {
  for (const text of ['', 'localhost', 'example.com', '1.2.3.4.5', '::g']) t.false(isAllowed(text, parseNetworks(['0.0.0.0/0', '::/0'])), text)
})

test('an exempt network opens itself and nothing beside it', t => {
  const exempt = parseNetworks(['127.0.0.0/8', '10.20.0.0/16', '::1/128'])
  t.deepEqual(
    ['127.3.2.1', '::ffff:127.0.0.1', '10.20.255.1', '::1', '10.21.0.1', '192.168.0.1', '::2', 'fc00::1'].map(address => isAllowed(address, exempt)),
    [true, true, true, true, false, false, false, false],
  )
})

test('a URL that spells a private address in any way is told from its text, a name is not judged', t => {
  const inside = `
    127.0.0.1 0x7f000001 2130706433 017700000001 127.1 0x7f.1 127.0.0.1. 0 10.1 169.254.169.254 %31%32%37.0.0.1 １２７.0.0.1
    [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [64:ff9b::7f00:1] [fe80::1] [::] localhost LOCALHOST localhost. a.localhost
  `
  for (const host of inside.trim().split(/\s+/)) t.false(mayLeadTo(new URL(`http://u:p@${host}:8080/x`), none), host)
  for (const host of ['8.8.8.8', '[2606:4700::1111]', 'records.example', 'localhost.example', 'couchdb'])
    t.true(mayLeadTo(new URL(`http://${host}/`), none), host)
})

test('an exempt loopback is one by its name too', t => {
  for (const networks of [['127.0.0.0/8'], ['::1/128']]) t.true(mayLeadTo(new URL('http://localhost:8001/'), parseNetworks(networks)))
})

test('a CIDR that is none is named', t => {
  const error = t.throws(() => parseNetworks(['10.0.0.0/8', '10.0.0.0/64']))
  t.true(isCode(error, 'bad_configuration'))
  t.regex(error.message, /"10\.0\.0\.0\/64"/)
})
