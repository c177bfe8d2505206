// Every finding of doctor, against neighbours that are well, ill, or real where there are real ones.

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { readConfig } from '../src/config.ts'
import { examine } from '../src/doctor.ts'
import type { Finding } from '../src/finding.ts'
import { silent } from '../src/log.ts'
import { IN_FLIGHT } from '../src/recording/document.ts'
import { type RunningSimulator, stateFile } from '../src/simulator/launch.ts'
import { startSimulator } from '../src/simulator/simulator.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { couchdbProgram, startCouchdb } from './helpers/couchdb.ts'
import { eslServer, jobEvent, type Script } from './helpers/esl-server.ts'
import { startFreeSwitch } from './helpers/freeswitch.ts'
import { transcriber } from './helpers/programs.ts'
import { NOBODY } from './helpers/ports.ts'
import { onPath, realRun } from './helpers/real.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'callrec-doctor-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

const config = (dataDir: string, settings: Readonly<Record<string, string>> = {}) => readConfig({ DATA_DIR: dataDir, SPOOL_MIN_FREE: '0', ...settings }, {})

const said = (findings: readonly Finding[]): string[] => findings.map(({ is, what }) => `${is} ${what.replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')}`)

function finds(t: ExecutionContext, findings: readonly Finding[], is: Finding['is'], what: RegExp, todo?: RegExp): void {
  const found = findings.find(one => what.test(one.what))
  t.is(found?.is, is, `${String(what)} in ${JSON.stringify(said(findings))}`)
  if (todo !== undefined) t.regex(found?.todo ?? '', todo)
}

async function simulator(t: ExecutionContext, recordingDir: string, password = 'not-the-default'): Promise<string> {
  const started = await startSimulator({ host: '127.0.0.1', port: 0, password, recordingDir, speed: 2, log: silent })
  t.teardown(() => started.close())
  return `fs1=:${password}@127.0.0.1:${started.port}`
}

test('with nothing set, the embedded neighbours are well, the embedded switch records, and nothing of it stays', async t => {
  const dataDir = await folder(t)
  const findings = await examine(config(dataDir))
  const { pid } = JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  t.teardown(() => process.kill(pid))
  t.deepEqual(
    findings.filter(({ is }) => is !== 'ok'),
    [],
  )
  finds(t, findings, 'ok', /^store: embedded/)
  finds(t, findings, 'ok', /GiB are free$/)
  finds(t, findings, 'ok', /^ffmpeg: /)
  finds(t, findings, 'ok', /a second recorded arrived/)
  const left = await readdir(join(dataDir, 'recordings'), { recursive: true, withFileTypes: true })
  t.deepEqual(
    left.filter(entry => entry.isFile()),
    [],
  )
})

test('doctor says what ffmpeg makes, and that nothing is made without', async t => {
  const of = async (FFMPEG: string) =>
    (await examine(config(await folder(t), { FFMPEG, FREESWITCH_ESL: 'fs=:x@127.0.0.1:1' }))).map(({ what }) => what).find(what => what.startsWith('ffmpeg'))
  t.is(await of('off'), 'ffmpeg: none is wanted, so recordings are what the switch writes (FFMPEG)')
  t.is(await of('/nowhere/ffmpeg'), 'ffmpeg: there is none, so recordings are what the switch writes (FFMPEG)')
  const program = join(await folder(t), 'ffmpeg')
  await writeFile(program, '#!/bin/sh\necho " A....D libvorbis  a"\n', { mode: 0o755 })
  t.is(await of(program), `ffmpeg: ${program} makes ogg where the switch does not`)
})

test('doctor says what the transcriber understands, and that transcripts are refused without', async t => {
  const of = async (TRANSCRIBER: string) =>
    (await examine(config(await folder(t), { TRANSCRIBER, FFMPEG: 'off', FREESWITCH_ESL: 'fs=:x@127.0.0.1:1' })))
      .map(({ what }) => what)
      .find(what => what.startsWith('transcriber'))
  t.is(await of('off'), 'transcriber: none is wanted, so a recording with `transcription` is refused (TRANSCRIBER)')
  t.is(await of('/nowhere/transcriber'), 'transcriber: there is none, so a recording with `transcription` is refused (TRANSCRIBER)')
  const german = transcriber(t, '', '{"languages":["de-DE","fr"]}')
  t.is(await of(german), `transcriber: ${german} understands de-DE, fr`)
  const all = transcriber(t, '', '{"languages":["*"],"sentiment":true}')
  t.is(await of(all), `transcriber: ${all} understands any language, and tells sentiment`)
})

