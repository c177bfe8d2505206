// What can be heard on the recordings of the embedded switch, and how long they are to the sample.

import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'

import { loudness, readWav, tone, type Wav, wavOfTone } from '../helpers/audio.ts'
import { type Client, type Harness, simulate } from './harness.ts'

const A = 'aaaaaaaa-0000-4000-8000-00000000000a'
const B = 'bbbbbbbb-0000-4000-8000-00000000000b'

/** A caller (440 Hz) and a callee (1000 Hz) just bridged; both stay. */
async function bridged(t: ExecutionContext, start?: number): Promise<{ harness: Harness; client: Client }> {
  const harness = await simulate(t, start === undefined ? {} : { start })
  const client = await harness.client('CHANNEL_BRIDGE RECORD_START RECORD_STOP CHANNEL_HANGUP_COMPLETE CHANNEL_EXECUTE_COMPLETE')
  await client.api(`callrec_simulator_call {origination_uuid=${A},callrec_simulator_seconds=600}1001 2000`)
  harness.clock.advance(100)
  client.send(`sendmsg ${A}\ncall-command: execute\nexecute-app-name: bridge\nexecute-app-arg: {origination_uuid=${B}}user/2000@x\n\n`)
  await client.reply()
  harness.clock.advance(520)
  await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE')
  return { harness, client }
}

const left = (wav: Wav): Int16Array => wav.samples[0] ?? new Int16Array()
const right = (wav: Wav): Int16Array => wav.samples[1] ?? new Int16Array()
const heard = (samples: Int16Array, rate: number, from?: number, to?: number): number[] =>
  [440, 1000].map(hz => Math.round(tone(samples, rate, hz, from, to) * 100) / 100)

test('a stereo recording has the leg on the left, its partner on the right and the length of the call to the sample', async t => {
  const { harness, client } = await bridged(t)
  const [a, b] = [join(harness.dir, 'a.wav'), join(harness.dir, 'deep/er/b.wav')]
  t.is(await client.api(`uuid_record ${A} start ${a} 0 {RECORD_STEREO=true}`), '+OK Success\n')
  t.is(await client.api(`uuid_record ${B} start ${b} 0 {RECORD_STEREO=true,RECORD_STEREO_SWAP=true,record_sample_rate=16000}`), '+OK Success\n')
  harness.clock.advance(5000)
  t.is(await client.api(`uuid_kill ${A}`), '+OK\n')
  const [one, two] = [readWav(a), readWav(b)]
  t.like(one, { sampleRate: 8000, channels: 2, seconds: 5 })
  t.deepEqual(
    [heard(left(one), 8000), heard(right(one), 8000)],
    [
      [1, 0],
      [0, 1],
    ],
  )
  // On the far leg left is the callee; swapped, the caller is left again.
  t.like(two, { sampleRate: 16000, channels: 2, seconds: 5 })
  t.deepEqual(
    [heard(left(two), 16000), heard(right(two), 16000)],
    [
      [1, 0],
      [0, 1],
    ],
  )
})

test('a mono recording has both sides; read only and write only have one', async t => {
  const { harness, client } = await bridged(t)
  for (const [name, variables] of Object.entries({ both: 'x=1', read: 'RECORD_READ_ONLY=true', write: 'RECORD_WRITE_ONLY=true' })) {
    t.is(await client.api(`uuid_record ${A} start ${harness.dir}/${name}.wav 0 {${variables}}`), '+OK Success\n')
  }
  harness.clock.advance(2000)
  await client.api(`uuid_record ${A} stop all`)
  const wav = (name: string): Wav => readWav(join(harness.dir, `${name}.wav`))
  t.deepEqual(
    ['both', 'read', 'write'].map(name => heard(left(wav(name)), 8000)),
    [
      [0.5, 0.5],
      [1, 0],
      [0, 1],
    ],
  )
})

