// Phones as FreeSWITCH asks for them: who may ask, what is answered, and what is kept. The forms are those a
// real one sends (mod_xml_curl.c, sofia_reg.c, mod_dptools.c).

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { lookalikes } from '../../src/api/directory/directory.ts'
import { startPhoneCache } from '../../src/api/directory/phone-cache.ts'
import { escaped, xml } from '../../src/api/directory/xml.ts'
import { AppError } from '../../src/errors.ts'
import { packagePath } from '../../src/root.ts'
import { accountDb } from '../../src/store/modb.ts'
import type { Phone, SwitchEvent, SwitchNode, Switches } from '../../src/switch/switch.ts'
import { anAccount, world, type Wish, type World } from '../helpers/api.ts'
import { manualClock } from '../helpers/clock.ts'
import { notedLog } from '../helpers/log.ts'
import { directoryXml } from '../helpers/directory-server.ts'

const SECRET = 'a-secret-of-tests'
const basic = (secret: string): string => `Basic ${Buffer.from(`freeswitch:${secret}`).toString('base64')}`
const PASSWORD = 'wonderland'

interface Tenant extends World {
  account: string
  device: string
  at: string
}

async function tenant(t: ExecutionContext, wish: Wish = {}): Promise<Tenant> {
  const made = await world(t, wish)
  const account = await anAccount(made, { name: 'acme', realm: 'acme.example' })
  const at = `/v2/accounts/${account}`
  const { body } = await made.ask<{ id: string }>('PUT', `${at}/devices`, { name: 'phone', sip: { username: 'alice', password: PASSWORD } })
  made.calls.length = 0
  made.forgotten.length = 0
  return { ...made, account, device: body.data.id, at }
}

/** What sofia asks when a phone registers. */
const registering = (user: string, domain: string): string =>
  `hostname=fs1&section=directory&tag_name=domain&key_name=name&key_value=${domain}&Event-Name=REQUEST_PARAMS&action=sip_auth&sip_profile=callrec` +
  `&sip_auth_username=${user}&sip_auth_realm=${domain}&sip_auth_method=REGISTER&key=id&user=${user}&domain=${domain}&ip=192.0.2.7`

