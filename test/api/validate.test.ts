import { Ajv2020 } from 'ajv/dist/2020.js'
import test from 'ava'
import { merge, tidy } from '../../src/api/validation/fields.ts'
import { checkFlow } from '../../src/api/validation/flow.ts'
import { rangeOf, wantsAudio } from '../../src/api/recordings/audio.ts'
import { createdRange } from '../../src/api/documents/range.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { createTurns } from '../../src/in-turn.ts'
import { createValidator } from '../../src/api/validation/validate.ts'
import { type AppError, isCode } from '../../src/errors.ts'
import { SETTINGS } from '../../src/recording/settings.ts'
import { MODULES } from '../helpers/api.ts'

const schemas = loadSchemas(10_800)
const validator = createValidator(schemas)
const problems = (schema: string, fields: Record<string, unknown>) => validator.check(schema, fields).problems
const params = (said: Record<string, unknown>) => problems('call_recording.parameters', said)

test('every schema is one of JSON Schema 2020-12, is named as its file is, and describes each of its properties', t => {
  const ajv = new Ajv2020()
  for (const [name, schema] of schemas) {
    t.is(schema['$id'], name)
    t.true(ajv.validateSchema(schema), `${name}: ${ajv.errorsText()}`)
    t.deepEqual(validator.check(name, {}).problems['']?.['schema'], undefined)
    const described = Object.entries((schema['properties'] ?? {}) as Record<string, { description?: string }>)
    t.deepEqual(
      described.filter(([, { description }]) => description === undefined || description === ''),
      [],
      name,
    )
  }
})

test('the schema of recording settings lists exactly the settings that exist', t => {
  const properties = Object.keys(schemas.get('call_recording.parameters')?.['properties'] as object)
  t.deepEqual(properties.sort(), [...SETTINGS].sort())
})

test('whoever starts a recording may say every setting that has a meaning there, under the same rules', t => {
  // Recording servers have an action of their own, and a message has one side, which knows of it and is not waited for.
  const elsewhere = ['enabled', 'siprec_server']
  const ofTalks = ['beep', 'record_on_answer', 'record_on_bridge', 'should_follow_transfer', 'stereo']
  const rules = (name: string, setting: string) => {
    const { description: _, ...rule } = ((schemas.get(name)?.['properties'] ?? {}) as Record<string, Record<string, unknown>>)[setting] ?? {}
    return rule
  }
  for (const [name, without] of [
    ['callflows.record_call', elsewhere],
    ['metaflows.record_call', elsewhere],
    ['callflows.record_caller', [...elsewhere, ...ofTalks]],
  ] as const) {
    for (const setting of SETTINGS.filter(one => !(without as readonly string[]).includes(one)))
      t.deepEqual(rules(name, setting), rules('call_recording.parameters', setting), `${name}: ${setting}`)
  }
})

test('no recording setting has a default in its schema, which would beat every weaker layer', t => {
  for (const name of ['call_recording.parameters', 'callflows.record_call']) {
    const defaults = Object.values(schemas.get(name)?.['properties'] as Record<string, object>).filter(property => 'default' in property)
    t.deepEqual(defaults, [])
  }
})

test('a time limit beyond MAX_TIME_LIMIT is refused where the operator lowered it', t => {
  const lowered = createValidator(loadSchemas(600))
  t.like(lowered.check('callflows.record_call', { action: 'start', time_limit: 601 }).problems['time_limit']?.['maximum'], { target: 600 })
  t.deepEqual(lowered.check('callflows.record_call', { action: 'start', time_limit: 600 }).problems, {})
})

test('a missing key is told at the path that ends in it, with the object that lacks it', t => {
  t.deepEqual(problems('users', { last_name: 'B' })['first_name'], {
    required: { message: 'Field is required but missing', value: { last_name: 'B', enabled: true, priv_level: 'user' } },
  })
})

test('refusals carry code, message, target and value as Crossbar words them', t => {
  t.deepEqual(problems('users', { first_name: 'A', last_name: 'B', priv_level: 'x' })['priv_level'], {
    enum: { message: 'Value not found in enumerated list of values', target: ['user', 'admin'], value: 'x' },
  })
  t.deepEqual(params({ time_limit: 2 })['time_limit'], { minimum: { message: 'Value must be at least 5', target: 5, value: 2 } })
  t.deepEqual(params({ time_limit: 20_000 })['time_limit'], { maximum: { message: 'Value must be at most 10800', target: 10_800, value: 20_000 } })
  t.deepEqual(params({ stereo: 'perhaps' })['stereo'], {
    type: { message: 'Value did not match type(s): boolean', target: 'boolean', value: 'perhaps' },
  })
  t.deepEqual(params({ url: 'javascript:x' })['url'], { error: { message: 'invalid client URL', value: 'javascript:x' } })
  t.deepEqual(params({ colour: 'red' })['colour'], {
    additionalProperties: { message: 'Strict checking of data is enabled; only include schema-defined properties', value: 'red' },
  })
  t.like(problems('accounts', { name: '' })['name'], { minLength: { target: 1 } })
  t.like(problems('accounts', { name: 'x'.repeat(129) })['name'], { maxLength: { target: 128 } })
  t.like(problems('accounts', { name: 'x', realm: 'no spaces' })['realm'], { pattern: { target: '^[A-Za-z0-9.-]+$' } })
  t.like(problems('users', { first_name: 'A', last_name: 'B', email: 'nowhere' })['email'], { wrong_format: { format: 'email' } })
  t.like(problems('callflows', { flow: { module: 'answer' }, numbers: ['1', '1'] })['numbers'], { uniqueItems: { message: 'List of items is not unique' } })
  t.like(problems('callflows', { flow: { module: 'answer' }, numbers: [7] })['numbers.0'], { type: { target: 'string', value: 7 } })
})