test('mask is silence of the same length on one recording only; pause cuts the time out', async t => {
  const { harness, client } = await bridged(t)
  const [masked, clear, paused] = ['masked', 'clear', 'paused'].map(name => join(harness.dir, `${name}.wav`))
  for (const path of [masked, clear, paused]) await client.api(`uuid_record ${A} start ${path} 0 {RECORD_STEREO=true}`)
  harness.clock.advance(1000)
  t.is(await client.api(`uuid_record ${A} mask ${masked}`), '+OK Success\n')
  t.is(await client.api(`uuid_record ${A} mask ${masked}`), '+OK Success\n')
  t.is(await client.api(`uuid_record ${A} pause ${paused}`), '+OK Success\n')
  harness.clock.advance(1000)
  t.is(await client.api(`uuid_record ${A} unmask ${masked}`), '+OK Success\n')
  t.is(await client.api(`uuid_record ${A} resume ${paused}`), '+OK Success\n')
  harness.clock.advance(1000)
  await client.api(`uuid_record ${A} stop all`)
  const [one, two, three] = [masked, clear, paused].map(path => readWav(path ?? ''))
  t.deepEqual([one?.seconds, two?.seconds, three?.seconds], [3, 3, 2])
  if (!one || !two || !three) return t.fail()
  t.deepEqual(
    [0, 1, 2].map(second => Math.round(loudness(left(one), 8000, second, second + 1))),
    [4950, 0, 4950],
  )
  t.is(loudness(right(one), 8000, 1, 2), 0)
  t.deepEqual(heard(left(two), 8000, 1, 2), [1, 0])
  t.deepEqual(heard(right(three), 8000), [0, 1])
})

test('a limit counts the whole seconds of the clock, so it may be up to a second short', async t => {
  // Bridged at …620 ms, so that the record starts 0.62 s into a second.
  const { harness, client } = await bridged(t)
  await client.api(`uuid_record ${A} start ${harness.dir}/l.wav 3`)
  harness.clock.advance(4000)
  const stop = await client.until(event => event['Event-Name'] === 'RECORD_STOP')
  t.like(stop, { 'Record-Completion-Cause': 'success-maxtime', variable_record_ms: '2380' })
  t.is(readWav(join(harness.dir, 'l.wav')).seconds, 2.38)
  t.is(await client.api(`uuid_record ${A} stop ${harness.dir}/l.wav`), '-ERR Cannot stop record session!\n')
})

test('under half a second only the first frame is kept, and what RECORD_MIN_SEC finds too short is deleted', async t => {
  const { harness, client } = await bridged(t)
  await client.api(`uuid_record ${A} start ${harness.dir}/short.wav`)
  await client.api(`uuid_record ${A} start ${harness.dir}/empty.wav`)
  await client.api(`uuid_record ${A} stop ${harness.dir}/empty.wav`)
  t.is((await client.until(event => event['Event-Name'] === 'RECORD_STOP'))['Record-Completion-Cause'], 'empty-file')
  t.false(existsSync(join(harness.dir, 'empty.wav')))
  harness.clock.advance(480)
  await client.api(`uuid_record ${A} stop all`)
  t.is(readWav(join(harness.dir, 'short.wav')).seconds, 0.02)
  await client.api(`uuid_record ${A} start ${harness.dir}/min.wav 0 {RECORD_MIN_SEC=2,rec_id=202611-x}`)
  harness.clock.advance(1900)
  await client.api(`uuid_record ${A} stop all`)
  const stop = await client.until(event => event['Event-Name'] === 'RECORD_STOP' && event['Recording-Variable-rec_id'] === '202611-x')
  t.like(stop, { 'Record-Completion-Cause': 'input-too-short', variable_RECORD_DISCARDED: 'true', variable_record_ms: '1900' })
  t.false(existsSync(join(harness.dir, 'min.wav')))
})

test('the first half second is masked as it is written: a mask that ends before hides nothing of it, one that stands hides it', async t => {
  const { harness, client } = await bridged(t)
  const [short, long] = [join(harness.dir, 'short.wav'), join(harness.dir, 'long.wav')]
  for (const path of [short, long]) await client.api(`uuid_record ${A} start ${path}`)
  harness.clock.advance(100)
  for (const path of [short, long]) await client.api(`uuid_record ${A} mask ${path}`)
  harness.clock.advance(200)
  await client.api(`uuid_record ${A} unmask ${short}`)
  harness.clock.advance(700)
  await client.api(`uuid_record ${A} unmask ${long}`)
  harness.clock.advance(1000)
  await client.api(`uuid_record ${A} stop all`)
  const heard = (path: string, from: number, to: number): boolean => {
    const { samples, sampleRate } = readWav(path)
    return samples.some(one => loudness(one, sampleRate, from, to) > 100)
  }
  t.true(heard(short, 0.1, 0.3))
  t.true(heard(long, 0, 0.02))
  t.false(heard(long, 0.02, 1))
  t.true(heard(long, 1.02, 2))
})

