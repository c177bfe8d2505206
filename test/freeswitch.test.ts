// The configuration in freeswitch/ on a real FreeSWITCH, when there is one on PATH; otherwise one line says that there is none.
// One switch serves the whole file, for it takes seconds to start.

import test, { type ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, chmodSync, chownSync } from 'node:fs'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packagePath } from '../src/root.ts'
import { directoryServer, directoryXml, type DirectoryServer, type DirectoryUser } from './helpers/directory-server.ts'
import { eslClient, type EslClient, type EslEvent } from './helpers/esl-events.ts'
import { onPath, realRun } from './helpers/real.ts'
import { startFreeSwitch, type FreeSwitch } from './helpers/operator-freeswitch.ts'
import { freePorts } from './helpers/ports.ts'
import { sipPhone } from './helpers/sip-phone.ts'
import { TONE_440 } from './helpers/test-phones.ts'

const REALM = 'acme.example.com'
const user = (name: string, account: string): DirectoryUser => ({
  name,
  realm: REALM,
  password: `${name}-password`,
  accountId: account.repeat(32),
  deviceId: name.padEnd(32, '0'),
})
const alice = user('alice', 'a')
const bob = user('bob', 'b')
const busy = user('busy', 'b')
const away = user('away', 'b')
const guard = user('guard', 'b')

interface Running {
  freeswitch: FreeSwitch
  directory: DirectoryServer
  /** One for all: the switch lets no more than a handful of connections wait to be accepted. */
  esl: EslClient
}

const ends: (() => unknown)[] = []
async function start(): Promise<Running> {
  const t = { teardown: (run: () => unknown): void => void ends.push(run) }
  const directory = await directoryServer(t, [alice, bob, busy, away])
  const freeswitch = await startFreeSwitch(t, {
    directory,
    phones: [alice, { ...bob, answers: 'tone1000' }, { ...busy, answers: 'busy' }],
    vars: { callrec_unserved: '2', callrec_rtp_timeout: '2' },
    domain: /<domain[\s\S]*<\/domain>/.exec(directoryXml({ ...guard, realm: 'help.example.com' }))?.[0] ?? '',
  })
  if (!freeswitch) throw new Error('freeswitch left PATH')
  const esl = await eslClient(freeswitch.esl)
  ends.push(() => esl.close())
  return { freeswitch, directory, esl }
}
const running = realRun('the configuration', { FreeSWITCH: onPath('freeswitch') }) ? start() : undefined
running?.catch(() => undefined)
test.after.always(async () => {
  for (const end of ends.toReversed()) await end()
})

const real = (title: string, run: (t: ExecutionContext, setup: Running) => Promise<void>, how: typeof test | typeof test.serial = test): void => {
  if (running) how(title, async t => run(t, await running))
}

/** A phone calls; answers the parked leg once the engine would have taken it. */
async function parked(esl: EslClient, number: string, from = 'alice'): Promise<{ park: EslEvent; leg: string; phone: string; originated: Promise<string> }> {
  const phone = randomUUID()
  const tell = `origination_uuid=${phone},originate_timeout=20,origination_caller_id_number=${from}`
  const originated = esl.bgapi(`originate {${tell}}sofia/gateway/${from}/${number} &playback(${TONE_440})`, 20_000)
  originated.catch(() => undefined)
  const park = await esl.event(is('CHANNEL_PARK', { 'Caller-Destination-Number': number }), `${number} parks`)
  const leg = park['Unique-ID'] ?? ''
  await esl.api(`sched_del ${leg}`)
  await esl.api(`uuid_setvar_multi ${leg} continue_on_fail=true;hangup_after_bridge=false`)
  return { park, leg, phone, originated }
}

const is =
  (name: string, headers: Readonly<Record<string, string>>) =>
  (event: EslEvent): boolean =>
    event['Event-Name'] === name && Object.entries(headers).every(([key, value]) => event[key] === value)

if (!running) test('without a FreeSWITCH only freeswitch-configuration.test.ts looks at the configuration', t => t.pass())