test('a switch that writes elsewhere than we read is told by the recording that does not arrive', async t => {
  const dataDir = await folder(t)
  const elsewhere = await folder(t)
  const findings = await examine(config(dataDir, { FREESWITCH_ESL: await simulator(t, elsewhere), SWITCH_RECORDING_DIR: elsewhere }))
  finds(t, findings, 'ok', /^spool/)
  finds(t, findings, 'fail', /did not arrive/, /RECORDING_DIR .* and SWITCH_RECORDING_DIR .* must be one directory/)
})

test('a switch that cannot write where it is told refuses, and doctor names the directory', async t => {
  const dataDir = await folder(t)
  await writeFile(join(dataDir, 'a-file'), '')
  const findings = await examine(config(dataDir, { FREESWITCH_ESL: await simulator(t, dataDir), SWITCH_RECORDING_DIR: join(dataDir, 'a-file') }))
  finds(t, findings, 'fail', /was refused .*Cannot record session/, /let FreeSWITCH's user write in .*a-file/)
})

test('a spool that cannot be written, or has too little room, is one finding with its cure', async t => {
  const dataDir = await folder(t)
  await writeFile(join(dataDir, 'recordings'), '')
  const esl = await simulator(t, dataDir)
  const broken = await examine(config(dataDir, { FREESWITCH_ESL: esl }))
  finds(t, broken, 'fail', /^spool: RECORDING_DIR: cannot write/, /shared group, mode 2770/)
  t.is(broken.filter(({ is }) => is === 'fail').length, 1)
  await rm(join(dataDir, 'recordings'))
  const full = await examine(config(dataDir, { FREESWITCH_ESL: esl, SPOOL_MIN_FREE: '9000TiB' }))
  finds(t, full, 'fail', /^spool: only \d+ MiB are free/, /make room/)
})

test('a spool that cannot even be looked into is one finding, and all else is examined', async t => {
  const dataDir = await folder(t)
  await symlink('recordings', join(dataDir, 'recordings'))
  const findings = await examine(config(dataDir, { FREESWITCH_ESL: await simulator(t, dataDir) }))
  finds(t, findings, 'fail', /^spool: /, /another RECORDING_DIR/)
  finds(t, findings, 'ok', /^switch fs1: its clock/)
  t.is(findings.filter(({ is }) => is === 'fail').length, 1)
})

test('what lies where the recording should be and is no audio, or cannot be read, is told', async t => {
  const dataDir = await folder(t)
  const server = await eslServer(t, { script: recording(file => writeFile(file, 'RIFF')) })
  const findings = await examine(config(dataDir, { FREESWITCH_ESL: `127.0.0.1:${server.port}` }))
  finds(t, findings, 'fail', /holds 0 ms of audio/, /is its disk full/)
  const folders = await eslServer(t, { script: recording(file => mkdir(file)) })
  finds(t, await examine(config(dataDir, { FREESWITCH_ESL: `127.0.0.1:${folders.port}` })), 'fail', /cannot be read or removed here/, /one group/)
})

/** Answers every job and api with success; a recording makes something of its path. */
function recording(make: (file: string) => Promise<unknown>): Script {
  return ({ line, headers }, peer) => {
    const start = /uuid_record \S+ start (\S+)/.exec(line)
    if (!line.startsWith('bgapi')) return false
    peer.reply('+OK')
    const done = (): void => peer.event(jobEvent(headers['Job-UUID'] ?? '', '+OK\n'))
    if (start === null) done()
    else void make(start[1] ?? '').then(done)
    return true
  }
}

test('a switch without modules, with another clock, the default password and commands in its expansions is told all of it', async t => {
  const answers: Readonly<Record<string, string>> = {
    'module_exists mod_sndfile': 'false',
    'module_exists mod_shout': 'false',
    'eval ${echo(yes)}': 'yes',
  }
  const server = await eslServer(t, {
    script({ line }, peer) {
      const answer = line === 'api strmicroepoch' ? String((Date.now() - 90_000) * 1000) : answers[line.replace(/^api /, '')]
      if (answer !== undefined) peer.answer(answer)
      return answer !== undefined
    },
  })
  const findings = await examine(config(await folder(t), { FREESWITCH_ESL: `fs1=127.0.0.1:${server.port}` }))
  finds(t, findings, 'warn', /default password/, /event_socket\.conf\.xml/)
  finds(t, findings, 'fail', /mod_sndfile is not loaded/, /load mod_sndfile/)
  finds(t, findings, 'warn', /mod_shout is not loaded/)
  finds(t, findings, 'warn', /mod_hash is not loaded/)
  finds(t, findings, 'fail', /runs commands/, /api-expansion/)
  finds(t, findings, 'fail', /clock is (89|90|91)\.\d s behind ours/, /NTP/)
  // Its originate is an unknown command.
  finds(t, findings, 'warn', /nothing could be recorded to try it/, /mod_loopback/)
})

test('the default password of a switch on another host is a failure', async t => {
  const findings = await examine(config(await folder(t), { FREESWITCH_ESL: 'far=192.0.2.1:8021' }), { clock: soon, random: () => '00' })
  finds(t, findings, 'fail', /^switch far: FreeSWITCH's default password/)
})

/** Nothing takes longer than a moment. */
const soon = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms: number, run: () => void) {
    const timer = setTimeout(run, Math.min(ms, 1_500))
    return () => clearTimeout(timer)
  },
}

