import test from 'ava'
import { type Abilities, isBlocking, MOST_ACTIONS, type RecordAction, staysUp } from '../../src/voice/ncco.ts'
import { parseNcco } from '../../src/voice/parse.ts'

const CHANNELS = 'Channels must be between 1 and 32, inclusive'
const SPLIT_FIRST = "Channels must have split set to 'conversation' before changing channel numbers"
const SILENCE = 'End on Silence must be between 3 and 10 seconds, inclusive'
const TIMEOUT = 'Recording timeout must be between 3 and 7200 seconds, inclusive'
const KEY = 'Valid characters are 0-9, *, and # only'
const URL_ARRAY = 'must be an array with one http or https URL'
const FLAG = 'must be true or false'
const TAG = 'must be a language tag (BCP 47) such as en-US'

type Row = readonly [option: string, value: unknown, becomes: unknown]
/** Of an error, how its words begin. */
const error = (why: string) => ({ why })

const words = '3'.repeat(1501)
const hook = ['https://app.example.com/hook']

const TABLE: Readonly<Record<string, { with: object; rows: readonly Row[] }>> = {
  record: {
    with: {},
    rows: [
      ['format', 'mp3', 'mp3'],
      ['format', 'wav', 'wav'],
      ['format', 'ogg', 'ogg'],
      ['format', 'flac', error('must be one of mp3, wav, ogg')],
      ['format', 3, error('must be one of')],
      ['split', 'conversation', 'conversation'],
      ['split', 'leg', error("Recording can only be split to 'conversation'")],
      ['channels', 1, 1],
      ['channels', '1', 1],
      ['channels', 0, error(CHANNELS)],
      ['channels', 33, error(CHANNELS)],
      ['channels', 1.5, error(CHANNELS)],
      ['channels', 'two', error(CHANNELS)],
      ['channels', 3, error(SPLIT_FIRST)],
      ['channels', 2, error(SPLIT_FIRST)],
      ['endOnSilence', 3, 3],
      ['endOnSilence', 10, 10],
      ['endOnSilence', '5', 5],
      ['endOnSilence', 2, error(SILENCE)],
      ['endOnSilence', 11, error(SILENCE)],
      ['endOnSilence', true, error(SILENCE)],
      ['endOnSilence', '', error(SILENCE)],
      ['endOnKey', '#', '#'],
      ['endOnKey', '*', '*'],
      ['endOnKey', '0', '0'],
      ['endOnKey', 7, '7'],
      ['endOnKey', '12', error(KEY)],
      ['endOnKey', '', error(KEY)],
      ['endOnKey', 'A', error(KEY)],
      ['endOnKey', ['#'], error(KEY)],
      ['timeOut', 3, 3],
      ['timeOut', 7200, 7200],
      ['timeOut', '60', 60],
      ['timeOut', 2, error(TIMEOUT)],
      ['timeOut', 7201, error(TIMEOUT)],
      ['timeOut', '1e3', error(TIMEOUT)],
      ['beepStart', true, true],
      ['beepStart', 'true', true],
      ['beepStart', 'false', false],
      ['beepStart', 'yes', error(FLAG)],
      ['beepStart', 1, error(FLAG)],
      ['eventUrl', hook, hook[0]],
      ['eventUrl', hook[0], hook[0]],
      ['eventUrl', [...hook, ...hook], error(URL_ARRAY)],
      ['eventUrl', [], error(URL_ARRAY)],
      ['eventUrl', 'ftp://app.example.com', error(URL_ARRAY)],
      ['eventUrl', 'https://', error(URL_ARRAY)],
      ['eventMethod', 'GET', 'GET'],
      ['eventMethod', 'POST', 'POST'],
      ['eventMethod', 'PUT', error('must be one of GET, POST')],
      ['transcription', {}, { language: 'en-US', sentimentAnalysis: false, eventMethod: 'POST' }],
      ['transcription', { language: 'DE-de' }, { language: 'de-DE', sentimentAnalysis: false, eventMethod: 'POST' }],
      ['transcription', { language: 'zh-Hant-TW' }, { language: 'zh-Hant-TW', sentimentAnalysis: false, eventMethod: 'POST' }],
      [
        'transcription',
        { eventUrl: hook, eventMethod: 'GET', sentimentAnalysis: true },
        { language: 'en-US', eventUrl: hook[0], eventMethod: 'GET', sentimentAnalysis: true },
      ],
      [
        'transcription',
        { eventUrl: hook[0], sentimentAnalysis: 'true' },
        { language: 'en-US', eventUrl: hook[0], eventMethod: 'POST', sentimentAnalysis: true },
      ],
      ['transcription', { sentimentAnalysis: 'false', language: null }, { language: 'en-US', sentimentAnalysis: false, eventMethod: 'POST' }],
      ['transcription', null, undefined],
      ['transcription', true, error('must be an object')],
      ['transcription', 'en-US', error('must be an object')],
      ['transcription', [], error('must be an object')],
      ['transcription.language', { language: 'english please' }, error(TAG)],
      ['transcription.language', { language: '' }, error(TAG)],
      ['transcription.language', { language: 5 }, error(TAG)],
      ['transcription.language', { language: '--version' }, error(TAG)],
      ['transcription.language', { language: 'en_US' }, error(TAG)],
      ['transcription.language', { language: 'en-US;reboot' }, error(TAG)],
      ['transcription.language', { language: 'en-a' }, error(TAG)],
      ['transcription.language', { language: `en${'-abcdefgh'.repeat(6)}` }, error(TAG)],
      ['transcription.eventUrl', { eventUrl: 'ftp://app.example.com' }, error(URL_ARRAY)],
      ['transcription.eventUrl', { eventUrl: [...hook, ...hook] }, error(URL_ARRAY)],
      ['transcription.eventMethod', { eventMethod: 'PUT' }, error('must be one of GET, POST')],
      ['transcription.sentimentAnalysis', { sentimentAnalysis: 'yes' }, error(FLAG)],
      ['transcription.sentimentAnalysis', { sentimentAnalysis: 1 }, error(FLAG)],
      ['transcription.speaker', { speaker: 2 }, error('is no option here')],
      ['timeout', 5, error('is no option here')],
      ['endOnKey', null, undefined],
    ],
  },
  talk: {
    with: { text: 'Hello' },
    rows: [
      ['text', 'Hello', 'Hello'],
      ['text', '', error('must be a text of 1 to 1500 characters')],
      ['text', words, error('must be a text of 1 to 1500 characters')],
      ['language', 'en-GB', undefined],
      ['language', 'de-DE', error('only English is spoken here')],
      ['loop', '0', 0],
      ['loop', 2, 2],
      ['loop', -1, error('must be a whole number from 0')],
      ['style', 0, 0],
      ['style', '3', 3],
      ['style', 4, error('must be a whole number from 0 to 3')],
      ['level', '0', 0],
      ['level', -0.5, -0.5],
      ['level', 2, error('must be between -1 and 1')],
      ['bargeIn', 'false', false],
      ['bargeIn', true, error('needs an input action after it')],
      ['premium', true, error('is not available')],
      ['voiceName', 'Joey', error('is no option here')],
    ],
  },
  stream: {
    with: { streamUrl: hook },
    rows: [
      ['streamUrl', hook, hook[0]],
      ['streamUrl', 'file:///etc/passwd', error(URL_ARRAY)],
      ['loop', 'x', error('must be a whole number')],
      ['level', -1, -1],
      ['level', 'loud', error('must be between -1 and 1')],
      ['bargeIn', 'yes', error('must be true or false')],
      ['bargeIn', 'true', error('needs an input action after it')],
    ],
  },
  input: {
    with: { type: ['dtmf'] },
    rows: [
      ['type', ['speech'], error('must be ["dtmf"]')],
      ['type', ['dtmf', 'speech'], error('must be ["dtmf"]')],
      ['dtmf', { timeOut: '5', maxDigits: 20, submitOnHash: 'true' }, { timeOut: 5, maxDigits: 20, submitOnHash: true }],
      ['dtmf', {}, { timeOut: 3, maxDigits: 4, submitOnHash: false }],
      ['dtmf', 4, error('must be an object')],
      ['dtmf.timeOut', { timeOut: 11 }, error('must be between 0 and 10 seconds')],
      ['dtmf.maxDigits', { maxDigits: 21 }, error('must be between 1 and 20')],
      ['dtmf.maxDigits', { maxDigits: 0 }, error('must be between 1 and 20')],
      ['dtmf.digits', { digits: 1 }, error('is no option here')],
      ['speech', {}, error('is not available')],
      ['mode', 'asynchronous', error('only synchronous is available')],
      ['eventUrl', hook, hook[0]],
    ],
  },
  connect: {
    with: { endpoint: [{ type: 'phone', number: '4930123456' }] },
    rows: [
      ['endpoint', [{ type: 'phone', number: '+4930123456' }], { type: 'phone', number: '+4930123456' }],
      ['endpoint', [{ type: 'sip', uri: 'sip:bob@acme.example' }], { type: 'sip', uri: 'sip:bob@acme.example' }],
      ['endpoint', [{ type: 'device', id: 'a'.repeat(32) }], { type: 'device', id: 'a'.repeat(32) }],
      ['endpoint', [{ type: 'user', id: 'a'.repeat(32) }], { type: 'user', id: 'a'.repeat(32) }],
      ['endpoint[0].number', [{ type: 'phone', number: 'bob' }], error('must be a telephone number')],
      ['endpoint[0].number', [{ type: 'phone' }], error('is required')],
      ['endpoint[0].dtmfAnswer', [{ type: 'phone', number: '1', dtmfAnswer: '1' }], error('is no option here')],
      ['endpoint[0].uri', [{ type: 'sip', uri: 'sip:${system(x)}@acme.example' }], error('must be of the form sip:user@realm')],
      // As the Node SDK has it where nobody gives any.
      ['endpoint', [{ type: 'sip', uri: 'sip:bob@acme.example', standardHeaders: {}, headers: {} }], { type: 'sip', uri: 'sip:bob@acme.example' }],
      ['endpoint[0].headers', [{ type: 'sip', uri: 'sip:bob@acme.example', headers: { team: 'a' } }], error('is not available')],
      ['endpoint[0].standardHeaders', [{ type: 'sip', uri: 'sip:bob@acme.example', standardHeaders: { 'User-to-User': 'x' } }], error('is not available')],
      ['endpoint[0].standard_headers', [{ type: 'sip', uri: 'sip:bob@acme.example', standard_headers: 'x' }], error('is not available')],
      ['endpoint[0].id', [{ type: 'device', id: '../x' }], error('must be the id of a document')],
      ['endpoint[0].type', [{ type: 'websocket', uri: 'wss://app.example.com' }], error('must be one of phone, sip, device, user')],
      ['endpoint', [], error('must be an array with one endpoint')],
      ['endpoint', {}, error('must be an array with one endpoint')],
      ['from', '+4930123456', '+4930123456'],
      ['from', 'Bank', error('must be a telephone number')],
      ['timeout', 0, error('must be between 1 and 120')],
      ['limit', 7201, error('must be between 1 and 7200')],
      ['eventType', 'synchronous', error('is not available')],
      ['machineDetection', 'hangup', error('is no option here')],
    ],
  },
  conversation: {
    with: { name: 'sales' },
    rows: [
      ['name', 'x'.repeat(51), error('must be a text of 1 to 50 characters')],
      ['musicOnHoldUrl', hook, hook[0]],
      ['startOnEnter', 'false', false],
      ['endOnExit', true, true],
      ['record', 'true', true],
      ['mute', 1, error('must be true or false')],
      ['canSpeak', [], error('is not available: everybody hears everybody')],
      ['canHear', ['x'], error('is not available: everybody hears everybody')],
      ['eventUrl', hook, hook[0]],
    ],
  },
  notify: {
    with: { payload: { a: 1 }, eventUrl: hook },
    rows: [
      ['payload', { b: [2] }, { b: [2] }],
      ['payload', 'x', error('must be an object')],
      ['eventUrl', 'x', error(URL_ARRAY)],
      ['eventMethod', 'GET', 'GET'],
    ],
  },
  wait: {
    with: {},
    rows: [
      ['timeout', 2.5, 2.5],
      ['timeout', '2.5', 2.5],
      ['timeout', 0, 0.1],
      ['timeout', 99_999, 7200],
      ['timeout', 'long', error('must be a number')],
    ],
  },
}