real('the modules callrec needs are loaded and expansion of API calls is off', async (t, { esl }) => {
  for (const module of [
    'mod_hash',
    'mod_xml_curl',
    'mod_sndfile',
    'mod_dptools',
    'mod_commands',
    'mod_sofia',
    'mod_dialplan_xml',
    'mod_tone_stream',
    'mod_loopback',
  ])
    t.is(await esl.api(`module_exists ${module}`), 'true', module)
  t.regex(await esl.api('fsctl api_expansion'), /is off/)
})

real('ESL refuses a wrong password and the default one', async (t, { freeswitch }) => {
  for (const password of ['ClueCon', 'wrong']) await t.throwsAsync(eslClient({ ...freeswitch.esl, password }), { message: /-ERR invalid/ })
})

real('the process listens on loopback addresses only', async (t, { freeswitch }) => {
  const own = new Set(
    readdirSync(`/proc/${freeswitch.pid}/fd`).flatMap(fd => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${freeswitch.pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        return []
      }
    }),
  )
  const bound = ['tcp', 'tcp6', 'udp', 'udp6'].flatMap(kind =>
    readFileSync(`/proc/net/${kind}`, 'utf8')
      .split('\n')
      .slice(1)
      .map(line => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => own.has(inode ?? '') && (kind.startsWith('udp') || state === '0A'))
      .map(([, local = '']) => local.split(':')[0]),
  )
  t.true(bound.length >= 3, 'ESL and two SIP ports at least')
  t.deepEqual([...new Set(bound)], ['0100007F'])
})

real('a phone without a password is challenged, and refused with a wrong one, an unknown name or an unknown realm', async (t, { freeswitch }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const from = { name: 'alice', realm: REALM }
  t.is((await phone.call('200', { from }).answered).status, 407)
  t.is((await phone.call('200', { from, as: { ...alice, password: 'guess' } }).answered).status, 403)
  t.is((await phone.call('200', { from: { ...from, realm: 'else.example.com' }, as: { ...alice, realm: 'else.example.com' } }).answered).status, 403)
  t.is((await phone.register({ ...away, password: 'guess' })).status, 403)
  t.is((await phone.register({ ...away, name: 'nobody' })).status, 403)
  t.is((await phone.register({ ...away, realm: 'else.example.com' })).status, 403)
  t.is((await phone.register(away)).status, 200)
})

real('a phone written down beside FreeSWITCH needs no engine', async (t, { freeswitch }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const as = { ...guard, realm: 'help.example.com' }
  t.is((await phone.register(as)).status, 200)
  t.is((await phone.register({ ...as, password: 'guess' })).status, 403)
})

real('a registration at another account’s realm is not found there: it is kept under the device that proved its password', async (t, { freeswitch, esl }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const victim = { name: away.name, realm: 'victim.example.com' }
  await phone.register(away, { to: victim })
  t.is(await esl.api(`sofia_contact callrec/${victim.name}@${victim.realm}`), 'error/user_not_registered')
  t.is((await phone.register(away, { to: { name: 'bob', realm: REALM } })).status, 403)
})

