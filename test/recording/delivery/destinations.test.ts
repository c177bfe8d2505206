import test from 'ava'
import * as fc from 'fast-check'
import { backoff, GIVE_UP_AFTER, LONGEST, LONGEST_ASKED, nextAttempt, retryAfter, SHORTEST } from '../../../src/net/backoff.ts'
import { destinationOf } from '../../../src/recording/storage.ts'
import { judge } from '../../../src/recording/delivery/to-http.ts'
import { LIMITS, sorted, takeTurns as take, type Turn } from '../../../src/recording/delivery/turns.ts'
import { type UploadFields, uploadUrl } from '../../../src/recording/delivery/upload-url.ts'

const recording: UploadFields = {
  _id: '202605-00112233445566778899aabbccddeeff',
  name: 'call_recording_abc.mp3',
  pvt_account_id: 'a'.repeat(32),
  call_id: 'abc',
  cdr_id: '202605-abc',
  interaction_id: '63946108800-1f',
  from: '1001@demo.example',
  to: '1002@demo.example',
  caller_id_name: 'Ann & Bob',
  caller_id_number: '+49 30',
  duration_ms: 5020,
  owner_id: 'b'.repeat(32),
  start: 63_946_108_800,
}
const PARAMETERS = [
  'from=1001%40demo.example&to=1002%40demo.example&caller_id_name=Ann%20%26%20Bob&caller_id_number=%2B49%2030&call_id=abc&cdr_id=202605-abc',
  `interaction_id=63946108800-1f&account_id=${'a'.repeat(32)}&duration_ms=5020&owner_id=${'b'.repeat(32)}&start=63946108800`,
  'recording_id=202605-00112233445566778899aabbccddeeff',
].join('&')

const SLASHES = '/'.repeat(1 << 20)

test('a megabyte of slashes is read as quickly as anything else', t => {
  t.is(uploadUrl(`http://r${SLASHES}x${SLASHES}`, recording), `http://r${SLASHES}x/${recording.name}?${PARAMETERS}`)
})

for (const [base, expected] of [
  ['http://r.example/rec/', 'http://r.example/rec/call_recording_abc.mp3?'],
  ['http://r.example/rec//', 'http://r.example/rec/call_recording_abc.mp3?'],
  ['http://r.example', 'http://r.example/call_recording_abc.mp3?'],
  ['http://r.example/rec?', 'http://r.example/rec/call_recording_abc.mp3?'],
  ['http://r.example/rec#part', 'http://r.example/rec/call_recording_abc.mp3?'],
  ['http://r/x?f=', 'http://r/x?f=call_recording_abc.mp3&'],
  ['http://r/x?f', 'http://r/x?f=call_recording_abc.mp3&'],
  ['http://r/x?k=1', 'http://r/x?k=1&recording=call_recording_abc.mp3&'],
  ['http://r/x/?k=1&f=', 'http://r/x/?k=1&f=call_recording_abc.mp3&'],
  ['http://r/x?k=a?b=', 'http://r/x?k=a?b=&recording=call_recording_abc.mp3&'],
] as const) {
  test(`a file for ${base} is put to ${expected}…`, t => {
    t.is(uploadUrl(base, recording), expected + PARAMETERS)
  })
}

test('what is not known is sent empty, as Kazoo does', t => {
  const { owner_id: _, ...unowned } = recording
  t.regex(uploadUrl('http://r', { ...unowned, caller_id_name: '' }), /&caller_id_name=&.*&owner_id=&start=/)
})

test('no text in a recording can add a parameter, end the query or make the URL invalid', t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const url = new URL(uploadUrl('http://r/x', { ...recording, caller_id_name: text, name: `${text}.wav` }))
      t.is([...url.searchParams].length, 12)
      t.is(url.hash, '')
      t.is(url.searchParams.get('caller_id_name'), Buffer.from(text).toString())
      t.is(url.pathname.split('/').length, 3)
    }),
  )
})

test('a destination is told without its user part and query', t => {
  t.is(destinationOf('https://al:secret@rec.example:8443/in/?key=hidden#x'), 'https://rec.example:8443/in/')
  t.is(destinationOf(undefined), 'store')
  t.is(destinationOf('::'), 'not a URL')
})

const answered = (status: number, headers: Record<string, string> = {}, bodySent = true) =>
  judge('PUT', { status, headers, bodySent, url: new URL('https://rec.example/in/a.wav?caller_id_name=Ann') }, Date.UTC(2026, 4, 16))

test('only a 2xx after the whole file is success', t => {
  for (const status of [200, 201, 202, 204]) t.deepEqual(answered(status), { is: 'stored', location: 'https://rec.example/in/a.wav' })
  t.deepEqual(answered(200, {}, false), { is: 'later', reason: 'PUT rec.example answered 200 before it had the whole file' })
})

