import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import test from 'ava'
import { routes } from '../helpers/reference.ts'
import { DESCRIBED } from '../../src/api/http/described.ts'
import { isObject, type Fields } from '../../src/api/validation/fields.ts'
import { openApi } from '../../src/api/about/openapi.ts'
import { createValidator } from '../../src/api/validation/validate.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { STATUSES } from '../../src/voice/interpreter.ts'
import { FORMATS } from '../../src/voice/ncco.ts'
import { parseNcco } from '../../src/voice/parse.ts'
import { anAccount, asker, world } from '../helpers/api.ts'

const document = (): Fields => openApi(routes(), loadSchemas(10_800), { version: '1.0.0', publicUrl: 'http://127.0.0.1:8000' })

interface Operation {
  operationId: string
  summary: string
  security: Fields[]
  parameters: { name?: string; in?: string; $ref?: string }[]
  responses: Record<string, Fields>
  requestBody?: Fields
}
const operations = (doc: Fields): [string, string, Operation][] =>
  Object.entries(doc['paths'] as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  )

test('the document is one of OpenAPI 3.1, as an independent validator has it', async t => {
  const { valid, errors } = await new Validator().validate(document())
  t.true(valid, JSON.stringify(errors))
  const broken = { ...document(), paths: { x: 7 } }
  t.false((await new Validator().validate(broken)).valid)
})

test('everything a reference names is there', t => {
  const doc = document()
  const lost: string[] = []
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk)
    if (!isObject(value)) return
    const { $ref: ref } = value
    if (typeof ref === 'string') {
      const found = ref
        .slice(2)
        .split('/')
        .reduce<unknown>((part, step) => (isObject(part) ? part[step] : undefined), doc)
      if (!ref.startsWith('#/') || found === undefined) lost.push(ref)
    }
    Object.values(value).forEach(walk)
  }
  walk(doc)
  t.deepEqual(lost, [])
})

test('each route is described, says each parameter of its path, what it takes and what it answers', t => {
  const described = operations(document())
  t.is(described.length, routes().length)
  t.deepEqual(described.map(([path, method]) => `${method.toUpperCase()} ${path}`).sort(), Object.keys(DESCRIBED).sort())
  t.is(new Set(described.map(([, , { operationId }]) => operationId)).size, described.length)
  for (const [path, method, { summary, parameters, responses, requestBody }] of described) {
    const line = `${method} ${path}`
    t.regex(summary, /^[A-Z].+[^.]$/, line)
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    t.deepEqual(
      parameters.flatMap(({ name, in: where }) => (where === 'path' ? [name] : [])),
      inPath,
      line,
    )
    t.is(requestBody === undefined, method === 'get' || method === 'delete', line)
    t.true('default' in responses && Object.keys(responses).some(status => status.startsWith('2')), line)
  }
})

test('the actions of the Voice API are those of its schema, and so are the formats of a recording and whom it may call', t => {
  const listed = (name: string, property: string): string[] =>
    (loadSchemas(10_800).get(name) as { properties: Record<string, { enum: string[] }> } | undefined)?.properties[property]?.enum ?? []
  const said = (ncco: object): string =>
    parseNcco([ncco])
      .faults.map(({ message }) => message)
      .join()
  t.is(said({ action: '?' }), `must be one of ${listed('ncco', 'action').join(', ')}`)
  t.is(said({ action: 'connect', endpoint: [{ type: '?' }] }), `must be one of ${listed('calls.endpoint', 'type').join(', ')}`)
  t.deepEqual(listed('ncco', 'format'), [...FORMATS])
  t.deepEqual(listed('calls.state', 'status').sort(), ['started', 'ringing', 'answered', 'completed', 'failed', ...Object.values(STATUSES)].sort())
})

/** What each action needs, so that a value of another option decides. */
const ENOUGH: Readonly<Record<string, Fields>> = {
  record: { split: 'conversation' },
  talk: { text: 'Hello' },
  stream: { streamUrl: 'https://a.example/a.wav' },
  input: { type: ['dtmf'] },
  connect: { endpoint: [{ type: 'phone', number: '1' }] },
  conversation: { name: 'room' },
  notify: { payload: {}, eventUrl: ['https://a.example/'] },
  wait: {},
}

/** Of the Voice API, whether they are known here or not. */
const OPTIONS = `format split channels endOnSilence endOnKey timeOut beepStart eventUrl eventMethod transcription validity_time text language style
  level loop bargeIn premium voiceName streamUrl type dtmf speech mode payload endpoint from randomFromNumber timeout limit eventType machineDetection
  advancedMachineDetection ringbackTone name musicOnHoldUrl startOnEnter endOnExit record canSpeak canHear mute conversationId`.split(/\s+/)