test('a switch that is away, refuses the password or the host, or answers nothing is told apart', async t => {
  const wrong = await eslServer(t, { password: 'other' })
  const rude = await eslServer(t, { greeting: 'Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n' })
  const odd = await eslServer(t, { script: ({ line }, peer) => line === 'api strmicroepoch' && (peer.answer('noon'), true) })
  const list = `gone=:x@127.0.0.1:${NOBODY},wrong=:x@127.0.0.1:${wrong.port},rude=:x@127.0.0.1:${rude.port},odd=127.0.0.1:${odd.port}`
  const findings = await examine(config(await folder(t), { FREESWITCH_ESL: list }), { clock: soon, random: () => '00' })
  finds(t, findings, 'fail', /^switch gone .*ECONNREFUSED/, /start FreeSWITCH/)
  finds(t, findings, 'fail', /^switch wrong .*wrong password/, /FREESWITCH_PASSWORD/)
  finds(t, findings, 'fail', /^switch rude .*ACL/, /apply-inbound-acl/)
  finds(t, findings, 'fail', /^switch odd: .*strmicroepoch was refused: noon/, /log of FreeSWITCH/)
})

/** What a CouchDB answers by method and path; the scratch database is called /db. */
async function couch(t: ExecutionContext, answers: Readonly<Record<string, [number, object] | 'gone'>>): Promise<string> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '').split('?')[0]?.replace(/\/callrec_doctor_\w+/, '/db')
    const who = request.headers.authorization === undefined ? 'anybody ' : ''
    const answer = answers[`${who}${request.method} ${path}`] ?? answers[`${request.method} ${path}`] ?? [404, { error: 'not_found', reason: 'missing' }]
    request.resume()
    if (answer === 'gone') return void request.socket.destroy()
    const [status, body] = answer
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  return `http://user:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}`
}

const GOOD: Readonly<Record<string, [number, object]>> = {
  'GET /': [200, { couchdb: 'Welcome', version: '3.3.0' }],
  'PUT /db': [201, { ok: true }],
  'PUT /db/scratch': [201, { rev: `1-${'0'.repeat(32)}` }],
  'POST /db/_all_docs': [200, { rows: [] }],
  'DELETE /db': [200, { ok: true }],
  'anybody GET /db/_all_docs': [401, {}],
}