test('several fields and several codes of one are told at once', t => {
  t.deepEqual(Object.keys(problems('users', { email: 'x' })).sort(), ['email', 'first_name', 'last_name'])
  t.deepEqual(Object.keys(problems('users', { first_name: 'A', last_name: 'B', email: 'x' })['email'] ?? {}).sort(), ['minLength', 'wrong_format'])
})

test('only http and https URLs with a host may be a destination', t => {
  for (const url of ['http://127.0.0.1/', 'http://0x7f000001/', 'https://2130706433', 'http://[::ffff:127.0.0.1]/', 'http://127.1', 'http://localhost:8001']) {
    t.truthy(params({ url })['url'], url)
  }
  for (const url of ['http://a.example/r', 'https://u:p@a.example:8443/?f=', 'HTTP://A.example']) t.deepEqual(params({ url }), {}, url)
  for (const url of ['ftp://a.example', 'file:///etc/passwd', 'http://', 'https:///x', '//a.example', 'a.example', 'http:a', ''])
    t.truthy(params({ url })['url'], url)
})

test('strings that spell booleans and numbers become them, and numbers never become strings', t => {
  const { fields, problems } = validator.check('call_recording.parameters', { enabled: 'true', time_limit: '60', stereo: 'false' })
  t.deepEqual(problems, {})
  t.deepEqual(fields, { enabled: true, time_limit: 60, stereo: false })
  t.like(params({ time_limit: '4' })['time_limit'], { minimum: { value: 4 } })
  t.like(params({ time_limit: '60 s' })['time_limit'], { type: { value: '60 s' } })
})

test('the older flag is a boolean, spelled or not, or an object of settings that are checked', t => {
  const flag = (record_call: unknown) => validator.check('users', { first_name: 'A', last_name: 'B', record_call })
  t.is(flag('true').fields['record_call'], true)
  t.is(flag('false').fields['record_call'], false)
  t.deepEqual(flag({ format: 'wav', time_limit: '30' }).fields['record_call'], { format: 'wav', time_limit: 30 })
  t.deepEqual(Object.keys(flag({ format: 'flac' }).problems), ['record_call.format'])
  t.deepEqual(Object.keys(flag('yes').problems), ['record_call'])
  t.deepEqual(Object.keys(flag({ sepia: true }).problems), ['record_call.sepia'])
})

test('what is checked is left as it was', t => {
  const given = { first_name: 'A', last_name: 'B', record_call: 'true' }
  validator.check('users', given)
  t.deepEqual(given, { first_name: 'A', last_name: 'B', record_call: 'true' })
})

test('a thousand mistakes are told as far as anybody reads', t => {
  const numbers = Array.from({ length: 1000 }, (_, n) => n)
  t.true(Object.keys(problems('callflows', { flow: { module: 'answer' }, numbers })).length <= 100)
})

test('a flow is checked node by node, with the whole path to what is wrong', t => {
  const flow = {
    module: 'answer',
    children: {
      _: { module: 'record_call', data: { action: 'start', time_limit: 2 }, children: { 'a.b': { module: 'teleport', data: {} } } },
      '1': { module: 'record_call', data: {} },
    },
  }
  const { problems } = checkFlow(validator, MODULES, flow)
  t.like(problems['flow.children._.data.time_limit'], { minimum: { target: 5 } })
  t.like(problems['flow.children.1.data.action'], { required: { value: {} } })
  t.deepEqual(problems['flow.children._.children.a%2Eb.module'], {
    error: { message: 'unable to find callflow schema for module teleport', value: 'teleport' },
  })
})

test('a module with a schema that the executor does not have is refused all the same', t => {
  t.deepEqual(Object.keys(checkFlow(validator, ['answer'], { module: 'hangup', data: {} }).problems), ['flow.module'])
})

test('an expression is no fault where a call fills it in, and one where nobody does', t => {
  const step = { module: 'siprec_recording', data: { activity: 'start', server: 'sip:{{vars.tenant}}.example', mode: '{{vars.mode}}' } }
  t.deepEqual(checkFlow(validator, ['siprec_recording'], step).problems, {})
  t.deepEqual(Object.keys(checkFlow(validator, ['siprec_recording'], step, [], 'metaflow').problems), ['data.mode', 'data.server'])
})

