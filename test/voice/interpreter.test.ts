import test from 'ava'
import { existsSync, readdirSync } from 'node:fs'
import { AppError } from '../../src/errors.ts'
import { speakable } from '../../src/switch/media.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, EVENTS, LEG, voiceWorld } from './world.ts'

const HOOK = 'https://app.example.com/recorded'
const NEXT = { action: 'connect', endpoint: [{ type: 'phone', number: '+4930' }] }
const event = { eventUrl: { url: EVENTS, method: 'POST' as const } }
const statuses = (told: readonly Record<string, unknown>[]): unknown[] => told.map(({ status, reason }) => status ?? reason)
const dialled = (did: readonly string[]): boolean => did.some(one => one.startsWith('dial'))
const TO_BE_TOLD = { action: 'record', endOnKey: '#', eventUrl: [HOOK] }

// record

test('a blocking recording is told of before the next action runs', async t => {
  const { did, play } = voiceWorld(t)
  t.is(await play([TO_BE_TOLD, NEXT]), 'done')
  t.deepEqual(
    did.map(one => one.split(' ').slice(0, 2).join(' ')),
    [
      'answer',
      'record',
      'listen',
      'stop 202605-00000000000000000000000000000001',
      'POST /recorded',
      'dial {"type":"phone","number":"+4930","timeout":60,"limit":7200}',
    ],
  )
})

test('a recording without a condition does not hold the next action up', async t => {
  const { did, play } = voiceWorld(t)
  await play([{ action: 'record', eventUrl: [HOOK] }, NEXT])
  t.false(did.includes('listen'))
  t.true(dialled(did))
  t.false(did.some(one => one.startsWith('stop')))
})

test('a last recording without a condition keeps the call until the caller hangs up', async t => {
  const { run, hangup, until, clock, did } = voiceWorld(t)
  const over = run({ ncco: [{ action: 'wait', timeout: 0.1 }, { action: 'record' }] })
  await until('answer')
  clock.advance(100)
  await until('record')
  let ended = false
  void over.catch(() => {}).finally(() => (ended = true))
  for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
  t.false(ended)
  hangup()
  await t.throwsAsync(over, { message: 'he hung up' })
  t.false(
    did.some(one => one.startsWith('stop')),
    'the recorder ends it with the leg',
  )
})

test('the beep is heard before the recording begins', async t => {
  const { did, play } = voiceWorld(t)
  await play([{ action: 'record', beepStart: 'true', timeOut: 3 }])
  t.deepEqual(did.slice(0, 3), ['answer', 'playback tone_stream://%(500,0,1000)', 'record'])
})

test('each condition of a blocking recording is listened for, and no other', async t => {
  const { messages, play } = voiceWorld(t)
  await play([
    { action: 'record', timeOut: 5 },
    { action: 'record', endOnSilence: '3' },
    { action: 'record', endOnKey: 1 },
    { action: 'record', endOnKey: '*', endOnSilence: 10, timeOut: 60 },
  ])
  t.deepEqual(
    messages.map(({ limit, silence, terminators }) => [limit, silence?.seconds, terminators]),
    [
      [5, undefined, ''],
      [7200, 3, ''],
      [7200, undefined, '1'],
      [60, 10, '*'],
    ],
  )
})

test('what is recorded is what the action says, for 30 days', async t => {
  const { settings, play } = voiceWorld(t, { formats: ['wav', 'mp3'] })
  await play([
    { action: 'record', timeOut: 3 },
    { action: 'record', timeOut: 3, split: 'conversation', format: 'wav' },
    { action: 'record', timeOut: 3, format: 'mp3' },
  ])
  const of = settings.map(one => [one.format?.value, one.stereo?.value, one.record_sample_rate?.value, one.retention_days?.value])
  t.deepEqual(of, [
    [undefined, false, 16_000, 30],
    ['wav', true, 16_000, 30],
    ['mp3', false, 16_000, 30],
  ])
})