test('the file grows while it is recorded and its header stays at zero until the end', async t => {
  const { harness, client } = await bridged(t)
  const path = join(harness.dir, 'grows.wav')
  await client.api(`uuid_record ${A} start ${path}`)
  harness.clock.advance(3000)
  t.true(statSync(path).size >= 44 + 2 * 16_000)
  // What a switch that is killed now leaves behind.
  t.is(readFileSync(path).readUInt32LE(40), 0)
  await client.api(`uuid_record ${A} stop ${path}`)
  t.is(readWav(path).seconds, 3)
})

test('a rate FreeSWITCH does not know is ignored, one it knows is taken', async t => {
  const { harness, client } = await bridged(t)
  for (const rate of [12345, 44100, 11025]) await client.api(`uuid_record ${A} start ${harness.dir}/${rate}.wav 0 {record_sample_rate=${rate}}`)
  harness.clock.advance(1500)
  await client.api(`uuid_record ${A} stop all`)
  const rates = [12345, 44100, 11025].map(rate => readWav(join(harness.dir, `${rate}.wav`)))
  t.deepEqual(
    rates.map(wav => [wav.sampleRate, Math.round(wav.seconds * 1000)]),
    [
      [8000, 1500],
      [44100, 1500],
      [11025, 1500],
    ],
  )
})

test('what is played to a leg is on its right channel, for as long as it is played', async t => {
  const harness = await simulate(t)
  const client = await harness.client('CHANNEL_EXECUTE_COMPLETE')
  await client.api(`callrec_simulator_call {origination_uuid=${A},callrec_simulator_seconds=600}1001 2000`)
  harness.clock.advance(10)
  // A prompt of 0.5 s at another rate than the leg's.
  await client.api(`uuid_answer ${A}`)
  const prompt = join(harness.dir, 'prompt.wav')
  writeFileSync(prompt, wavOfTone(700, 1000 * 0.5, 16_000))
  const path = join(harness.dir, 'played.wav')
  await client.api(`uuid_record ${A} start ${path} 0 {RECORD_STEREO=true}`)
  for (const [app, arg, ms] of [
    ['playback', 'tone_stream://%(400,100,300);loops=2', 1000],
    ['playback', 'silence_stream://500', 500],
    ['playback', prompt, 500],
    ['sleep', '1000', 1000],
    ['playback', '/nowhere/x.wav', 0],
  ] as const) {
    client.send(`sendmsg ${A}\ncall-command: execute\nexecute-app-name: ${app}\nexecute-app-arg: ${arg}\nEvent-UUID: e-${arg}\n\n`)
    await client.reply()
    harness.clock.advance(ms)
    const done = await client.until(event => event['Application-UUID'] === `e-${arg}`)
    t.is(done['Application-Response'], app === 'sleep' ? '_none_' : arg.startsWith('/nowhere') ? 'FILE NOT FOUND' : 'FILE PLAYED')
  }
  await client.api(`uuid_record ${A} stop all`)
  const wav = readWav(path)
  t.is(wav.seconds, 3)
  t.deepEqual(heard(left(wav), 8000), [1, 0])
  const at = (hz: number, from: number, to: number): number => Math.round(tone(right(wav), 8000, hz, from, to))
  t.deepEqual([at(300, 0, 0.4), at(300, 0.5, 0.9), at(700, 1.52, 1.98)], [1, 1, 1])
  t.deepEqual(
    [
      [0.4, 0.5],
      [1, 1.5],
      [2, 3],
    ].map(([from, to]) => loudness(right(wav), 8000, from, to)),
    [0, 0, 0],
  )
})