test('what may pass is tried later, what will not is given up, whenever it was said', t => {
  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) t.is(answered(status, {}, false).is, 'later', String(status))
  for (const status of [300, 303, 304, 400, 401, 403, 404, 405, 409, 410, 411, 413, 422]) t.is(answered(status).is, 'never', String(status))
  t.deepEqual(answered(403), { is: 'never', reason: 'PUT rec.example answered 403' })
})

test('the patience that a destination asks for comes along, in seconds or as a date', t => {
  t.like(answered(503, { 'retry-after': '120' }), { is: 'later', askedMs: 120_000 })
  t.like(answered(429, { 'retry-after': 'Sat, 16 May 2026 00:10:00 GMT' }), { askedMs: 600_000 })
})

test('a Retry-After that is past, zero or no date says nothing', t => {
  const now = Date.UTC(2026, 4, 16)
  for (const header of [undefined, '', '0', '-5', '1.5', 'soon', 'Fri, 15 May 2026 00:00:00 GMT', 'x 2026']) t.is(retryAfter(header, now), undefined, header)
})

test('back-off stays between 5 s and 1 h and its ceiling doubles', t => {
  t.deepEqual(
    [1, 2, 3].map(attempts => backoff(attempts, 1)),
    [10_000, 20_000, 40_000],
  )
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2000 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, random) => {
      const wait = backoff(attempts, random)
      return wait >= SHORTEST && wait <= LONGEST
    }),
  )
})

test('a destination that asks for patience gets it, up to a day; after three days it is given up', t => {
  const facts = { attempts: 1, since: 0, now: 0, random: 0, askedMs: undefined }
  t.is(nextAttempt(facts), SHORTEST)
  t.is(nextAttempt({ ...facts, askedMs: 7_200_000 }), 7_200_000)
  t.is(nextAttempt({ ...facts, askedMs: 1 }), SHORTEST)
  t.is(nextAttempt({ ...facts, askedMs: 1e12 }), LONGEST_ASKED)
  t.is(nextAttempt({ ...facts, now: GIVE_UP_AFTER - 1 }), GIVE_UP_AFTER - 1 + SHORTEST)
  t.is(nextAttempt({ ...facts, now: GIVE_UP_AFTER }), undefined)
})

const turns = (host: string, count: number): Turn[] => Array.from({ length: count }, (_, index) => ({ id: `${host}${index}`, host }))
const hosts = (taken: readonly Turn[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { host } of taken) counts[host] = (counts[host] ?? 0) + 1
  return counts
}

const takeTurns = (waiting: readonly Turn[], running: readonly Turn[], proven: ReadonlySet<string>): readonly Turn[] =>
  take(sorted(waiting), running, proven).taken

test('one destination gets four places, and what waits behind its queue is not delayed', t => {
  const taken = takeTurns([...turns('a', 100), ...turns('b', 2), ...turns('c', 9)], [], new Set(['a', 'b', 'c']))
  t.deepEqual(hosts(taken), { a: 4, b: 2, c: 4 })
  t.deepEqual(
    taken.slice(0, 4).map(({ id }) => id),
    ['a0', 'a1', 'a2', 'a3'],
  )
})

test('a destination that has not lately taken a file gets one place', t => {
  t.deepEqual(hosts(takeTurns([...turns('new', 5), ...turns('good', 5)], [], new Set(['good']))), { new: 1, good: 4 })
})

test('destinations that take nothing never hold more than half of the places', t => {
  const dead = Array.from({ length: 50 }, (_, index) => turns(`dead${index}`, 3)).flat()
  const running = takeTurns(dead, [], new Set(['good']))
  t.is(running.length, LIMITS.unproven)
  t.is(takeTurns(turns('good', 9), running, new Set(['good'])).length, LIMITS.perHost)
})

test('the store takes no place of a tenant, and no tenant one of the store', t => {
  const tenants = ['a', 'b', 'c', 'd', 'e']
  const waiting = [...turns('store', 50), ...tenants.flatMap(host => turns(host, 50)), ...turns('store', 50)]
  t.deepEqual(hosts(takeTurns(waiting, [], new Set(tenants))), { store: LIMITS.store, a: 4, b: 4, c: 4, d: 4 })
})

test('what does not start now waits on, in its order', t => {
  const { waiting } = take(sorted([...turns('a', 6), ...turns('store', LIMITS.store + 2)]), [], new Set(['a']))
  t.deepEqual(
    [...waiting.tenants, ...waiting.store].map(({ id }) => id),
    ['a4', 'a5', `store${LIMITS.store}`, `store${LIMITS.store + 1}`],
  )
})

test('never more than the limits, and never the same turn twice', t => {
  const some = fc.array(fc.record({ id: fc.uuid(), host: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f') }), { maxLength: 60 })
  fc.assert(
    fc.property(some, fc.subarray(['a', 'b', 'c', 'd', 'e', 'f']), (waiting, good) => {
      const taken = takeTurns(waiting, [], new Set(good))
      t.true(taken.length <= LIMITS.total)
      t.true(Object.values(hosts(taken)).every(count => count <= LIMITS.perHost))
      t.is(new Set(taken).size, taken.length)
    }),
  )
})