async function post({ url }: World, body: string, headers: Record<string, string> = {}): Promise<{ status: number; type: string | null; text: string }> {
  const own = { 'content-type': 'application/x-www-form-urlencoded', authorization: basic(SECRET) }
  const response = await fetch(`${url}/freeswitch/xml`, { method: 'POST', body, headers: { ...own, ...headers } })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

/** The files an operator reads explain themselves; answers do not. */
const withoutComment = (example: string): string => example.replace(/<!--[^]*?-->\n/, '')

const isNotFound = (text: string): boolean => text.includes('<result status="not found"/>') && !text.includes('<user')

test('a phone is answered as freeswitch/directory-example.xml says, in two reads', async t => {
  const made = await tenant(t)
  const { status, type, text } = await post(made, registering('alice', 'acme.example'))
  t.deepEqual([status, type], [200, 'text/xml; charset=utf-8'])
  t.deepEqual(made.calls, ['query accounts accounts/listing_by_realm', `query ${accountDb(made.account)} devices/listing_by_username`])
  const alice = { name: 'alice', realm: 'acme.example', password: PASSWORD, accountId: made.account, deviceId: made.device }
  t.is(text, withoutComment(directoryXml(alice)))
  t.is((await post(made, registering('bob', 'acme.example'))).text, withoutComment(readFileSync(packagePath('freeswitch/directory-not-found.xml'), 'utf8')))
})

test('a phone that writes itself with other capitals gets the digest of its spelling, which is not kept', async t => {
  const made = await tenant(t)
  const { text } = await post(made, registering('Alice', 'Acme.Example'))
  t.true(text.includes(createHash('md5').update(`Alice:Acme.Example:${PASSWORD}`).digest('hex')))
  t.true(text.includes('<domain name="Acme.Example">') && text.includes('<user id="Alice">'))
  t.false(text.includes('cacheable'))
  t.true(text.includes(`sofia/callrec/${made.device}%acme.example`))
})

test('whoever has no phone here is not found, and the log says why', async t => {
  const made = await tenant(t)
  const { ask, at, device, lines } = made
  const why = async (user = 'alice', domain = 'acme.example'): Promise<unknown> => {
    const { status, text } = await post(made, registering(user, domain))
    t.deepEqual([status, isNotFound(text)], [200, true], `${user}@${domain}`)
    return lines.findLast(({ event }) => event === 'phone_refused')?.['why']
  }
  t.is(await why('alice', 'else.example'), 'no account has this realm')
  t.is(await why('bob'), 'the account has no phone of this name')
  t.is(await why('%24%7Bsystem%7D'), 'no phone can have this name')
  t.is(await why('alice', 'acme.example%2F..'), 'no account can have this realm')
  t.like(
    lines.findLast(({ event }) => event === 'phone_refused'),
    { name: 'alice', action: 'sip_auth', phone_address: '192.0.2.7' },
  )
  await ask('PATCH', `${at}/devices/${device}`, { enabled: false })
  t.is(await why(), 'the device is disabled')
  await ask('PATCH', `${at}/devices/${device}`, { enabled: true, sip: { password: null } })
  t.is(await why(), 'the device has no password')
  await ask('PATCH', at, { enabled: false })
  t.is(await why(), 'the account is disabled')
  await ask('PATCH', at, { enabled: null })
  await ask('DELETE', `${at}/devices/${device}`)
  t.is(await why(), 'the account has no phone of this name')
  await ask('DELETE', at)
  t.is(await why(), 'no account has this realm')
})

test('two devices of one name, and documents no schema has seen, are not served', async t => {
  const made = await tenant(t)
  const { store, account, device } = made
  const db = accountDb(account)
  const phone = { pvt_type: 'device', name: 'x', pvt_account_id: account }
  const put = (digit: string, sip: unknown): Promise<string> => store.put(db, { ...phone, _id: digit.repeat(32), sip })
  await put('1', { username: 'ALICE', password: 'other' })
  t.true(isNotFound((await post(made, registering('alice', 'acme.example'))).text), `beside ${device}`)
  await put('2', { username: 'num', password: 12_345 })
  t.true(isNotFound((await post(made, registering('num', 'acme.example'))).text))
  await put('3', { username: 'a"><x', password: 'secret' })
  t.true(isNotFound((await post(made, registering('a%22%3E%3Cx', 'acme.example'))).text))
})

test('other things FreeSWITCH asks for are not found without a word', async t => {
  const made = await tenant(t)
  const { lines, calls } = made
  for (const form of [
    'hostname=fs1&section=directory&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&purpose=gateways&profile=callrec',
    'hostname=fs1&section=directory&tag_name=domain&key_name=name&key_value=acme.example&purpose=network-list&domain=acme.example',
    'hostname=fs1&section=dialplan&tag_name=&key_name=&key_value=&key=id&user=alice&domain=acme.example',
    'hostname=fs1&section=directory&tag_name=domain&key_name=name&key_value=acme.example&key=number-alias&user=alice&domain=acme.example',
    '',
    '%',
  ])
    t.true(isNotFound((await post(made, form)).text), form)
  t.deepEqual(calls, [])
  t.false(lines.some(({ event }) => event === 'phone_refused'))
})

test('a phone that smuggles fields in with its realm is not served by them', async t => {
  const made = await tenant(t)
  const smuggled = 'section=directory&tag_name=domain&key_name=name&key_value=x&user=alice&domain=acme.example&key=id&user=mallory&domain=x%26user%3Dalice'
  t.true(isNotFound((await post(made, smuggled)).text))
  t.deepEqual(made.calls, [])
})

test('without the secret, or with a wrong one, nothing is told', async t => {
  const made = await tenant(t)
  for (const authorization of ['', basic(''), basic('a-secret-of-test'), `Bearer ${SECRET}`, 'Basic', `Basic ${SECRET}`, basic(`x:${SECRET}`)]) {
    const { status, text } = await post(made, registering('alice', 'acme.example'), { authorization })
    t.deepEqual([status, isNotFound(text)], [401, true], authorization)
  }
  t.deepEqual(made.calls, [])
  t.regex(JSON.stringify(made.lines), /wrong secret/)
})

test('it answers loopback only, nobody behind a proxy, and others when the operator says so', async t => {
  const strict = await tenant(t, { config: { xmlCurl: { secret: SECRET, networks: ['192.0.2.0/24'] } } })
  t.is((await post(strict, registering('alice', 'acme.example'))).status, 403)
  const made = await tenant(t)
  for (const name of ['x-forwarded-for', 'forwarded', 'via'])
    t.is((await post(made, registering('alice', 'acme.example'), { [name]: '127.0.0.1' })).status, 403, name)
  t.regex(JSON.stringify(made.lines), /XML_CURL_ALLOW_NETWORKS/)
  const mapped = await tenant(t, { config: { xmlCurl: { secret: SECRET, networks: ['::1/128', '127.0.0.1/32'] } } })
  t.is((await post(mapped, registering('alice', 'acme.example'))).status, 200)
})

test('only POST is answered, and in XML', async t => {
  const made = await tenant(t)
  const response = await fetch(`${made.url}/freeswitch/xml`, { headers: { authorization: basic(SECRET) } })
  t.deepEqual([response.status, response.headers.get('allow'), response.headers.get('content-type')], [405, 'POST', 'text/xml; charset=utf-8'])
})

test('a store that is away is a 503 in XML, and neither it nor the log tells a password', async t => {
  const made = await tenant(t)
  const { store, lines } = made
  await post(made, registering('alice', 'acme.example'))
  Object.assign(store, { query: () => Promise.reject(new AppError('datastore_unreachable', 'no answer')) })
  const { status, text } = await post(made, registering('alice', 'acme.example'))
  t.deepEqual([status, isNotFound(text)], [503, true])
  t.like(
    lines.find(({ event }) => event === 'directory_failed'),
    { reason: 'no answer' },
  )
  t.notRegex(JSON.stringify(lines), new RegExp(`${PASSWORD}|${SECRET}`))
})

test('a body that ends early is no phone', async t => {
  const made = await tenant(t)
  const { hostname, port } = new URL(made.url)
  const socket = connect(Number(port), hostname)
  socket.write(`POST /freeswitch/xml HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(SECRET)}\r\nContent-Length: 500\r\n\r\nsection=dir`)
  socket.end()
  socket.resume()
  await new Promise(resolve => socket.on('close', resolve))
  t.is((await post(made, registering('alice', 'acme.example'))).status, 200)
})

test('where two realms and names read the same run together, nothing is kept', async t => {
  t.deepEqual(lookalikes('bob', 'acme.example').slice(0, 2), ['cme.example', 'me.example'])
  t.true(lookalikes('boba', 'cme.example').includes('acme.example'))
  const made = await tenant(t)
  const rival = await anAccount(made, { realm: 'iceacme.example' })
  await made.ask('PUT', `/v2/accounts/${rival}/devices`, { name: 'x', sip: { username: 'al', password: PASSWORD } })
  t.is(made.forgotten.at(0), 'all', 'what was kept before the second realm came')
  for (const [name, realm] of [
    ['alice', 'acme.example'],
    ['al', 'iceacme.example'],
  ] as const) {
    const { text } = await post(made, registering(name, realm))
    t.true(text.includes(`<user id="${name}">`), name)
  }
})

test('switches forget a phone when what it registers with changes, and not when anything else does', async t => {
  const { ask, at, device, forgotten } = await tenant(t)
  const one = `${at}/devices/${device}`
  const after = async (change: () => Promise<unknown>): Promise<unknown[]> => {
    forgotten.length = 0
    await change()
    return [...forgotten]
  }
  const alice = { name: 'alice', realm: 'acme.example' }
  t.deepEqual(await after(() => ask('PATCH', one, { record_call: true, name: 'new' })), [])
  t.deepEqual(await after(() => ask('PATCH', one, { sip: { password: 'another' } })), [alice])
  t.deepEqual(await after(() => ask('PATCH', one, { enabled: false })), [alice])
  t.deepEqual(await after(() => ask('PATCH', one, { enabled: true, sip: { username: 'alicia' } })), [alice])
  t.deepEqual(await after(() => ask('DELETE', one)), [{ name: 'alicia', realm: 'acme.example' }])
  t.deepEqual(await after(() => ask('PUT', `${at}/devices`, { name: 'n', sip: { username: 'new', password: PASSWORD } })), [])
  t.deepEqual(await after(() => ask('PATCH', at, { record_call: true })), [])
  t.deepEqual(await after(() => ask('PATCH', at, { enabled: false })), ['all'])
  t.deepEqual(await after(() => ask('PATCH', at, { realm: 'other.example' })), ['all'])
  t.deepEqual(await after(() => ask('DELETE', at)), ['all'])
})

test('switches forget at once and once more, all when they come back, and one that will not harms nobody', async t => {
  const heard: string[] = []
  const listeners = new Set<(event: SwitchEvent) => void>()
  const node = (name: string, state: 'up' | 'down', fails = false): SwitchNode => {
    const partial: Pick<SwitchNode, 'name' | 'status' | 'forgetPhones'> = {
      name,
      status: () => ({ name, state, address: '', modules: {}, formats: [] }),
      forgetPhones: async (phone?: Phone) => {
        heard.push(`${name} ${phone?.name ?? 'all'}`)
        if (fails) throw new AppError('switch_timeout', 'no answer')
      },
    }
    return partial as SwitchNode
  }
  const nodes = [node('a', 'up'), node('b', 'up', true), node('c', 'down')]
  const switches: Pick<Switches, 'nodes' | 'node' | 'on'> = {
    nodes,
    node: name => nodes.find(one => one.name === name) as SwitchNode,
    on: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const clock = manualClock()
  const { log, lines } = notedLog()
  const cache = startPhoneCache({ switches: switches as Switches, clock, log })
  t.deepEqual(heard.splice(0), ['a all', 'b all'])
  await cache.forget({ name: 'alice', realm: 'acme.example' })
  await cache.forget({ name: 'alice', realm: 'acme.example' })
  t.deepEqual(heard.splice(0), ['a alice', 'b alice', 'a alice', 'b alice'])
  clock.advance(10_000)
  t.deepEqual(heard.splice(0), ['a alice', 'b alice'])
  for (const listener of listeners) listener({ name: 'node_up', node: 'c' })
  t.deepEqual(heard.splice(0), ['c all'])
  await cache.forget()
  await cache.close()
  heard.length = 0
  clock.advance(10_000)
  t.deepEqual([heard, listeners.size], [[], 0])
  t.like(lines[0], { event: 'phones_not_forgotten', node: 'b', reason: 'no answer' })
})

test('XML is escaped, and what XML cannot carry is dropped', t => {
  t.is(xml`<a b="${`<&>"'`}"/>`, '<a b="&lt;&amp;&gt;&quot;&apos;"/>')
  t.is(escaped('a\u0000b\u0008\ud800c\udc00\ufffe\uffff'), 'abc')
  t.is(escaped('\tüber 𝄞\n'), '\tüber 𝄞\n')
})
