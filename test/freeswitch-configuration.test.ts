// freeswitch/ as text: what an operator copies must be well-formed, complete and closed, with or without a FreeSWITCH here.
// freeswitch.test.ts runs the same files.

import test from 'ava'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packagePath } from '../src/root.ts'
import { a1Hash, directoryXml, EXAMPLE } from './helpers/directory-server.ts'
import { withVars } from './helpers/operator-freeswitch.ts'
import { all, named, params, parseXml, preprocess } from './helpers/xml.ts'

const folder = packagePath('freeswitch')
const files = (below: string): string[] =>
  readdirSync(below).flatMap(name => (statSync(join(below, name)).isDirectory() ? files(join(below, name)) : [join(below, name)]))
const { text, variables, used } = preprocess(join(folder, 'conf/freeswitch.xml'))
const whole = parseXml(text)
const readme = readFileSync(join(folder, 'README.md'), 'utf8')

test('every XML file is well-formed by itself, before anything is included', t => {
  for (const file of files(folder).filter(name => name.endsWith('.xml'))) t.notThrows(() => parseXml(readFileSync(file, 'utf8')), file)
})

test('a comment never holds an instruction, for FreeSWITCH would follow it', t => {
  for (const file of files(join(folder, 'conf')).filter(name => name.endsWith('.xml')))
    for (const comment of readFileSync(file, 'utf8').match(/<!--[\s\S]*?-->/g) ?? []) t.notRegex(comment, /X-PRE-PROCESS|<include>|<!--#/i, file)
})

test('every variable that is used is set in vars.xml, and every one that is set is used and explained', t => {
  t.deepEqual(
    [...used].filter(name => !(name in variables)),
    [],
  )
  t.deepEqual(
    Object.keys(variables).filter(name => !used.has(name) && !['hold_music', 'api_on_startup'].includes(name)),
    [],
  )
  for (const name of Object.keys(variables)) t.true(readme.includes(`\`${name}\``), `README.md does not explain ${name}`)
})

test('no secret is a variable: those can be read in any dialplan as ${name}', t => {
  t.deepEqual(
    Object.keys(variables).filter(name => /pass|secret|cred/i.test(name)),
    [],
  )
})

test('as shipped, everything listens on loopback and no two on one port', t => {
  const esl = params(named(whole, 'configuration', 'event_socket.conf'))
  t.is(esl['listen-ip'], '127.0.0.1')
  const ports = [Number(esl['listen-port'])]
  for (const profile of all(named(whole, 'configuration', 'sofia.conf'), 'profile')) {
    const settings = params(profile)
    t.deepEqual([settings['sip-ip'], settings['rtp-ip']], ['127.0.0.1', '127.0.0.1'])
    ports.push(Number(settings['sip-port']))
    for (const other of ['ws-binding', 'wss-binding', 'tls']) t.is(settings[other], undefined, other)
  }
  t.is(new Set(ports).size, ports.length)
  t.true(ports.every(port => port > 1024 && port < 65_536))
  t.true(Number(variables['callrec_rtp_start']) > 1024 && Number(variables['callrec_rtp_end']) <= 32_767, 'below the ports that Linux gives out by itself')
})

test('expansion of API calls is off, and nothing in the configuration needs it', t => {
  t.is(params(named(whole, 'configuration', 'switch.conf'))['api-expansion'], 'false')
  const values = all(whole, 'action')
    .concat(all(whole, 'param'), all(whole, 'condition'))
    .flatMap(({ attributes }) => Object.values(attributes))
  t.deepEqual(
    values.filter(value => /\$\{[^}]*[( ]/.test(value)),
    [],
  )
})

test('phones must prove who they are, and media stays with the switch', t => {
  const phones = params(named(named(whole, 'configuration', 'sofia.conf'), 'profile', 'callrec'))
  t.like(phones, { 'auth-calls': 'true', 'accept-blind-reg': 'false', 'accept-blind-auth': 'false', 'inbound-reg-force-matching-username': 'true' })
  t.is(phones['apply-inbound-acl'], undefined, 'an address list would let its members in without a password')
  for (const profile of all(named(whole, 'configuration', 'sofia.conf'), 'profile')) {
    t.like(params(profile), { 'inbound-bypass-media': 'false', 'inbound-proxy-media': 'false', 'inbound-late-negotiation': 'true' })
    t.true(Number(params(profile)['rtp-timeout-sec']) > 0)
  }
  t.is(params(named(whole, 'profile', 'callrec-trunk'))['apply-inbound-acl'], 'callrec-trunks')
  t.is(named(whole, 'list', 'callrec-trunks').attributes['default'], 'deny')
})

test('the engine is asked for the directory only, and not waited for longer than two seconds', t => {
  const binding = named(whole, 'binding', 'callrec')
  t.deepEqual(
    all(binding, 'param').flatMap(({ attributes }) => attributes['bindings'] ?? []),
    ['directory'],
  )
  const { timeout = '' } = params(binding)
  t.true(Number(timeout) > 0 && Number(timeout) <= 2)
})

test('emergency numbers come first in the context of phones and never meet park', t => {
  const [first] = all(named(whole, 'context', 'callrec'), 'extension')
  const applications = all(first ?? whole, 'action').map(({ attributes }) => attributes['application'])
  t.deepEqual(applications.slice(-1), ['bridge'])
  t.false(applications.includes('park'))
  const matches = new RegExp(all(first ?? whole, 'condition')[0]?.attributes['expression'] ?? '')
  for (const number of ['112', '911']) t.is(matches.exec(number)?.[1], number)
  for (const number of ['1123', '9112', '0112', '11', '']) t.false(matches.test(number), number)
})

test('a prefix before an emergency number is cut off', t => {
  const raw = readFileSync(join(folder, 'conf/dialplan/callrec.xml'), 'utf8')
  const prefixed = raw.replace('$${callrec_emergency_prefix}', '0').replace('$${callrec_emergency_numbers}', '112|911')
  const matches = new RegExp(/destination_number" expression="([^"]*112[^"]*)"/.exec(prefixed)?.[1] ?? 'none')
  t.is(matches.exec('0112')?.[1], '112')
  t.is(matches.exec('911')?.[1], '911')
  t.false(matches.test('1112'))
})

test('the commands README gives for the two secrets leave nothing of the shipped ones', t => {
  const copy = mkdtempSync(join(tmpdir(), 'callrec-secrets-'))
  t.teardown(() => rmSync(copy, { recursive: true, force: true }))
  cpSync(join(folder, 'conf/secrets'), join(copy, 'secrets'), { recursive: true })
  const commands = readme.split('\n').filter(line => line.trim().startsWith('sed -i'))
  t.is(commands.length, 2)
  execFileSync('sh', ['-c', ['ESL=first XML=second', ...commands].join('\n').replaceAll('/etc/freeswitch', copy)])
  const set = ['event_socket', 'xml_curl'].map(name => params(parseXml(readFileSync(join(copy, `secrets/${name}.xml`), 'utf8'))))
  t.deepEqual(set, [{ password: 'first' }, { 'gateway-credentials': 'freeswitch:second' }])
})

test('every context that parks forgets callrec_node and limits how long nobody serves the call', t => {
  for (const context of all(whole, 'context')) {
    const steps = all(context, 'action').map(({ attributes }) => `${attributes['application']} ${attributes['data'] ?? ''}`.trim())
    const park = steps.indexOf('park')
    t.true(park > 0, context.attributes['name'] ?? '')
    const before = steps.slice(0, park)
    for (const step of [
      'unset callrec_node',
      'set bypass_media=false',
      'set send_silence_when_idle=-1',
      `sched_hangup +${variables['callrec_unserved']} NORMAL_TEMPORARY_FAILURE`,
    ])
      t.true(before.includes(step), `${context.attributes['name']}: ${step}`)
  }
})

test('the documented directory answer is what FreeSWITCH needs, and holds no clear password', t => {
  const user = named(parseXml(directoryXml(EXAMPLE)), 'domain', EXAMPLE.realm).children[0]
  t.deepEqual(user?.attributes, { id: EXAMPLE.name, cacheable: 'true' })
  const settings = params(user ?? whole)
  t.is(settings['a1-hash'], a1Hash(EXAMPLE))
  t.is(settings['sip-force-user'], EXAMPLE.deviceId)
  t.true(settings['dial-string']?.endsWith(`sofia/callrec/${EXAMPLE.deviceId}%${EXAMPLE.realm}`))
  t.deepEqual(params(user ?? whole, 'variable'), { callrec_account_id: EXAMPLE.accountId, callrec_device_id: EXAMPLE.deviceId, user_context: 'callrec' })
  t.notRegex(directoryXml(EXAMPLE), /name="password"|wonderland/)
  const other = { name: 'bob', realm: 'b.example.org', password: 'x', accountId: 'a'.repeat(32), deviceId: 'b'.repeat(32) }
  t.notRegex(directoryXml(other), /alice|acme/)
})

test('the helper of the tests changes values of vars.xml by name, and refuses a name that is not there', t => {
  const vars = readFileSync(join(folder, 'conf/vars.xml'), 'utf8')
  t.regex(withVars(vars, { callrec_sip_port: '1$&2' }), /data="callrec_sip_port=1\$&2"/)
  t.throws(() => withVars(vars, { callrec_nothing: '1' }), { message: /has no callrec_nothing/ })
})

test('what is not well-formed is refused', t => {
  for (const bad of ['<a>', '<a></b>', '<a b=c/>', '<a/><b/>', '<a><!-- x -- y --></a>', '<a>x & y</a>', '<a b="<"/>', ''])
    t.throws(() => parseXml(bad), undefined, bad)
})
