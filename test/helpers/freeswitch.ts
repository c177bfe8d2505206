// A private FreeSWITCH for tests: own directories, own loopback ports, a configuration just large enough.
// Its users are dial strings into its own dialplan, where a number is a phone that does what it is called.

import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './ports.ts'
import { onPath } from './real.ts'

export const REALM = 'phones.example'

export interface FreeSwitch {
  port: number
  password: string
  pid: number
  /** Where it may write. */
  directory: string
  stop(): void
}

const params = (pairs: Record<string, string | number>): string =>
  Object.entries(pairs)
    .map(([name, value]) => `<param name="${name}" value="${value}"/>`)
    .join('')

const configuration = (name: string, inner: string): string => `<configuration name="${name}.conf">${inner}</configuration>`
const settings = (name: string, pairs: Record<string, string | number>): string => configuration(name, `<settings>${params(pairs)}</settings>`)

const extension = (pattern: string, ...actions: (readonly [application: string, data?: string])[]): string =>
  `<extension name="${pattern.replaceAll(/\W/g, '')}"><condition field="destination_number" expression="${pattern}">${actions
    .map(([application, data]) => `<action application="${application}"${data === undefined ? '' : ` data="${data}"`}/>`)
    .join('')}</condition></extension>`

const MODULES = [
  'console',
  'commands',
  'dptools',
  'hash',
  'dialplan_xml',
  'sndfile',
  'shout',
  'tone_stream',
  'loopback',
  'sofia',
  'flite',
  'conference',
  'event_socket',
]

/** Number → what the phone does. */
const PHONES = [
  extension('^tone(\\d+)$', ['answer'], ['playback', '{loops=-1}tone_stream://%(1000,0,$1);loops=-1']),
  extension('^short(\\d+)$', ['answer'], ['playback', 'tone_stream://%($1,0,1000)'], ['hangup']),
  extension('^hush(\\d+)$', ['answer'], ['playback', 'tone_stream://%($1,0,1000)'], ['playback', 'silence_stream://-1']),
  extension('^press(\\d+)$', ['answer'], ['sleep', '1000'], ['send_dtmf', '$1@100'], ['playback', '{loops=-1}tone_stream://%(1000,0,440);loops=-1']),
  extension('^busy$', ['respond', '486 Busy Here']),
  extension('^never$', ['ring_ready'], ['sleep', '600000']),
  // Where phones send others to (REFER): as in freeswitch/conf.
  extension('^to\\d+$', ['unset', 'callrec_node'], ['set', 'send_silence_when_idle=-1'], ['sched_hangup', '+30 NORMAL_TEMPORARY_FAILURE'], ['park']),
  extension(
    '^incoming$',
    ['set', 'callrec_account_id=acc1'],
    ['set', 'callrec_inception=offnet'],
    ['set', 'send_silence_when_idle=-1'],
    ['sched_hangup', '+30 NORMAL_TEMPORARY_FAILURE'],
    ['park'],
  ),
]

function xml(sip: number, esl: number, rtp: number, password: string): string {
  const user = (id: string): string => `<user id="${id}"><params>${params({ 'dial-string': `sofia/main/${id}@127.0.0.1:${sip}` })}</params></user>`
  const users = ['tone440', 'tone1000', 'short300', 'short700', 'hush1000', 'press12', 'busy', 'never', 'incoming'].map(user).join('')
  return `<document type="freeswitch/xml">
<section name="configuration">
${settings('switch', { loglevel: 'warning', 'max-sessions': 200, 'sessions-per-second': 200, 'rtp-start-port': rtp, 'rtp-end-port': rtp + 199, 'api-expansion': 'false' })}
${configuration('modules', `<modules>${MODULES.map(name => `<load module="mod_${name}"/>`).join('')}</modules>`)}
${configuration('console', `<mappings><map name="all" value="warning,err,crit,alert"/></mappings><settings>${params({ loglevel: 'warning' })}</settings>`)}
${settings('event_socket', { 'listen-ip': '127.0.0.1', 'listen-port': esl, password })}
${configuration('hash', '<remotes/>')}${settings('shout', {})}${configuration('timezones', '<timezones/>')}${configuration('acl', '<network-lists/>')}
${configuration('conference', `<advertise/><caller-controls/><profiles><profile name="callrec">${params({ rate: 16000, interval: 20, 'energy-level': 0, 'comfort-noise': 'false', 'caller-controls': 'none', 'conference-flags': 'audio-always|breakable' })}</profile></profiles>`)}
${configuration('sofia', `<global_settings/><profiles><profile name="main"><settings>${params({ 'sip-ip': '127.0.0.1', 'rtp-ip': '127.0.0.1', 'sip-port': sip, context: 'phones', dialplan: 'XML', 'codec-prefs': 'PCMU', 'auth-calls': 'false', 'manage-presence': 'false', 'rtp-timer-name': 'soft' })}</settings></profile></profiles>`)}
</section>
<section name="dialplan"><context name="phones">${PHONES.join('')}</context></section>
<section name="directory"><domain name="${REALM}"><groups><group name="all"><users>${users}</users></group></groups></domain></section>
</document>`
}

/** Without these FreeSWITCH makes two of 4096 bits first, which takes it seconds. */
function certificates(folder: string): void {
  if (!onPath('openssl')) return
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=callrec test', '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  })
  for (const name of ['wss.pem', 'dtls-srtp.pem']) execFileSync('sh', ['-c', `cat "$0" "$1" > "$2"`, certificate, key, join(folder, name)])
}

export async function startFreeSwitch(): Promise<FreeSwitch> {
  const directory = mkdtempSync(join(tmpdir(), 'callrec-fs-'))
  const folders = ['conf', 'log', 'db', 'run', 'recordings', 'storage', 'cache', 'temp', 'scripts', 'sounds', 'grammar', 'certs', 'htdocs']
  for (const folder of folders) mkdirSync(join(directory, folder))
  certificates(join(directory, 'certs'))
  const [sip = 0, port = 0] = await freePorts(2)
  const password = 'not-ClueCon'
  writeFileSync(join(directory, 'conf/freeswitch.xml'), xml(sip, port, 20_000 + (process.pid % 100) * 200, password))
  const places = folders.flatMap(folder => [`-${folder}`, join(directory, folder)])
  // Not to outlive a test run that is killed.
  const program = onPath('setpriv') ? ['setpriv', '--pdeathsig', 'KILL', 'freeswitch'] : ['freeswitch']
  const child = spawn(program[0] ?? '', [...program.slice(1), '-nf', '-np', '-nonat', '-nonatmap', '-nocal', '-nort', '-c', ...places], { stdio: 'ignore' })
  function stop(): void {
    // Its own way out takes five seconds, and there is nothing to keep.
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', stop)
  return { port, password, pid: child.pid ?? 0, directory: join(directory, 'recordings'), stop }
}
