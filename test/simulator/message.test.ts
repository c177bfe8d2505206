// The blocking `record` of the embedded switch, to the sample: what it writes, and each way it ends.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'

import { readWav, tone } from '../helpers/audio.ts'
import { type Client, type EventHeaders, type Harness, simulate } from './harness.ts'

const A = 'aaaaaaaa-0000-4000-8000-00000000000a'
const EVENTS = 'CHANNEL_EXECUTE_COMPLETE CHANNEL_HANGUP RECORD_START RECORD_STOP MEDIA_BUG_START'

interface Scene {
  harness: Harness
  client: Client
  file: string
  /** Starts an application on a caller who says 440 Hz and was just answered. */
  start: (app: string, arg: string) => Promise<void>
  stopped: () => Promise<EventHeaders>
}

async function answered(t: ExecutionContext, variables = ''): Promise<Scene> {
  const harness = await simulate(t, { start: 60_300 })
  const client = await harness.client(EVENTS)
  await client.api(`callrec_simulator_call {origination_uuid=${A},callrec_simulator_seconds=600${variables}}1001 2000`)
  harness.clock.advance(1)
  await client.api(`uuid_answer ${A}`)
  client.events.length = 0
  return {
    harness,
    client,
    file: join(harness.dir, 'message.wav'),
    async start(app, arg) {
      await client.command(`sendmsg ${A}\ncall-command: execute\nexecute-app-name: ${app}\nexecute-app-arg: ${arg}\nevent-lock: true`)
    },
    stopped: () => client.until(event => event['Event-Name'] === 'RECORD_STOP'),
  }
}

test('a message is the leg’s own voice, mono, and is on no list of recordings', async t => {
  const { harness, client, start, stopped, file } = await answered(t, ',RECORD_STEREO=true,RECORD_MIN_SEC=60')
  await start('record', file)
  t.false((await client.api(`uuid_buglist ${A}`)).includes(file))
  t.is(await client.api(`uuid_record ${A} stop ${file}`), '-ERR Cannot stop record session!\n')
  harness.clock.advance(1500)
  t.is(await client.api(`uuid_break ${A}`), '+OK\n')
  t.like(await stopped(), {
    'Record-File-Path': file,
    variable_record_ms: '1500',
    variable_record_seconds: '1',
    variable_record_samples: '12000',
    variable_silence_hits_exhausted: 'false',
  })
  const names = client.events.map(event => event['Event-Name'])
  t.deepEqual(names, ['RECORD_START', 'RECORD_STOP', 'CHANNEL_EXECUTE_COMPLETE'])
  const wav = readWav(file)
  t.like(wav, { sampleRate: 8000, channels: 1, seconds: 1.5 })
  t.true(tone(wav.samples[0] ?? new Int16Array(), 8000, 440) > 0.99)
})

test('the star ends a message, and where other keys are named those do', async t => {
  const { harness, client, start, file } = await answered(t)
  const ends = async (terminators: string, keys: string): Promise<unknown> => {
    await client.api(`uuid_setvar ${A} playback_terminators ${terminators}`)
    await start('record', file)
    t.is(await client.api(`uuid_recv_dtmf ${A} ${keys}`), `+OK ${A} received DTMF ${keys}.\n`)
    const used = await client.api(`uuid_getvar ${A} playback_terminator_used`)
    await client.api(`uuid_break ${A}`)
    harness.clock.advance(20)
    return used
  }
  t.is(await ends('', '12*'), '*')
  t.is(await ends('', '#'), '_undef_')
  t.is(await ends('3#', '*#'), '#')
  t.is(await ends('any', '7'), '7')
  t.is(await ends('none', '*#'), '_undef_')
})

test('a key ends a sleep and is left for what was asked for meanwhile; park throws it away', async t => {
  const { client, start, stopped, file } = await answered(t)
  await start('sleep', '60000')
  await client.api(`uuid_recv_dtmf ${A} *`)
  t.is(client.events.at(-1)?.['Application'], 'sleep')
  await client.api(`uuid_recv_dtmf ${A} *`)
  await start('record', file)
  await client.barrier()
  t.is(client.events.at(-1)?.['Event-Name'], 'RECORD_START')
  await client.api(`uuid_break ${A}`)
  client.events.length = 0
  await start('sleep', '60000')
  await start('record', file)
  await client.api(`uuid_recv_dtmf ${A} 5*`)
  t.like(await stopped(), { variable_playback_terminator_used: '*', variable_record_ms: '0' })
})

test('a message ends after so much silence, three seconds where a threshold is all there is, and twice that in a file of twice the rate', async t => {
  const silentFrom = async (argument: string, variables = ''): Promise<EventHeaders> => {
    const { harness, start, stopped, file } = await answered(t, `,callrec_simulator_speaks=1${variables}`)
    await start('record', `${file} ${argument}`)
    harness.clock.advance(20_000)
    return stopped()
  }
  const ended = { variable_silence_hits_exhausted: 'true' }
  t.like(await silentFrom('0 200 2'), { ...ended, variable_record_ms: '3000' })
  t.like(await silentFrom('0 200'), { ...ended, variable_record_ms: '4000' })
  t.like(await silentFrom('0 200 2', ',record_sample_rate=16000'), { ...ended, variable_record_ms: '5000' })
  // Louder than anybody speaks: all is silence.
  t.like(await silentFrom('0 32000 2'), { ...ended, variable_record_ms: '2000' })
})

test('the limit counts whole seconds of the clock and is late by up to one', async t => {
  const { harness, start, stopped, file } = await answered(t)
  await start('record', `${file} +2 200 1`)
  harness.clock.advance(10_000)
  // Begun 0.301 s into a second.
  t.like(await stopped(), { variable_record_ms: '2680', variable_silence_hits_exhausted: 'false' })
})

test('the caller’s end closes the file before the application is over', async t => {
  const { harness, client, start, stopped, file } = await answered(t)
  await start('record', file)
  harness.clock.advance(1000)
  await client.api(`uuid_kill ${A}`)
  t.like(await stopped(), { 'Answer-State': 'hangup', variable_record_ms: '1000' })
  t.deepEqual(client.events.map(event => event['Event-Name']).slice(0, 4), ['RECORD_START', 'CHANNEL_HANGUP', 'RECORD_STOP', 'CHANNEL_EXECUTE_COMPLETE'])
  t.is(readWav(file).seconds, 1)
})

for (const path of ['/proc/nope/x.wav', '/tmp/x.nosuchext']) {
  test(`a message that cannot be written to ${path} hangs up`, async t => {
    const { client, start, harness } = await answered(t)
    await start('record', path)
    t.like(await client.until(event => event['Event-Name'] === 'CHANNEL_HANGUP'), { 'Hangup-Cause': 'DESTINATION_OUT_OF_ORDER' })
    t.is(harness.warnings.at(-1)?.event, 'simulator_record_refused')
    t.false(existsSync(path))
  })
}

test('a message that runs when the switch is closed is a whole file', async t => {
  const { harness, start, file } = await answered(t)
  await start('record', 'message.wav')
  harness.clock.advance(2000)
  t.is(readFileSync(file).readUInt32LE(40), 0)
  await harness.close()
  t.is(readWav(file).seconds, 2)
})

test('keys for a leg that is not there, and no keys, are refused', async t => {
  const { client } = await answered(t)
  t.is(await client.api(`uuid_recv_dtmf ${A}`), '-USAGE: <uuid> <dtmf_data>\n')
  t.is(await client.api('uuid_recv_dtmf nobody 1'), '-ERR Cannot locate session!\n')
})