test('an application is told of a recording in the words of the Voice API', async t => {
  const { told, docs, play } = voiceWorld(t)
  await play([{ ...TO_BE_TOLD, split: 'conversation' }])
  const [recording] = [...docs.values()]
  const { recording_uuid, file_uuid } = recording?.pvt_voice ?? { recording_uuid: '', file_uuid: '' }
  t.not(recording_uuid, file_uuid)
  t.deepEqual(told(HOOK), [
    {
      start_time: '2026-05-16T00:00:00Z',
      end_time: '2026-05-16T00:00:03Z',
      recording_url: `https://pbx.example.com/v1/files/${file_uuid}`,
      size: 96_044,
      recording_uuid,
      conversation_uuid: `CON-${LEG}`,
      channels: 2,
      timestamp: '2026-05-16T00:00:00.000Z',
    },
  ])
  t.regex(file_uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.is(Number.parseInt(file_uuid.replaceAll('-', '').slice(0, 12), 16), Date.UTC(2026, 4, 16))
})

test('a recording that names no URL is told to the event_url of the call; by GET in the query', async t => {
  const { told, http, play } = voiceWorld(t)
  await play([{ action: 'record', timeOut: 3 }], event)
  t.is(told(EVENTS).filter(one => 'recording_uuid' in one).length, 1)
  t.true(http.asked.every(({ method }) => method === 'POST'))
  const other = voiceWorld(t)
  await other.play([{ ...TO_BE_TOLD, eventMethod: 'GET' }])
  t.like(other.http.asked[0], { method: 'GET', url: HOOK })
  t.is(other.told(HOOK)[0]?.['size'], '96044')
})

test('an application that is not there is tried twice, and the call goes on', async t => {
  const { did, lines, play } = voiceWorld(t, { replies: { [HOOK]: [new AppError('upload_unreachable', 'nobody there')] } })
  t.is(await play([TO_BE_TOLD, NEXT]), 'done')
  t.is(did.filter(one => one === 'POST /recorded').length, 2)
  t.true(dialled(did))
  t.like(
    lines.find(({ event: name }) => name === 'voice_event_untold'),
    { why: 'nobody there' },
  )
})

test('a recording that cannot begin is told, and the call goes on', async t => {
  const { did, told, play } = voiceWorld(t, { refuse: 'the disk is full' })
  await play([TO_BE_TOLD, NEXT])
  t.like(told(HOOK)[0], { status: 'failed', reason: 'the disk is full', conversation_uuid: `CON-${LEG}` })
  t.false(did.includes('listen'))
  t.true(dialled(did))
})

test('a recording that cannot begin and has a document is told of once', async t => {
  const { call, docs, events, told, play } = voiceWorld(t)
  const { startRecording } = call
  call.startRecording = async (settings, facts, more) => {
    const started = await startRecording(settings, facts, more)
    const recording = docs.get(started.id)
    if (recording !== undefined) docs.set(started.id, { ...recording, state: 'failed', reason: 'spool_unwritable' })
    await events.tell({ event: 'recording.missing', accountId: ACCOUNT, recordingId: started.id, at: 0, recording: {} })
    return { ...started, state: 'failed', reason: 'spool_unwritable' }
  }
  await play([TO_BE_TOLD])
  t.deepEqual(
    told(HOOK).map(({ reason }) => reason),
    ['spool_unwritable'],
  )
})

test('a recording whose file is lost is told as failed', async t => {
  const { told, play } = voiceWorld(t, { ends: 'failed' })
  await play([TO_BE_TOLD])
  t.like(told(HOOK)[0], { status: 'failed' })
})

test('a recording without a file is told as that, and not waited for', async t => {
  const { did, told, play } = voiceWorld(t, { ends: 'discarded' })
  await play([TO_BE_TOLD, NEXT])
  t.like(told(HOOK)[0], { status: 'failed', reason: 'empty' })
  t.true(dialled(did))
})

test('a file that does not arrive holds the call up for a minute and no longer', async t => {
  const { did, run, recorder, docs, clock, lines, until } = voiceWorld(t)
  recorder.stop = async id => {
    did.push('stopped')
    const recording = docs.get(id)
    if (recording !== undefined) docs.set(id, { ...recording, state: 'stopped' })
  }
  const over = run({ ncco: [TO_BE_TOLD, NEXT] })
  await until('stopped')
  for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
  t.false(dialled(did))
  clock.advance(60_000)
  t.is(await over, 'done')
  t.true(dialled(did))
  t.true(lines.some(({ event: name }) => name === 'voice_recording_late'))
})

test('a blocking recording goes on when its engine stops or loses the switch, and one that cannot be listened to does not', async t => {
  for (const how of ['stops', 'loses', 'refused'] as const) {
    const { did, run, stops, ends, call, until } = voiceWorld(t)
    ends(undefined)
    if (how !== 'stops')
      call.node.recordMessage = () => (did.push('listen'), Promise.reject(new AppError(how === 'loses' ? 'switch_down' : 'switch_refused', 'no')))
    const over = run({ ncco: [TO_BE_TOLD] })
    await until('listen')
    if (how === 'stops') stops()
    if (how === 'refused') t.is(await over, 'done')
    else await t.throwsAsync(over, { code: 'switch_down' })
    t.is(did.filter(one => one.startsWith('stop')).length, how === 'refused' ? 1 : 0, how)
  }
})

test('two recordings at a time are two recordings', async t => {
  const { docs, play } = voiceWorld(t)
  await play([{ action: 'record' }, { action: 'record', timeOut: 3 }])
  t.is(docs.size, 2)
  const uuids = [...docs.values()].flatMap(({ pvt_voice }) => [pvt_voice?.recording_uuid, pvt_voice?.file_uuid])
  t.is(new Set(uuids).size, 4)
})

// Where the actions come from

const ANSWER = 'https://app.example.com/answer'
const FALLBACK = 'https://app.example.com/fallback'
const answer = { url: ANSWER, method: 'GET' as const }
const WAIT = [{ action: 'connect', endpoint: [{ type: 'phone', number: '+49' }] }]

test('an answer_url is told who calls whom', async t => {
  const { run, told, did } = voiceWorld(t, { replies: { [ANSWER]: [WAIT] } })
  t.is(await run({ answer }), 'done')
  t.deepEqual(told(ANSWER), [{ from: '2001', to: '1000', uuid: LEG, conversation_uuid: `CON-${LEG}` }])
  t.true(dialled(did))
  const other = voiceWorld(t, { replies: { [ANSWER]: [WAIT] } })
  await other.run({ answer: { url: ANSWER, method: 'POST' } })
  t.like(other.http.asked[0], { method: 'POST', fields: { from: '2001', uuid: LEG } })
})

for (const passing of [429, 503, 504, new AppError('upload_unreachable', 'reset')]) {
  test(`an answer_url that says ${typeof passing === 'number' ? passing : 'nothing'} is asked once more`, async t => {
    const { run, told } = voiceWorld(t, { replies: { [ANSWER]: [passing, WAIT] } })
    t.is(await run({ answer }), 'done')
    t.is(told(ANSWER).length, 2)
  })
}

const SYNTAX = 'Syntax error in NCCO. Invalid value type or action.'
for (const [what, reply, reason] of [
  ['is not there', new AppError('upload_unreachable', 'nobody there'), 'nobody there'],
  ['leads inside', new AppError('destination_forbidden', '10.0.0.1 is not on the public internet'), '10.0.0.1 is not on the public internet'],
  ['answers 404', 404, 'app.example.com: answered 404'],
  ['answers HTML', '<html><body>Hello</body></html>', 'app.example.com: its answer is not JSON'],
  ['answers 5 MB', Buffer.alloc(5_000_000, ' '), 'app.example.com: its answer broke off or is longer than 262144 bytes'],
  ['answers nothing', '', SYNTAX],
  ['answers no array', { action: 'talk' }, SYNTAX],
  ['answers an empty array', [], SYNTAX],
  ['answers an unknown action', [{ action: 'pay' }], SYNTAX],
  ['answers a wrong range', [{ action: 'record', timeOut: 1 }], SYNTAX],
] as const) {
  test(`an answer_url that ${what} is told to event_url and in the log, and the call fails`, async t => {
    const { run, told, voice, lines, did } = voiceWorld(t, { replies: { [ANSWER]: [reply] } })
    t.is(await run({ answer, ...event }), 'failed')
    await voice.close()
    const last = told(EVENTS).at(-1)
    t.like(last, { reason, conversation_uuid: `CON-${LEG}`, uuid: LEG })
    t.is(typeof last?.['timestamp'], 'string')
    if (reason === SYNTAX) t.true(Array.isArray(last?.['detail']))
    t.true(lines.some(({ event: name, level }) => name === 'ncco_refused' && level === 'error'))
    t.false(did.includes('answer'), 'nobody pays for a call that cannot be served')
  })
}

test('an answer_url that does not answer in time is given up', async t => {
  const { run, http, clock } = voiceWorld(t)
  http.hanging.add(ANSWER)
  const over = run({ answer })
  for (const tries of [1, 2]) {
    while (http.asked.length < tries) await new Promise(resolve => setImmediate(resolve))
    clock.advance(5000)
  }
  t.is(await over, 'failed')
  t.is(http.asked.length, 2)
})

test('a fallback is asked when the other has no NCCO to give', async t => {
  const fallback = { url: FALLBACK, method: 'GET' as const }
  const { run, told } = voiceWorld(t, { replies: { [ANSWER]: ['<html>'], [FALLBACK]: [WAIT] } })
  t.is(await run({ answer, fallback }), 'done')
  t.is(told(FALLBACK).length, 1)
  const both = voiceWorld(t, { replies: { [ANSWER]: [500], [FALLBACK]: [404] } })
  t.is(await both.run({ answer, fallback, ...event }), 'failed')
  await both.voice.close()
  t.is(both.told(EVENTS).at(-1)?.['reason'], 'app.example.com: answered 500; then app.example.com: answered 404')
})

test('an action with neither ncco nor answer_url fails', async t => {
  const { run, told, voice } = voiceWorld(t)
  t.is(await run(event), 'failed')
  await voice.close()
  t.is(told(EVENTS).at(-1)?.['reason'], SYNTAX)
})

// notify and input

const NOTIFY = 'https://app.example.com/notify'
const notify = { action: 'notify', payload: { stage: 'one' }, eventUrl: [NOTIFY] }

test('what a notify answers takes the place of what is left', async t => {
  const { did, told, play } = voiceWorld(t, { replies: { [NOTIFY]: [[{ action: 'record', timeOut: 3 }]] } })
  await play([notify, NEXT])
  t.like(told(NOTIFY)[0], { payload: { stage: 'one' }, uuid: LEG, conversation_uuid: `CON-${LEG}`, from: '2001', to: '1000' })
  t.true(did.includes('record'))
  t.false(dialled(did))
})

for (const [what, reply] of [
  ['nothing', 204],
  ['an empty object', {}],
  ['an empty array', []],
  ['HTML', '<html>'],
  ['500', 500],
  ['an unknown action', [{ action: 'pay' }]],
] as const) {
  test(`a notify that answers ${what} leaves the rest as it is`, async t => {
    const { did, told, play } = voiceWorld(t, { replies: { [NOTIFY]: [reply] } })
    t.is(await play([notify, NEXT], event), 'done')
    t.is(told(NOTIFY).length, 1)
    t.true(dialled(did))
  })
}

test('an application that answers its notify with another one for ever is stopped', async t => {
  const { http, lines, play } = voiceWorld(t, { replies: { [NOTIFY]: [[notify]] } })
  await play([notify])
  t.is(http.asked.length, 10_000)
  t.true(lines.some(({ event: name }) => name === 'ncco_loops'))
})

const SOUND = 'https://media.example.com/hello.wav'
const wav = Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVEfmt '), Buffer.alloc(40)])
const INPUT = 'https://app.example.com/input'
const input = { action: 'input', type: ['dtmf'], dtmf: { maxDigits: 2, timeOut: 5, submitOnHash: true }, eventUrl: [INPUT] }

test('an input sends what was pressed, and its answer takes the place of what is left', async t => {
  const { call, did, told, variables, play } = voiceWorld(t, { replies: { [INPUT]: [[{ action: 'record', timeOut: 3 }]] } })
  const { execute } = call
  call.execute = async (app, argument) => {
    const response = await execute(app, argument)
    if (app === 'play_and_get_digits') variables['callrec_digits'] = '42'
    return response
  }
  await play([input, NEXT])
  t.like(told(INPUT)[0], { dtmf: { digits: '42', timed_out: false }, uuid: LEG })
  t.true(did.includes('play_and_get_digits 1 2 1 5000 # silence_stream://1 silence_stream://1 callrec_digits [0-9*] 5000'))
  t.true(did.includes('record'))
  t.false(dialled(did))
})

test('an input that nobody answered says so, and digits of an earlier one are not his', async t => {
  const { told, variables, play } = voiceWorld(t)
  variables['callrec_digits'] = '99'
  await play([input])
  t.like(told(INPUT)[0], { dtmf: { digits: '', timed_out: true } })
})

test('an input that is ended by # has not timed out; without submitOnHash # is a digit', async t => {
  const { told, did, variables, play } = voiceWorld(t)
  variables['read_terminator_used'] = '#'
  await play([input, { ...input, dtmf: {} }])
  t.like(told(INPUT)[0], { dtmf: { digits: '', timed_out: false } })
  t.like(told(INPUT)[1], { dtmf: { timed_out: true } })
  t.true(did.some(one => one.includes(' none ') && one.includes('[0-9*#]')))
})

test('a key breaks a message off that allows it, and is the first one of the input behind it', async t => {
  const { call, did, told, variables, play } = voiceWorld(t, { modules: { mod_flite: true }, replies: { [SOUND]: [wav] } })
  const { execute } = call
  call.execute = async (app, argument = '') => {
    const response = await execute(app, argument)
    if (argument.endsWith('Press')) variables['playback_terminator_used'] = '4'
    if (app === 'play_and_get_digits') variables['callrec_digits'] = '2'
    return response
  }
  const talk = (text: string, more: object = {}) => ({ action: 'talk', text, bargeIn: true, ...more })
  await play([talk('Hello'), talk('Press', { loop: 3 }), talk('Again'), { action: 'stream', streamUrl: SOUND, bargeIn: true }, input])
  t.deepEqual(
    did.filter(one => /^(speak|playback|play_and)/.test(one)).map(one => one.split(' ').slice(0, 3).join(' ')),
    ['speak flite|slt|Hello', 'speak flite|slt|Press', 'play_and_get_digits 1 1'],
  )
  t.like(told(INPUT)[0], { dtmf: { digits: '42', timed_out: false } })
  t.is(variables['playback_terminators'], 'any')
})

for (const [key, dtmf, digits] of [
  ['#', { submitOnHash: true }, ''],
  ['7', { maxDigits: 1 }, '7'],
] as const) {
  test(`where ${key} is all that was to be pressed, nothing more is waited for`, async t => {
    const { call, did, told, variables, play } = voiceWorld(t, { modules: { mod_flite: true } })
    const { execute } = call
    call.execute = async (app, argument) => {
      if (app === 'speak') variables['playback_terminator_used'] = key
      return execute(app, argument)
    }
    await play([
      { action: 'talk', text: 'Press', bargeIn: true },
      { ...input, dtmf },
    ])
    t.false(did.some(one => one.startsWith('play_and')))
    t.like(told(INPUT)[0], { dtmf: { digits, timed_out: false } })
  })
}

test('nothing breaks a message off that does not allow it', async t => {
  const { variables, play } = voiceWorld(t, { modules: { mod_flite: true } })
  await play([{ action: 'talk', text: 'Hello' }])
  t.is(variables['playback_terminators'], 'none')
})

// talk, stream, wait, connect

test('a talk has its voice and its loudness, and what comes after it is as loud as ever', async t => {
  const { did, play } = voiceWorld(t, { modules: { mod_flite: true } })
  await play([{ action: 'talk', text: 'Hello', style: 3, level: -0.5 }])
  t.deepEqual(did, ['answer', 'set_audio_level write -2', 'speak flite|awb|Hello', 'set_audio_level write 0'])
})

test('speech is made of letters and digits: nothing that could mean something to the switch gets there', async t => {
  const { did, play } = voiceWorld(t, { modules: { mod_flite: true } })
  await play([{ action: 'talk', text: "<speak>Don't ${system(rm)} | pay 5, Zoë!</speak>", loop: 2 }])
  t.deepEqual(did, ['answer', 'speak flite|slt|Dont system rm pay 5, Zoe !', 'speak flite|slt|Dont system rm pay 5, Zoe !'])
})

test('a text with nothing to say is told as that', async t => {
  const { told, play } = voiceWorld(t, { modules: { mod_flite: true } })
  t.is(speakable('日本'), '')
  await play([{ action: 'talk', text: '日本' }], event)
  t.true(told(EVENTS).some(({ reason, action }) => action === 'talk' && reason === 'its text has nothing that can be said'))
})

test('a stream is fetched, played from the spool, and gone afterwards', async t => {
  const { did, dir, play } = voiceWorld(t, { replies: { [SOUND]: [wav] } })
  await play([{ action: 'stream', streamUrl: [SOUND] }])
  t.regex(did.find(one => one.startsWith('playback')) ?? '', /^playback .*\/fs1\/voice\/[0-9a-f]+\.wav$/)
  t.true(existsSync(`${dir}/fs1/voice`))
  t.deepEqual(readdirSync(`${dir}/fs1/voice`), [])
})

for (const [what, reply, why] of [
  ['is not there', 404, 'media.example.com: answered 404'],
  ['is no sound', '<html>', 'media.example.com: its file is neither WAV nor MP3'],
  ['is an MP3 where the switch plays none', Buffer.from('ID3abcdefghijk'), 'media.example.com: its file is an MP3'],
  ['is too large', Buffer.alloc(21 * 1024 * 1024), 'media.example.com: its file broke off or is larger'],
  ['leads inside', new AppError('destination_forbidden', 'inside'), 'inside'],
] as const) {
  test(`a stream that ${what} is told, and the call goes on`, async t => {
    const { did, told, play } = voiceWorld(t, { replies: { [SOUND]: [reply] } })
    await play([{ action: 'stream', streamUrl: SOUND }, NEXT], event)
    t.true(told(EVENTS).some(({ reason, action }) => action === 'stream' && String(reason).startsWith(why)))
    t.false(did.some(one => one.startsWith('playback')))
    t.true(dialled(did))
  })
}

test('a stream that loops for ever ends with the caller', async t => {
  const { call, did, hangup, run } = voiceWorld(t, { replies: { [SOUND]: [wav] } })
  const { execute } = call
  let played = 0
  call.execute = async (app, argument) => {
    if (app === 'playback' && ++played === 50) hangup()
    return execute(app, argument)
  }
  await t.throwsAsync(run({ ncco: [{ action: 'stream', streamUrl: SOUND, loop: '0' }, NEXT] }), { message: 'he hung up' })
  t.false(dialled(did))
})

test('a wait takes its time, and no longer than the caller', async t => {
  const { clock, did, run, until, hangup } = voiceWorld(t)
  const over = run({ ncco: [{ action: 'wait', timeout: 3 }, NEXT, { action: 'wait' }, NEXT] })
  await until('answer')
  clock.advance(2999)
  t.false(dialled(did))
  clock.advance(1)
  while (!dialled(did)) await new Promise(resolve => setImmediate(resolve))
  hangup()
  await t.throwsAsync(over, { message: 'he hung up' })
  t.is(did.filter(one => one.startsWith('dial')).length, 1)
})

test('a connect does not answer the caller before somebody is there, and is told of as it goes', async t => {
  const { did, told, play } = voiceWorld(t)
  await play([{ ...NEXT, from: '+491', timeout: '20', limit: 600 }], event)
  t.deepEqual(
    did.filter(one => !one.startsWith('POST')),
    ['dial {"type":"phone","number":"+4930","from":"+491","timeout":20,"limit":600}'],
  )
  const out = told(EVENTS).filter(one => one['direction'] === 'outbound')
  t.deepEqual(statuses(out), ['started', 'ringing', 'answered', 'completed'])
  t.like(out.at(-1), { uuid: 'the-other-leg', from: '+491', to: '+4930', duration: '7' })
})

for (const [cause, status] of [
  ['USER_BUSY', 'busy'],
  ['NO_ANSWER', 'unanswered'],
  ['CALL_REJECTED', 'rejected'],
  ['ALLOTTED_TIMEOUT', 'timeout'],
  ['ORIGINATOR_CANCEL', 'cancelled'],
  ['CALLER_ID_REFUSED', 'failed'],
]) {
  test(`a connect that ends with ${cause} is told as ${status}, and the call goes on`, async t => {
    const { did, told, play } = voiceWorld(t, { dialled: { answered: false, cause: cause ?? '' } })
    await play([NEXT, { action: 'record', timeOut: 3 }], event)
    t.like(
      told(EVENTS).findLast(one => one['direction'] === 'outbound'),
      { status, detail: cause },
    )
    t.true(did.includes('record'))
  })
}

for (const [dialled, end] of [
  ['talks', { status: 'completed', uuid: 'the-other-leg', duration: '5' }],
  ['rings', { status: 'cancelled', detail: 'ORIGINATOR_CANCEL' }],
] as const) {
  test(`a connect that ${dialled} when the caller hangs up is told as ${end.status}, and goes on when the engine stops`, async t => {
    for (const how of ['hangup', 'stops'] as const) {
      const w = voiceWorld(t, { dialled })
      const over = w.run({ ncco: [NEXT], ...event })
      await until('it is dialled', () => w.did.some(one => one.startsWith('dial')))
      w.clock.advance(5000)
      w[how]()
      await t.throwsAsync(over)
      await w.voice.close()
      const out = w.told(EVENTS).filter(one => one['direction'] === 'outbound')
      const before = dialled === 'talks' ? ['started', 'ringing', 'answered'] : ['started', 'ringing']
      t.deepEqual(statuses(out), how === 'hangup' ? [...before, end.status] : before)
      if (how === 'hangup') t.like(out.at(-1), end)
    }
  })
}

// The life of a call

test('the life of a call is told in its order, and what follows the hangup too', async t => {
  const { run, hangup, until, voice, told, clock } = voiceWorld(t)
  const over = run({ ncco: [{ action: 'wait', timeout: 100 }], ...event })
  await until('answer')
  clock.advance(12_000)
  hangup()
  await t.throwsAsync(over)
  await voice.close()
  t.deepEqual(statuses(told(EVENTS)), ['started', 'ringing', 'answered', 'completed'])
  t.like(told(EVENTS).at(-1), { duration: '12', start_time: '2026-05-16T00:00:00.000Z', end_time: '2026-05-16T00:00:12.000Z', direction: 'inbound' })
})

test('a call that is answered already says so, and one that never is lasts no time', async t => {
  const early = voiceWorld(t, { answered: true })
  await early.play([{ action: 'wait', timeout: 0.1 }].slice(1).concat([]), event).catch(() => {})
  t.deepEqual(statuses(early.told(EVENTS)).slice(0, 3), ['started', 'ringing', 'answered'])
  const never = voiceWorld(t)
  await never.run({ ncco: [NEXT], ...event })
  never.hangup()
  await never.voice.close()
  t.like(never.told(EVENTS).at(-1), { status: 'completed', duration: '0' })
})

test('events that do not get through are in the log, and hold nothing up', async t => {
  const { did, lines, play } = voiceWorld(t, { replies: { [EVENTS]: [500] } })
  await play([NEXT], event)
  t.true(dialled(did))
  t.like(
    lines.find(({ event: name }) => name === 'voice_event_untold'),
    { status: 'started', why: 'app.example.com: answered 500' },
  )
})

test('an action that the switch refuses is told, and the next one runs', async t => {
  const { call, did, told, play } = voiceWorld(t, { modules: { mod_flite: true } })
  const { execute } = call
  call.execute = (app, argument) => (app === 'speak' ? Promise.reject(new AppError('switch_refused', 'no such voice')) : execute(app, argument))
  await play([{ action: 'talk', text: 'Hello' }, NEXT], event)
  t.true(told(EVENTS).some(({ reason, action }) => action === 'talk' && reason === 'no such voice'))
  t.true(dialled(did))
})

test('a switch that goes ends the application; the call is not its to end', async t => {
  const { call, run } = voiceWorld(t)
  call.execute = () => Promise.reject(new AppError('switch_down', 'gone'))
  await t.throwsAsync(run({ ncco: [{ action: 'wait' }] }), { message: 'gone' })
})

// Transfer

test('a transfer ends a blocking recording, tells of it, keeps the other, and goes on with the new actions', async t => {
  const { did, docs, ends, messages, run, told, until, voice } = voiceWorld(t)
  ends(undefined)
  const over = run({ ncco: [{ action: 'record' }, { ...TO_BE_TOLD, endOnKey: '#' }, { action: 'wait' }] })
  await until('listen')
  ends({ ended: 'limit', durationMs: 3000 })
  t.true(await voice.transfer(LEG, { ncco: [{ action: 'record', timeOut: 3 }, NEXT] }))
  t.is(await over, 'done')
  t.true(messages[0]?.signal?.aborted)
  const [first, second] = [...docs.keys()]
  t.deepEqual(
    did.filter(one => one.startsWith('stop')).map(one => one.split(' ')[1] === first),
    [false, false],
  )
  t.true(did.includes(`stop ${second}`))
  t.is(told(HOOK).length, 1)
  t.true(dialled(did))
})

test('a call that stays up because of its last recording can be transferred', async t => {
  const { did, run, until, voice } = voiceWorld(t)
  const over = run({ ncco: [{ action: 'record' }] })
  await until('record')
  t.true(await voice.transfer(LEG, { ncco: [NEXT] }))
  t.is(await over, 'done')
  t.true(dialled(did))
})

test('a transfer to what cannot be run changes nothing', async t => {
  const { did, run, until, voice, clock } = voiceWorld(t)
  const over = run({ ncco: [{ action: 'wait' }, NEXT] })
  await until('answer')
  await t.throwsAsync(voice.transfer(LEG, { ncco: [{ action: 'pay' }] }), { message: /Syntax error in NCCO/ })
  clock.advance(10_000)
  t.is(await over, 'done')
  t.true(dialled(did))
})

test('a call that no application runs cannot be transferred', async t => {
  t.false(await voiceWorld(t).voice.transfer(LEG, { ncco: [NEXT] }))
})
