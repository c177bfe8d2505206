// Every map function of couchdb/views, as CouchDB would take it and on documents as they are stored.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import vm from 'node:vm'
import test from 'ava'
import { compileMap, designsFor, loadDesigns } from '../../src/store/design.ts'
import { CLASSIFICATIONS } from '../../src/store/store.ts'

const designs = await loadDesigns()
const views = designs.flatMap(design => Object.entries(design.views).map(([view, { map, reduce }]) => ({ name: `${design.name}/${view}`, map, reduce })))
const mapOf = (name: string) => compileMap(views.find(view => view.name === name)?.map ?? '')

/** A text with its strings, regular expressions and comments taken out, so that only code is judged. */
const codeOf = (text: string): string => text.replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\/\/.*$|\/(?:[^/\\\n[]|\\.|\[[^\]]*\])+\/[a-z]*/gm, '0')

/** What CouchDB 3's SpiderMonkey (parsed as ES2017) refuses, or takes and silently emits nothing for. */
const FORBIDDEN: [string, RegExp][] = [
  ['optional chaining', /\?\./],
  ['nullish coalescing', /\?\?/],
  ['spread', /\.\.\./],
  ['async', /\basync\b|\bawait\b/],
  ['a generator', /function\s*\*/],
  ['an optional catch binding', /catch\s*\{/],
  ['a newer method', /\.(at|flat|flatMap|fromEntries|matchAll|replaceAll|hasOwn|findLast|toSorted)\(/],
  ['a big integer or a numeric separator', /\b\d[\d_]*(n\b|_\d)/],
  ['the module around it or a module of its own', /\b(import|require|globalThis|process)\b|\b(module|exports)\./],
]

test('there are views for what callrec looks up', t => t.true(views.length > 15))

for (const { name, map } of views) {
  test(`${name} is an anonymous function in ES2017 that stands alone`, t => {
    t.regex(map, /^function \(doc\) \{/)
    for (const [what, pattern] of FORBIDDEN) t.notRegex(codeOf(map), pattern, what)
    // A bare context has the language and nothing else; `emit` and `doc` must be all it needs.
    const context = vm.createContext({})
    const names = vm.runInContext('Object.getOwnPropertyNames(globalThis)', context) as string[]
    t.false(names.includes('emit'))
    const rows = vm.runInContext(`const rows = []; const emit = (key, value) => rows.push([key, value]); (${map})({ _id: 'x' }); rows`, context) as unknown[]
    t.is(rows.length, 0, 'a document of no kind has rows')
  })

  test(`${name} changes no document and skips what was deleted`, t => {
    for (const doc of samples) {
      const frozen = freeze(doc)
      t.notThrows(() => vm.runInContext(`"use strict"; (${map})`, vm.createContext({ emit: () => {} }))(frozen), JSON.stringify(doc))
      t.deepEqual(compileMap(map)({ ...doc, pvt_deleted: true }), [])
      const emitted = compileMap(map)(doc)
      const elsewhere = compileMap(map)({ ...doc, pvt_type: 'something else' })
      if ('pvt_type' in doc) t.deepEqual(elsewhere, [])
      else t.deepEqual(elsewhere, emitted)
    }
  })
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) freeze(part)
  return Object.freeze(value)
}

const id = '0123456789abcdef0123456789abcdef'
const account = {
  _id: id,
  pvt_type: 'account',
  name: 'Pizza & Co',
  realm: 'Pizza.Example.com',
  pvt_alphanum_name: 'pizzaco',
  pvt_tree: ['a1', 'a2'],
  pvt_api_key_digest: 'd1',
}
const user = { _id: id, pvt_type: 'user', first_name: 'Ada', last_name: 'Müller', username: 'Ada', pvt_auth_hints: ['h1', 'h2'], record_call: true }
const device = { _id: id, pvt_type: 'device', name: 'desk', owner_id: 'u1', sip: { username: 'User_A', password: 's3cret' }, enabled: false }
const callflow = {
  _id: id,
  pvt_type: 'callflow',
  numbers: ['1001', '+14155550100'],
  patterns: ['^2(\\d+)$'],
  flow: {
    module: 'answer',
    data: {},
    children: {
      _: { module: 'record_call', data: {}, children: { _: { module: 'play', data: { skip_module: true }, children: { _: { module: 'answer' } } } } },
    },
  },
}
const recording = {
  _id: `202611-${id}`,
  pvt_type: 'call_recording',
  pvt_created: 63_900_000_000,
  call_id: 'c1',
  owner_id: 'u1',
  endpoint_id: 'd1',
  name: 'a.wav',
  custom_channel_vars: { secret: 1 },
}
const inFlight = {
  _id: `202611-${id}`,
  node: 'fs1',
  state: 'stopped',
  leg: 'c1',
  account_id: 'acc',
  delivery: { state: 'due', next_at: 17, destination: 'https://Files.Example.com:8443/in/a.wav' },
}
const token = { _id: id, account_id: 'acc', expires_at: 12 }
const bare = ['account', 'user', 'device', 'callflow', 'call_recording'].map(pvt_type => ({ _id: id, pvt_type }))
const samples: object[] = [account, user, device, callflow, recording, inFlight, token, ...bare]

test('an account is found by name, realm and key, and below each of its ancestors', t => {
  const value = { id, name: 'Pizza & Co', realm: 'Pizza.Example.com' }
  t.deepEqual(mapOf('accounts/listing_by_name')(account), [{ key: 'pizzaco', value }])
  t.deepEqual(mapOf('accounts/listing_by_realm')(account), [{ key: 'pizza.example.com', value }])
  t.deepEqual(mapOf('accounts/listing_by_api_key')(account), [{ key: 'd1', value }])
  t.deepEqual(mapOf('accounts/listing_by_descendants')(account), [
    { key: ['a1', 'Pizza & Co'], value: { ...value, flags: [] } },
    { key: ['a2', 'Pizza & Co'], value: { ...value, flags: [] } },
  ])
})

test('a user is listed by family name, found by name in small letters and by every hint', t => {
  const [row] = mapOf('users/crossbar_listing')(user)
  t.deepEqual(row?.key, ['Müller', 'Ada'])
  t.like(row?.value, { id, username: 'Ada', features: ['record_call'], flags: [] })
  t.is(mapOf('users/listing_by_username')(user)[0]?.key, 'ada')
  t.deepEqual(
    mapOf('users/listing_by_hint')(user).map(row => row.key),
    ['h1', 'h2'],
  )
})

test('a device is listed without its password, by its owner and by the name it registers with', t => {
  const [row] = mapOf('devices/crossbar_listing')(device)
  t.like(row?.value, { id, name: 'desk', username: 'User_A', owner_id: 'u1', enabled: false })
  t.notRegex(JSON.stringify(row), /s3cret/)
  t.deepEqual(mapOf('devices/listing_by_owner')(device), [{ ...row, key: 'u1' }])
  t.is(mapOf('devices/listing_by_username')(device)[0]?.key, 'user_a')
  t.like(mapOf('devices/crossbar_listing')({ _id: id, pvt_type: 'device' })[0]?.value, { enabled: true })
})

test('a callflow is listed with the modules that run in it, and found by each number and pattern', t => {
  const [row] = mapOf('callflows/crossbar_listing')(callflow)
  t.like(row?.value, { id, numbers: ['1001', '+14155550100'], modules: ['answer', 'record_call'], featurecode: false })
  t.deepEqual(
    mapOf('callflows/listing_by_number')(callflow).map(row => row.key),
    ['1001', '+14155550100'],
  )
  t.deepEqual(
    mapOf('callflows/listing_by_pattern')(callflow).map(row => row.key),
    ['^2(\\d+)$'],
  )
})

test('a recording is listed for all, its user, its device and its call', t => {
  const listed = ['crossbar_listing', 'listing_by_user', 'listing_by_device', 'listing_by_call'].map(view => mapOf(`recordings/${view}`)(recording)[0])
  t.deepEqual(
    listed.map(row => row?.key),
    [
      [63_900_000_000, recording._id],
      ['u1', 63_900_000_000, recording._id],
      ['d1', 63_900_000_000, recording._id],
      ['c1', 63_900_000_000],
    ],
  )
  t.deepEqual(mapOf('recordings/listing_by_user')({ ...recording, owner_id: undefined }), [])
})

test('what is in flight is found by its switch, and while it waits for delivery by when and where to', t => {
  t.deepEqual(mapOf('in_flight/by_node')(inFlight), [{ key: ['fs1', 'stopped'], value: { account_id: 'acc', leg: 'c1' } }])
  t.deepEqual(mapOf('in_flight/due')(inFlight), [{ key: 17, value: { node: 'fs1', host: 'files.example.com:8443' } }])
  t.deepEqual(mapOf('in_flight/due')({ ...inFlight, delivery: { ...inFlight.delivery, state: 'uploading', destination: 'store' } })[0]?.value, {
    node: 'fs1',
    host: 'store',
  })
  t.deepEqual(mapOf('in_flight/due')({ ...inFlight, delivery: { ...inFlight.delivery, state: 'failed' } }), [])
})

test('a token is found by when it ends', t => t.deepEqual(mapOf('tokens/by_expiry')(token), [{ key: 12, value: { account_id: 'acc' } }]))

test('every design belongs to a kind of database that exists', t => {
  for (const design of designs) t.true(design.classifications.every(one => CLASSIFICATIONS.includes(one)))
  t.deepEqual(
    designsFor(designs, 'account').map(design => design.name),
    ['applications', 'callflows', 'devices', 'groups', 'menus', 'resources', 'temporal_rules', 'users', 'webhooks'],
  )
})

test('another folder’s designs are read the same way', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'callrec-views-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(
    join(folder, 'mine.js'),
    "export default { classifications: ['numbers'], views: { all: { map: function (doc) { emit(doc._id) }, reduce: '_count' } } }",
  )
  t.deepEqual(await loadDesigns(folder), [
    { name: 'mine', classifications: ['numbers'], views: { all: { map: 'function (doc) { emit(doc._id) }', reduce: '_count' } } },
  ])
})