real('a call parks with the account and device its password belongs to, whatever the SIP message claims', async (t, { freeswitch, esl }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const file = join(freeswitch.recordingDir, 'touched')
  const call = phone.call('201', {
    as: alice,
    from: { name: 'mallory', realm: REALM, display: `\${system(touch ${file})} %41` },
    uriParams: ';callrec_account_id=forged;callrec_inception=offnet;callrec_node=forged',
    headers: {
      'X-callrec_account_id': 'forged',
      'P-callrec_device_id': 'forged',
      callrec_account_id: 'forged',
      variable_callrec_account_id: 'forged',
      callrec_inception: 'offnet',
      'X-FS-Channel-Name': `sofia/callrec/\${system(touch ${file})}`,
      'Call-Info': '<sip:x>;callrec_account_id=forged',
    },
  })
  const park = await esl.event(is('CHANNEL_PARK', { 'Caller-Destination-Number': '201' }), '201 parks')
  const claimed = Object.fromEntries(Object.entries(park).filter(([name]) => name.startsWith('variable_callrec_')))
  t.deepEqual(claimed, { variable_callrec_account_id: alice.accountId, variable_callrec_device_id: alice.deviceId })
  t.is(park['Answer-State'], 'ringing')
  t.is(park['variable_bypass_media'], 'false')
  // FreeSWITCH decodes percent signs in a display name and turns ${ into %{ (check_decode, sofia.c).
  t.regex(park['Caller-Caller-ID-Name'] ?? '', /^[%$]\{system/)

  // What a careless engine would do: outside text in the argument of an application.
  const leg = park['Unique-ID'] ?? ''
  await esl.execute(leg, 'set', `careless=\${system(touch ${file})}`)
  await esl.api(`uuid_setvar ${leg} outside \${system(touch ${file})}`)
  await esl.execute(leg, 'set', 'second=${outside}')
  await esl.execute(leg, 'log', `INFO \${system(touch ${file})} \${caller_id_name}`)
  const logged = await esl.event(is('CHANNEL_EXECUTE_COMPLETE', { 'Unique-ID': leg, Application: 'log' }), 'log ran')
  for (const name of ['careless', 'second']) t.regex(logged[`variable_${name}`] ?? '', /API Execute Permission Denied/i, name)
  t.false(existsSync(file))

  call.cancel()
  t.is((await call.answered).status, 487)
})

real('a phone that asks for a gateway’s context is refused there', async (t, { freeswitch }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const from = { name: 'alice', realm: REALM }
  t.is((await phone.call('202', { as: alice, from, uriParams: ';gw=trunk' }).answered).status, 403)
  t.is((await phone.call('gw+trunk', { as: alice, from }).answered).status, 403)
})

real('an emergency number goes to the trunk and is never parked', async (t, { freeswitch, esl }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const call = phone.call('112', { as: alice, from: { name: 'alice', realm: REALM } })
  t.is((await call.answered).status, 200)
  const bridge = await esl.event(is('CHANNEL_BRIDGE', { 'Caller-Destination-Number': '112' }), '112 is bridged')
  t.is(bridge['Other-Leg-Destination-Number'], '112')
  t.is(bridge['variable_callrec_account_id'], alice.accountId)
  call.bye()
  await esl.event(is('CHANNEL_HANGUP_COMPLETE', { 'Unique-ID': bridge['Unique-ID'] ?? '' }), '112 ends')
  t.false(esl.events.some(is('CHANNEL_PARK', { 'Unique-ID': bridge['Unique-ID'] ?? '' })))
})

real('a call no engine takes is ended with 503 after the time in vars.xml', async (t, { freeswitch }) => {
  const phone = await sipPhone(t, freeswitch.sip)
  const began = performance.now()
  const call = phone.call('203', { as: alice, from: { name: 'alice', realm: REALM } })
  t.is((await call.answered).status, 503)
  const seconds = (performance.now() - began) / 1000
  t.true(seconds > 1 && seconds < 6, `${seconds} s`)
  t.deepEqual(call.statuses, [407, 100, 503], 'no ringing and no early media by itself')
})

real('a call from the trunk parks as offnet, without an account, and no phone’s port serves the carrier', async (t, { freeswitch, esl }) => {
  const carrier = await sipPhone(t, freeswitch.trunk)
  const headers = { 'X-callrec_account_id': 'forged', callrec_account_id: 'forged' }
  const call = carrier.call('4930204', { from: { name: '+491701234567', realm: 'carrier.example.net' }, headers })
  const park = await esl.event(is('CHANNEL_PARK', { 'Caller-Destination-Number': '4930204' }), '4930204 parks')
  t.is(park['variable_callrec_inception'], 'offnet')
  t.is(park['variable_callrec_account_id'], undefined)
  t.is(park['Caller-Caller-ID-Number'], '+491701234567')
  call.cancel()
  t.is((await call.answered).status, 487)
  t.is((await carrier.register(alice)).status, 405)
})

real('bridge user/name@realm rings the registered phone under the uuid that was chosen, and the leg knows its device', async (t, { esl }) => {
  const { leg } = await parked(esl, '205')
  const chosen = randomUUID()
  await esl.execute(leg, 'bridge', `[origination_uuid=${chosen},callrec_device_id=${bob.deviceId}]user/bob@${REALM}`)
  const answer = await esl.event(is('CHANNEL_ANSWER', { 'Unique-ID': chosen }), 'bob answers')
  t.is(answer['variable_callrec_device_id'], bob.deviceId)
  t.is(answer['variable_sip_from_uri'], `alice@${REALM}`)
  const bridge = await esl.event(is('CHANNEL_BRIDGE', { 'Unique-ID': leg }), 'they are bridged')
  t.is(bridge['Other-Leg-Unique-ID'], chosen)
  t.is(await esl.api(`uuid_getvar ${chosen} callrec_account_id`), bob.accountId, 'from the directory, in the end')
  await esl.api(`uuid_kill ${chosen}`)
  const ended = await esl.event(is('CHANNEL_EXECUTE_COMPLETE', { 'Unique-ID': leg, Application: 'bridge' }), 'the bridge ends')
  t.is(ended['variable_bridge_hangup_cause'], 'NORMAL_CLEARING')
  t.is(await esl.api(`uuid_exists ${leg}`), 'true')
  await esl.api(`uuid_kill ${leg}`)
})

real('several phones in one bridge each have the uuid chosen for them', async (t, { esl }) => {
  const { leg } = await parked(esl, '206')
  const [first, second] = [randomUUID(), randomUUID()]
  // Who is to ring later rings when nobody else does any more: whoever answers first would end the other one before it could refuse.
  await esl.execute(leg, 'bridge', `[origination_uuid=${first}]user/busy@${REALM},[leg_delay_start=60,origination_uuid=${second}]user/bob@${REALM}`)
  const bridge = await esl.event(is('CHANNEL_BRIDGE', { 'Unique-ID': leg }), 'bob answers')
  t.is(bridge['Other-Leg-Unique-ID'], second)
  const refused = await esl.event(is('CHANNEL_HANGUP_COMPLETE', { 'Unique-ID': first }), 'the busy one refuses')
  t.is(refused['Hangup-Cause'], 'USER_BUSY')
  await esl.api(`uuid_kill ${leg}`)
})

real('a bridge that fails tells its cause in originate_disposition, and the caller stays', async (t, { esl }) => {
  const { leg } = await parked(esl, '207')
  for (const [name, cause] of [
    ['nobody', 'SUBSCRIBER_ABSENT'],
    ['busy', 'USER_BUSY'],
  ] as const) {
    const before = esl.events.length
    await esl.execute(leg, 'bridge', `[origination_uuid=${randomUUID()}]user/${name}@${REALM}`)
    const ended = await esl.event(event => esl.events.indexOf(event) >= before && is('CHANNEL_EXECUTE_COMPLETE', { 'Unique-ID': leg })(event), 'it ends')
    t.is(ended['variable_originate_disposition'], cause)
    t.is(ended['Answer-State'], 'ringing')
  }
  await esl.api(`uuid_kill ${leg}`)
})

real('a peer that sends no audio loses the call after the time in vars.xml', async (t, { freeswitch, esl }) => {
  const carrier = await sipPhone(t, freeswitch.trunk)
  carrier.call('4930208', { from: { name: '+49170', realm: 'carrier.example.net' } })
  const park = await esl.event(is('CHANNEL_PARK', { 'Caller-Destination-Number': '4930208' }), '4930208 parks')
  const leg = park['Unique-ID'] ?? ''
  await esl.api(`sched_del ${leg}`)
  await esl.execute(leg, 'answer')
  const ended = await esl.event(is('CHANNEL_HANGUP_COMPLETE', { 'Unique-ID': leg }), 'it is hung up', 8000)
  t.is(ended['Hangup-Cause'], 'MEDIA_TIMEOUT')
})

real('a recording in a folder made as README says is readable for the group and for nobody else', async (t, { freeswitch, esl }) => {
  const folder = join(freeswitch.recordingDir, 'fs1')
  mkdirSync(folder)
  const group = process.getuid?.() === 0 ? 65_534 : statSync(folder).gid
  chownSync(folder, process.getuid?.() ?? 0, group)
  chmodSync(folder, 0o2770)
  const { leg } = await parked(esl, '209')
  await esl.execute(leg, 'answer')
  await esl.event(is('CHANNEL_ANSWER', { 'Unique-ID': leg }), 'it is answered')
  const file = join(folder, 'one.wav')
  t.is(await esl.api(`uuid_record ${leg} start ${file}`), '+OK Success')
  await esl.event(is('RECORD_START', { 'Record-File-Path': file }), 'recording starts')
  // A recording that is stopped before its first frame has no file.
  await esl.api('msleep 100')
  t.is(await esl.api(`uuid_record ${leg} stop ${file}`), '+OK Success')
  await esl.event(is('RECORD_STOP', { 'Record-File-Path': file }), 'recording stops')
  const { mode, gid } = statSync(file)
  t.is((mode & 0o777).toString(8), '640')
  t.is(gid, group)
  await esl.api(`uuid_kill ${leg}`)
})

real('a call of a client that is not ours (sipp) is parked for its device', async (t, { freeswitch, esl }) => {
  if (!onPath('sipp')) {
    t.log('sipp: not on PATH')
    t.pass()
    return
  }
  const [port = 0] = await freePorts(1)
  const folder = mkdtempSync(join(tmpdir(), 'callrec-sipp-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const scenario = packagePath('test/fixtures/sipp/authenticated-call.xml')
  const target = `${freeswitch.sip.host}:${freeswitch.sip.port}`
  const who = ['-s', '210', '-au', bob.name, '-ap', bob.password, '-key', 'realm', REALM, '-key', 'user', bob.name]
  const sipp = spawn('sipp', ['-sf', scenario, '-m', '1', '-i', '127.0.0.1', '-p', String(port), '-timeout', '15', ...who, target], {
    cwd: folder,
    stdio: 'ignore',
  })
  t.teardown(() => sipp.kill('SIGKILL'))
  const exit = once(sipp, 'exit')
  const park = await esl.event(is('CHANNEL_PARK', { 'Caller-Destination-Number': '210' }), '210 parks')
  t.is(park['variable_callrec_device_id'], bob.deviceId)
  t.is(park['variable_sip_user_agent'], undefined)
  await esl.api(`uuid_kill ${park['Unique-ID']} USER_BUSY`)
  t.deepEqual(await exit, [0, null])
})

real(
  'a stopped engine takes no phone its registration, its calls or its next registration',
  async (t, { directory, freeswitch, esl }) => {
    const phone = await sipPhone(t, freeswitch.sip)
    await phone.register(away)
    await esl.bgapi(`originate {originate_timeout=5}user/bob@${REALM} &hangup()`)
    const asked = directory.asked.length
    await esl.bgapi(`originate {originate_timeout=5}user/bob@${REALM} &hangup()`)
    t.is(directory.asked.length, asked, 'the answer was kept')

    await directory.stop()
    t.regex(await esl.bgapi(`originate {originate_timeout=5}user/bob@${REALM} &hangup()`), /^\+OK/)
    const { leg } = await parked(esl, '211')
    t.is(await esl.api(`uuid_getvar ${leg} callrec_account_id`), alice.accountId)
    await esl.api(`uuid_kill ${leg}`)
    t.is((await phone.register(away)).status, 200)
    t.is((await phone.register({ ...away, password: 'guess' })).status, 403)
    const began = performance.now()
    t.is((await phone.register({ ...bob, name: 'stranger' })).status, 403)
    t.true(performance.now() - began < 4000)

    await directory.start()
    t.is(await esl.api(`xml_flush_cache id bob ${REALM}`), '+OK cleared 1 entry')
    const back = directory.asked.length
    await esl.bgapi(`originate {originate_timeout=5}user/bob@${REALM} &hangup()`)
    const request = directory.asked.at(-1) ?? {}
    t.is(directory.asked.length, back + 1)
    t.like(request, {
      section: 'directory',
      tag_name: 'domain',
      key_name: 'name',
      key_value: REALM,
      key: 'id',
      user: 'bob',
      domain: REALM,
      action: 'user_call',
    })
    t.is(directory.refused(), 0)
  },
  test.serial,
)