test('merging removes what is null at any depth and replaces arrays whole', t => {
  const old = { call_recording: { inbound: { onnet: { enabled: true } }, any: { any: {} } }, list: [1, 2], name: 'a' }
  t.deepEqual(merge(old, { call_recording: { inbound: null }, list: [3], fresh: { x: null, y: { z: null } } }), {
    call_recording: { any: { any: {} } },
    list: [3],
    name: 'a',
    fresh: { y: {} },
  })
})

test('a body cannot set a prototype, nor be nested so deeply that walking it fails', t => {
  const evil: unknown = JSON.parse('{"a":{"__proto__":{"polluted":true}},"b":[{"__proto__":1}]}')
  t.deepEqual(tidy(evil), { value: { a: {}, b: [{}] } })
  t.deepEqual(tidy(JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`)), { refused: 'the body is nested too deeply' })
})

test('text that is no Unicode is refused in keys and values alike, for no store could keep it', t => {
  const told = { refused: 'the body holds half a character' }
  t.deepEqual(tidy({ a: ['\ud800'] }), told)
  t.deepEqual(tidy({ 'x\udfff': 1 }), told)
  const whole = { 'é😀': '\u0000😀\uffff' }
  t.deepEqual(tidy(whole), { value: whole })
})

test('the time range is a month and an hour up to now, and what is wrong with one is said at created_from', t => {
  const range = (text: string) => createdRange(new URLSearchParams(text), 63_946_108_800)
  t.deepEqual(range(''), { from: 63_946_108_800 - 2_682_000, to: 63_946_108_800 })
  const refused = (text: string) => t.throws<AppError>(() => range(text), { code: 'validation error' })
  t.deepEqual(refused('created_from=20&created_to=10').data, {
    created_from: { date_range: { message: 'created_to 10 is prior to created_from 20', cause: 20 } },
  })
  t.deepEqual(refused('created_from=0&created_to=2682001').data, {
    created_from: { date_range: { message: 'created_to 2682001 is more than 2682000 seconds from created_from 0', cause: 2_682_001 } },
  })
  for (const bad of ['abc', '-1', '1e3', '999999999999', '']) t.truthy(refused(`created_from=${bad}`), bad)
})

test('a Range is bytes from, bytes to, or the last bytes; several or senseless ones mean the whole', t => {
  t.deepEqual(rangeOf('bytes=0-9', 100), { first: 0, last: 9 })
  t.deepEqual(rangeOf('bytes=90-', 100), { first: 90, last: 99 })
  t.deepEqual(rangeOf('bytes=90-500', 100), { first: 90, last: 99 })
  t.deepEqual(rangeOf('bytes=-10', 100), { first: 90, last: 99 })
  t.deepEqual(rangeOf('bytes=-500', 100), { first: 0, last: 99 })
  for (const whole of [undefined, 'bytes=-', 'bytes=9-3', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=x-']) t.is(rangeOf(whole, 100), undefined, whole)
  for (const beyond of ['bytes=100-', 'bytes=-0']) t.throws(() => rangeOf(beyond, 100), { code: 'range_not_satisfiable' }, beyond)
})

test('a client gets sound when it wants that more than JSON, and neither when it wants neither', t => {
  for (const json of ['*/*', 'application/json', 'text/html, */*;q=0.1', 'audio/mpeg;q=0.5, application/json']) t.false(wantsAudio(json), json)
  for (const audio of ['audio/mpeg', 'audio/mp3', 'audio/x-wav', 'audio/wav', 'audio/*', 'audio/mpeg, */*;q=0.5']) t.true(wantsAudio(audio), audio)
  const error = t.throws(() => wantsAudio('image/png'))
  t.true(isCode(error, 'not_acceptable'))
})

test('work of one key is done in turn, also after some of it failed; other keys do not wait', async t => {
  const inTurn = createTurns()
  const done: string[] = []
  let release: () => void = () => {}
  const held = new Promise<void>(resolve => (release = resolve))
  const first = inTurn('a', async () => {
    await held
    done.push('first')
    throw new Error('no')
  })
  const second = inTurn('a', async () => void done.push('second'))
  await inTurn('b', async () => void done.push('other'))
  release()
  await t.throwsAsync(first, { message: 'no' })
  await second
  t.deepEqual(done, ['other', 'first', 'second'])
})

test('every setting that is a URL says so in its schema, so that it is judged', t => {
  const unjudged: string[] = []
  const walk = (name: string, schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return
    for (const [key, value] of Object.entries(schema)) {
      const isUrl = /(^|_)(url|uri)$/.test(key) && typeof value === 'object' && value !== null && 'type' in value
      const isSip = isUrl && 'pattern' in value && String(value.pattern).startsWith('^sip:')
      if (isUrl && !isSip && !('x-http-url' in value)) unjudged.push(`${name}: ${key}`)
      walk(name, value)
    }
  }
  for (const [name, schema] of schemas) walk(name, schema)
  t.deepEqual(unjudged, [])
})