const NUMBERS = [-1.25, -1, -0.5, 0, 0.1, 0.25, 1, 2, 3, 4, 5, 9, 10, 11, 20, 21, 32, 33, 100, 101, 120, 121, 1000, 1001, 7200, 7201, 1e8]
const WORDS = ' true # * ## x +49301 wav mp3 ogg flac conversation GET POST PUT en-US de-DE synchronous asynchronous https://a.example/'.split(' ')
const VALUES: readonly unknown[] = [
  ...NUMBERS.flatMap(one => [one, String(one), { timeOut: one }, { maxDigits: one }]),
  ...WORDS.flatMap(one => [one, [one]]),
  true,
  false,
  'a'.repeat(1500),
  'a'.repeat(1501),
  [],
  [1],
  ['dtmf'],
  ['speech'],
  ['dtmf', 'speech'],
  {},
  { submitOnHash: true },
  { language: 'zh-Hant-TW' },
  { language: 'de_DE' },
  { sentimentAnalysis: true },
  { sentimentAnalysis: 'true', eventUrl: ['https://a.example/'], eventMethod: 'GET' },
  { eventUrl: 'https://a.example/', language: 'en' },
  { x: 1 },
  [{ type: 'phone', number: '1' }],
  [{ type: 'user', id: 'a'.repeat(32) }],
  [{ type: 'sip', uri: 'sip:a@b' }],
]

test('whatever option of an action the parser takes, the schema takes, and names', t => {
  const validator = createValidator(loadSchemas(10_800))
  const taken = new Set<string>()
  const refused: string[] = []
  for (const [action, enough] of Object.entries(ENOUGH)) {
    for (const option of OPTIONS) {
      for (const value of VALUES) {
        const one = { action, ...enough, [option]: value }
        // What may break a message off has an input behind it.
        if (parseNcco([one, { action: 'input', type: ['dtmf'] }]).faults.length > 0) continue
        taken.add(option)
        if (Object.keys(validator.check('ncco', one).problems).length > 0) refused.push(JSON.stringify(one))
      }
    }
  }
  t.deepEqual(refused, [])
  const named = Object.keys(loadSchemas(10_800).get('ncco')?.['properties'] as Fields).filter(name => name !== 'action')
  t.deepEqual([...taken].sort(), named.sort())
  t.deepEqual(Object.keys(ENOUGH).sort(), (loadSchemas(10_800).get('ncco') as { properties: { action: { enum: string[] } } }).properties.action.enum.sort())
})

test('a route for applications asks for their JWT, has no envelope, and tells what each refusal means', t => {
  const doc = document()
  const theirs = operations(doc).filter(([path]) => !path.startsWith('/v2/'))
  t.deepEqual(
    theirs.map(([path, method]) => `${method} ${path}`),
    ['get /v1/files/{file}', 'get /v3/files/{file}', 'post /v1/calls', 'get /v1/calls/{call}', 'put /v1/calls/{call}'],
  )
  for (const [path, method, { security, responses, requestBody, parameters }] of theirs) {
    const line = `${method} ${path}`
    t.deepEqual(security, [{ application: [] }], line)
    t.truthy(responses['401'], line)
    const { default: _, ...told } = responses
    for (const [status, response] of Object.entries(told).filter(([status]) => Number(status) >= 400))
      t.like(response, { content: { 'application/json': { schema: { $ref: '#/components/schemas/refusal' } } } }, `${line} ${status}`)
    t.notRegex(JSON.stringify([requestBody, Object.entries(told).filter(([status]) => Number(status) < 400)]), /"data"|schemas\/success/, line)
    t.deepEqual(
      parameters.flatMap(({ $ref }) => ($ref === undefined ? [] : [$ref.replace('#/components/parameters/', '')])),
      path.includes('/files/') ? ['inline', 'range'] : [],
      line,
    )
  }
})

test('no envelope has the name of a schema', t => {
  for (const name of ['success', 'list', 'refusal']) t.false(loadSchemas(10_800).has(name))
})

test('the document is served to anybody, and what the API answers is what it says', async t => {
  const made = await world(t)
  const { url, ask, token } = made
  const response = await fetch(`${url}/v2/openapi.json`)
  t.is(response.status, 200)
  t.is(response.headers.get('content-type')?.split(';')[0], 'application/json')
  const doc = (await response.json()) as Fields
  t.is(doc['openapi'], '3.1.0')

  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ajvFormats.default(ajv)
  ajv.addSchema(doc, 'doc')
  const account = await anAccount(made)
  const at = `/v2/accounts/${account}`
  const user = await ask<{ id: string }>('PUT', `${at}/users`, { first_name: 'A', last_name: 'B' })
  const fill = (path: string): string => path.replace('{account}', account).replace('{user}', user.body.data.id).replace('{schema}', 'users')
  const readable = operations(doc).filter(([path, method]) => method === 'get' && !/\{(?!account|user|schema)/.test(path) && path !== '/v2/openapi.json')
  t.true(readable.length > 10)
  for (const [path] of readable) {
    for (const asked of [token, 'of nobody']) {
      const { status, body } = await asker(url)('GET', fill(path), undefined, { token: asked })
      const answer = `/paths/${path.replaceAll('/', '~1')}/get/responses/200/content/application~1json/schema`
      const validate = ajv.getSchema(`doc#${encodeURI(status === 200 ? answer : '/components/schemas/refusal')}`)
      t.true(validate?.(body), `${path} ${status}: ${JSON.stringify(validate?.errors)}`)
    }
  }
})