const isError = (becomes: unknown): becomes is { why: string } => typeof becomes === 'object' && becomes !== null && 'why' in becomes

for (const [action, { with: given, rows }] of Object.entries(TABLE)) {
  for (const [option, value, becomes] of rows) {
    const what = isError(becomes) ? `is refused: ${becomes.why}` : `becomes ${JSON.stringify(becomes)}`
    test(`${action}: ${option} ${JSON.stringify(value)?.slice(0, 60)} ${what}`, t => {
      const name = option.split(/[.[]/)[0] ?? ''
      const { actions, faults } = parseNcco([{ action, ...given, [name]: value }])
      if (isError(becomes)) {
        t.is(actions.length, 0)
        t.deepEqual(
          faults.map(({ path }) => path),
          [`[0].${option}`],
        )
        t.true(faults[0]?.message.startsWith(becomes.why), faults[0]?.message)
      } else {
        t.deepEqual(faults, [])
        t.deepEqual((actions[0] as unknown as Record<string, unknown>)[name], becomes)
      }
    })
  }
}

const record = (fields: object): RecordAction => parseNcco([{ action: 'record', ...fields }]).actions[0] as RecordAction

test('split alone is stereo, and channels say how many', t => {
  t.is(record({}).channels, 1)
  t.is(record({ split: 'conversation' }).channels, 2)
  t.is(record({ split: 'conversation', channels: '2' }).channels, 2)
  t.is(record({ split: 'conversation', channels: 1 }).channels, 1)
})

test('a channel for each of many parties is a WAV', t => {
  const of = (more: object) => parseNcco([{ action: 'record', split: 'conversation', channels: 5, ...more }])
  t.like(of({}).actions[0], { channels: 5 })
  t.like(of({ format: 'wav' }).actions[0], { channels: 5, format: 'wav' })
  for (const format of ['mp3', 'ogg']) t.deepEqual(of({ format }).faults, [{ path: '[0].format', message: 'must be wav where there are more than 2 channels' }])
})

test('what says nothing of it has the defaults of the Voice API', t => {
  t.deepEqual(parseNcco([{ action: 'record' }]).actions, [{ action: 'record', beepStart: false, eventMethod: 'POST', channels: 1 }])
  t.deepEqual(parseNcco([{ action: 'input', type: ['dtmf'] }]).actions, [
    { action: 'input', eventMethod: 'POST', dtmf: { timeOut: 3, maxDigits: 4, submitOnHash: false } },
  ])
  t.deepEqual(parseNcco([{ action: 'wait' }]).actions, [{ action: 'wait', timeout: 10 }])
})

test('any of silence, key and time makes a recording blocking, and nothing else does', t => {
  for (const one of [{ endOnSilence: 3 }, { endOnKey: '#' }, { timeOut: 3 }]) t.true(isBlocking(record(one)), JSON.stringify(one))
  for (const one of [{}, { beepStart: true }, { split: 'conversation' }, { format: 'wav' }]) t.false(isBlocking(record(one)), JSON.stringify(one))
})

test('a recording that nothing ends keeps the call up only where it is the last action', t => {
  const of = (...actions: object[]): boolean => staysUp(parseNcco(actions).actions)
  t.true(of({ action: 'wait' }, { action: 'record' }))
  t.false(of({ action: 'record' }, { action: 'wait' }))
  t.false(of({ action: 'record', timeOut: 3 }))
})

for (const [what, ncco, path, message] of [
  ['nothing', undefined, 'ncco', 'must be an array of actions'],
  ['an object', { action: 'talk' }, 'ncco', 'must be an array of actions'],
  ['an empty array', [], 'ncco', 'must have at least one action'],
  ['too many actions', Array.from({ length: MOST_ACTIONS + 1 }, () => ({ action: 'wait' })), 'ncco', 'must have at most 1000 actions'],
  ['a text for an action', ['record'], '[0]', 'must be an object'],
  ['an unknown action', [{ action: 'pay' }], '[0].action', 'must be one of record, talk, stream, input, connect, conversation, notify, wait'],
  ['an action of a prototype', [{ action: 'constructor' }], '[0].action', 'must be one of'],
  ['no action', [{}], '[0].action', 'must be one of'],
  ['talk without text', [{ action: 'talk' }], '[0].text', 'is required'],
  ['a text that is null', [{ action: 'talk', text: null }], '[0].text', 'is required'],
  ['an endpoint that is null', [{ action: 'connect', endpoint: null }], '[0].endpoint', 'is required'],
  ['a number that is null', [{ action: 'connect', endpoint: [{ type: 'phone', number: null }] }], '[0].endpoint[0].number', 'is required'],
  ['stream without its URL', [{ action: 'stream' }], '[0].streamUrl', 'is required'],
  ['input without type', [{ action: 'input' }], '[0].type', 'is required'],
  ['connect to nobody', [{ action: 'connect' }], '[0].endpoint', 'is required'],
  ['a conversation without a name', [{ action: 'conversation' }], '[0].name', 'is required'],
  ['notify without payload', [{ action: 'notify', eventUrl: hook }], '[0].payload', 'is required'],
  ['notify of nobody', [{ action: 'notify', payload: {} }], '[0].eventUrl', 'is required'],
] as const) {
  test(`${what} is refused`, t => {
    const { actions, faults } = parseNcco(ncco)
    t.deepEqual(actions, [])
    t.is(faults[0]?.path, path)
    t.true(faults[0]?.message.startsWith(message), faults[0]?.message)
  })
}

test('a key may end messages until the input that asks for it, and no further', t => {
  const of = (...actions: object[]) => parseNcco(actions).faults.map(({ path, message }) => `${path} ${message}`)
  const [talk, stream, input] = [
    { action: 'talk', text: 'Hello', bargeIn: true },
    { action: 'stream', streamUrl: hook, bargeIn: true },
    { action: 'input', type: ['dtmf'] },
  ]
  t.deepEqual(of(talk, { ...talk, bargeIn: false }, stream, input), [])
  t.deepEqual(of(input, talk, { action: 'wait' }, input), ['[1].bargeIn needs an input action after it, with nothing but talk and stream between them'])
  t.is(of(talk, stream).length, 2)
  t.deepEqual(of(talk, { ...input, type: ['fax'] }), ['[1].type must be ["dtmf"]: speech is not available'])
})

test('every fault is told at once, each with its place', t => {
  const { faults } = parseNcco([{ action: 'record', timeOut: 1, endOnKey: '##' }, { action: 'wait' }, { action: 'talk', text: '' }])
  t.deepEqual(
    faults.map(({ path }) => path),
    ['[0].timeOut', '[0].endOnKey', '[2].text'],
  )
})

test('what the switch of the call cannot do is refused before the first action', t => {
  const none = { languages: [], sentiment: false, formats: ['wav'] }
  const can: Abilities = { formats: ['wav'], plays: ['wav'], speech: false, rooms: false, transcribes: none }
  const of = (action: object, abilities = can) => parseNcco([action], abilities).faults.map(({ path, message }) => `${path} ${message}`)
  t.deepEqual(of({ action: 'record', format: 'wav' }), [])
  t.deepEqual(of({ action: 'record' }), [])
  t.regex(of({ action: 'record', format: 'mp3' })[0] ?? '', /^\[0\]\.format mp3 is not available/)
  t.regex(of({ action: 'record', format: 'ogg' })[0] ?? '', /^\[0\]\.format ogg is not available/)
  t.regex(of({ action: 'talk', text: 'Hello' })[0] ?? '', /mod_flite/)
  t.deepEqual(of({ action: 'talk', text: 'Hello' }, { ...can, speech: true }), [])
  t.regex(of({ action: 'conversation', name: 'sales' })[0] ?? '', /mod_conference/)
})

test('a transcript that nobody here can make is refused before the first action', t => {
  const abilities = (transcribes: Partial<Abilities['transcribes']>): Abilities => ({
    formats: ['wav', 'mp3', 'ogg'],
    plays: [],
    speech: false,
    rooms: false,
    transcribes: { languages: ['en', 'pt-BR'], sentiment: false, formats: ['wav'], ...transcribes },
  })
  const of = (transcription: object, can: Partial<Abilities['transcribes']> = {}, more: object = {}): string[] =>
    parseNcco([{ action: 'record', transcription, ...more }], abilities(can)).faults.map(({ path, message }) => `${path} ${message}`)
  t.deepEqual(of({}), [])
  t.deepEqual(of({ language: 'en-GB' }), [])
  t.deepEqual(of({ language: 'pt-br' }), [])
  t.deepEqual(of({}, { languages: [] }), ['[0].transcription is not available: there is no transcriber'])
  t.deepEqual(of({ language: 'de-DE' }), ['[0].transcription.language de-DE is not available: the transcriber understands en, pt-BR'])
  t.deepEqual(of({ language: 'pt-PT' }), ['[0].transcription.language pt-PT is not available: the transcriber understands en, pt-BR'])
  // Middle English begins with the same letters.
  t.deepEqual(of({ language: 'enm' }), ['[0].transcription.language enm is not available: the transcriber understands en, pt-BR'])
  t.deepEqual(of({ language: 'de-DE' }, { languages: ['*'] }), [])
  t.deepEqual(of({ sentimentAnalysis: true }), ['[0].transcription.sentimentAnalysis is not available: the transcriber tells no sentiment'])
  t.deepEqual(of({ sentimentAnalysis: true }, { sentiment: true }), [])
  t.deepEqual(of({}, {}, { format: 'mp3' }), ['[0].transcription is not available for mp3: there is no ffmpeg that reads it'])
  t.deepEqual(of({}, { formats: ['wav', 'mp3'] }, { format: 'mp3' }), [])
  t.deepEqual(of({ language: 5 }, { languages: [] }), [
    '[0].transcription.language must be a language tag (BCP 47) such as en-US',
    '[0].transcription is not available: there is no transcriber',
  ])
})