for (const [what, answers, is, finding, todo] of [
  ['well', {}, 'ok', /databases can be made, written and deleted, and nobody gets in without a password/, undefined],
  ['too old', { 'GET /': [200, { couchdb: 'Welcome', version: '3.2.2' }] }, 'fail', /is version 3\.2\.2/, /upgrade CouchDB to 3\.3/],
  [
    'used by somebody who is no admin',
    { 'PUT /db': [403, { error: 'unauthorized', reason: 'You are not a server admin.' }] },
    'fail',
    /refused user or password/,
    /must be a server admin/,
  ],
  ['gone while it is examined', { 'PUT /db': 'gone' }, 'fail', /^store: CouchDB at \S+ cannot be reached/, /^start CouchDB/],
  ['open to everybody', { 'anybody GET /db/_all_docs': [200, { rows: [] }] }, 'fail', /reads new databases without a password/, /require_valid_user/],
  ['another database altogether', { 'GET /': [200, { name: 'something', version: '8' }] }, 'fail', /does not say that it is CouchDB/, /COUCHDB_URL/],
] as const) {
  test(`a CouchDB that is ${what} is a finding that says so`, async t => {
    const url = await couch(t, { ...GOOD, ...answers } as typeof GOOD)
    const findings = await examine(config(await folder(t), { COUCHDB_URL: url, FREESWITCH_ESL: `127.0.0.1:${NOBODY}` }), {
      clock: soon,
      random: () => '00',
    })
    finds(t, findings, is, finding, todo)
    t.notRegex(JSON.stringify(findings), /s3cret/)
  })
}

test('a CouchDB that is away is a finding, and the switches are examined all the same', async t => {
  const dataDir = await folder(t)
  const settings = { COUCHDB_URL: `http://user:s3cret@127.0.0.1:${NOBODY}`, FREESWITCH_ESL: await simulator(t, join(dataDir, 'recordings')) }
  const findings = await examine(config(dataDir, settings))
  finds(t, findings, 'fail', /^store: CouchDB at .* cannot be reached/, /start CouchDB, or mend host, user and password in COUCHDB_URL/)
  finds(t, findings, 'ok', /a second recorded arrived/)
})

async function real(t: ExecutionContext, program: string): Promise<void> {
  const [couchdb, freeswitch] = await Promise.all([startCouchdb(program), startFreeSwitch()])
  t.teardown(async () => {
    freeswitch.stop()
    await couchdb.stop()
  })
  const settings = { COUCHDB_URL: couchdb.url, FREESWITCH_ESL: `fs1=:${freeswitch.password}@127.0.0.1:${freeswitch.port}`, RECORDING_DIR: freeswitch.directory }
  const findings = await examine(config(await folder(t), settings))
  t.deepEqual(
    findings.filter(({ is }) => is !== 'ok'),
    [],
  )
  t.log(said(findings).join('\n'))
  finds(t, findings, 'ok', /a second recorded arrived/)
  const left = await fetch(`${couchdb.url.replace('callrec:s3cret@', '')}/_all_dbs`, { headers: { authorization: `Basic ${btoa('callrec:s3cret')}` } })
  t.notRegex(await left.text(), /doctor/)
}
if (realRun('the doctor', { CouchDB: couchdbProgram !== undefined, FreeSWITCH: onPath('freeswitch') }) && couchdbProgram !== undefined)
  test('a real CouchDB and a real FreeSWITCH are found well, and nothing of it stays', real, couchdbProgram)

test('files that no document names are told with what to do, and nothing is done to them', async t => {
  const dataDir = await folder(t)
  const store = await embeddedStore({ dir: join(dataDir, 'store') })
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  await store.put(IN_FLIGHT, { _id: 'x', node: 'fs7', state: 'recording' })
  await store.close()
  const spool = join(dataDir, 'recordings')
  for (const name of ['fs1', 'fs9']) await mkdir(join(spool, name, '202611'), { recursive: true })
  const long = new Date(Date.now() - 3_600_000)
  for (const id of ['a', 'b', 'c', 'd'].map(letter => `202611-${letter.repeat(32)}.wav`)) {
    await writeFile(join(spool, 'fs1/202611', id), 'audio')
    await utimes(join(spool, 'fs1/202611', id), long, long)
  }
  const settings = { FREESWITCH_ESL: await simulator(t, spool), RECORDING_DIR: spool }
  const findings = await examine(config(dataDir, settings))
  finds(t, findings, 'warn', /fs9 is of a switch that is not in FREESWITCH_ESL$/, /name the switch there again/)
  finds(t, findings, 'warn', /4 recorded files of which no account has a document: fs1.202611.202611-a+.wav, .* and 1 more$/, /Keep the files elsewhere/)
  finds(t, findings, 'warn', /1 recordings wait for switch fs7/, /an engine that has fs7/)
  t.is((await readdir(join(spool, 'fs1/202611'))).length, 4)

  const running = await embeddedStore({ dir: join(dataDir, 'store') })
  t.teardown(() => running.close())
  finds(t, await examine(config(dataDir, settings)), 'ok', /the engine that runs looks for them itself/)
})