test('a leg that is not answered: inbound it is pre-answered for the recording, ringing outbound it is refused', async t => {
  const harness = await simulate(t)
  const client = await harness.client('CHANNEL_PROGRESS_MEDIA CHANNEL_CREATE CHANNEL_PROGRESS RECORD_STOP')
  await client.api(`callrec_simulator_call {origination_uuid=${A}}1001 2000`)
  harness.clock.advance(10)
  t.is(await client.api(`uuid_record ${A} start ${harness.dir}/early.wav`), '+OK Success\n')
  t.is((await client.until(event => event['Event-Name'] === 'CHANNEL_PROGRESS_MEDIA'))['Answer-State'], 'early')
  harness.clock.advance(1000)
  await client.api(`uuid_kill ${A}`)
  // Nobody spoke: FreeSWITCH calls that an initial silence.
  t.is((await client.until(event => event['Event-Name'] === 'RECORD_STOP'))['Record-Completion-Cause'], 'no-input-timeout')
  t.is(loudness(left(readWav(join(harness.dir, 'early.wav'))), 8000), 0)

  client.send(`bgapi originate {origination_uuid=${B}}user/2000@x &park()\n\n`)
  await client.reply()
  await client.until(event => event['Unique-ID'] === B)
  harness.clock.advance(100)
  await client.until(event => event['Event-Name'] === 'CHANNEL_PROGRESS')
  t.is(await client.api(`uuid_record ${B} start ${harness.dir}/ringing.wav`), '-ERR Cannot record session!\n')
  t.is(await client.api(`uuid_record ${A} start ${harness.dir}/gone.wav`), '-ERR Cannot locate session!\n')
})

test('what cannot be recorded is refused: a format it lacks, a name too long, a directory that is a file', async t => {
  const { harness, client } = await bridged(t)
  writeFileSync(join(harness.dir, 'file'), '')
  for (const path of ['x.mp3', 'x.WAV', 'x', `${'x'.repeat(252)}.wav`, 'file/x.wav', 'http://127.0.0.1/x.wav']) {
    const whole = path.includes('://') ? path : `${harness.dir}/${path}`
    t.is(await client.api(`uuid_record ${A} start ${whole}`), '-ERR Cannot record session!\n', path)
  }
  t.is(await client.api(`uuid_getvar ${A} record_completion_cause`), 'uri-failure')
  t.is(await client.api(`uuid_buglist ${A}`), '<media-bugs>\n</media-bugs>\n')
  // A relative one goes to the recording directory, and only its whole path is the key.
  t.is(await client.api(`uuid_record ${A} start relative.wav`), '+OK Success\n')
  t.is(await client.api(`uuid_record ${A} stop relative.wav`), '-ERR Cannot stop record session!\n')
  t.true((await client.api(`uuid_buglist ${A}`)).includes(`<target>${harness.dir}/relative.wav</target>`))
})

test('a disk that takes no more is told by RECORD_STOP, not before', async t => {
  const { harness, client } = await bridged(t)
  const path = join(harness.dir, 'full.wav')
  t.is(await client.api(`uuid_record ${A} start ${path}`), '+OK Success\n')
  fillDisk(path)
  harness.clock.advance(2000)
  await client.barrier()
  t.false(client.events.some(event => event['Event-Name'] === 'RECORD_STOP'))
  t.is(await client.api(`uuid_record ${A} stop ${path}`), '+OK Success\n')
  t.is((await client.until(event => event['Event-Name'] === 'RECORD_STOP'))['Record-Completion-Cause'], 'uri-failure')
  symlinkSync('/dev/full', join(harness.dir, 'full2.wav'))
  t.is(await client.api(`uuid_record ${A} start ${harness.dir}/full2.wav`), '-ERR Cannot record session!\n')
})

/** From now on writes to the open file fail as on a full disk: its descriptor becomes one of /dev/full. */
function fillDisk(path: string): void {
  const fd = readdirSync('/proc/self/fd').find(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  })
  closeSync(Number(fd))
  const others: number[] = []
  for (let full = openSync('/dev/full', 'w'); full !== Number(fd); full = openSync('/dev/full', 'w')) others.push(full)
  for (const other of others) closeSync(other)
}
