// The adapter for CouchDB against servers that misbehave: whatever they do, it settles, in time and with the right code.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { type ErrorCode, isCode } from '../../src/errors.ts'
import { couchStore } from '../../src/store/couch.ts'
import type { Store } from '../../src/store/store.ts'
import { PATIENCE } from '../helpers/wait.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

interface Fake {
  store: Store
  url: string
  requests: string[]
  /** Most sockets that were open at once. */
  sockets: () => number
  restart: () => Promise<void>
}

const DEADLINE = 400
const STALLED = 600

/** A server that answers as the test says, and a store that takes it for CouchDB. */
async function fake(t: ExecutionContext, answer: Answer, deadline = 5000): Promise<Fake> {
  const open = new Set<Socket>()
  const requests: string[] = []
  let most = 0
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  server.on('connection', socket => {
    open.add(socket)
    most = Math.max(most, open.size)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
  })
  const listen = (port: number): Promise<void> => new Promise(resolve => server.listen(port, '127.0.0.1', resolve))
  const close = (): Promise<void> =>
    new Promise(resolve => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
  await listen(0)
  const { port } = server.address() as AddressInfo
  const url = `http://user:s3cret@127.0.0.1:${port}`
  const store = await couchStore({ url, times: { deadline, stalled: STALLED } })
  t.teardown(async () => {
    await store.close()
    if (server.listening) await close()
  })
  return {
    store,
    url,
    requests,
    sockets: () => most,
    restart: async () => {
      await close()
      await listen(port)
    },
  }
}

const json =
  (value: unknown, status = 200): Answer =>
  (request, response) => {
    request.resume().once('end', () => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value)))
  }

/** Headers and the beginning of a body, then the socket is gone. */
const cut =
  (type: string): Answer =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': type, 'content-length': 1000 })
    response.write('{"_id":"a","_rev":"1-')
    setImmediate(() => response.destroy())
  }

const chunkedCut: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.write('{"_id":"a","_rev":"1-')
  setImmediate(() => response.destroy())
}

const silent: Answer = () => {}
const silentAfterHeaders: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 }).write('{"_id":')
}
const text =
  (body: string, status: number, type = 'text/html'): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(body)
  }
const reset: Answer = request => {
  request.socket.resetAndDestroy()
}

async function refused(t: ExecutionContext, code: ErrorCode, work: () => Promise<unknown>): Promise<Error> {
  const began = performance.now()
  const error = await t.throwsAsync(work)
  t.true(isCode(error, code), `${code} expected, got ${inspect(error)}`)
  t.true(performance.now() - began < 5000, 'took too long')
  t.notRegex(inspect(error, { depth: 10 }), /s3cret|dXNlcj/, 'credentials shown')
  return error
}

const REV = `1-${'0'.repeat(32)}`

/** Everything that asks once and expects JSON. */
const asks: Record<string, (store: Store) => Promise<unknown>> = {
  get: store => store.get('accounts', 'a'),
  getMany: store => store.getMany('accounts', ['a']),
  put: store => store.put('accounts', { _id: 'a' }),
  remove: store => store.remove('accounts', 'a', REV),
  purge: store => store.purge('accounts', 'a'),
  query: store => store.query('accounts', 'accounts/listing_by_name'),
  reduce: store => store.reduce('accounts', 'accounts/listing_by_name'),
  databases: store => store.databases(),
  createDatabase: store => store.createDatabase('accounts', 'accounts'),
  deleteDatabase: store => store.deleteDatabase('accounts'),
  ping: store => store.ping(),
}

const faults: [string, Answer, ErrorCode][] = [
  ['breaks off in the middle of JSON', cut('application/json'), 'datastore_unreachable'],
  ['breaks off in the middle of chunked JSON', chunkedCut, 'datastore_unreachable'],
  ['breaks off in the middle of text', cut('text/plain'), 'datastore_unreachable'],
  ['resets the connection', reset, 'datastore_unreachable'],
  ['answers with a page of HTML', text('<html>welcome to nginx</html>', 200), 'datastore_fault'],
  ['answers with broken JSON', text('{"_id":', 200, 'application/json'), 'datastore_fault'],
  ['fails with a page of HTML', text('<html>bad gateway</html>', 502), 'datastore_fault'],
  ['fails with an error of CouchDB', json({ error: 'case_clause', reason: 'badmatch' }, 500), 'datastore_fault'],
  ['refuses user or password', json({ error: 'unauthorized', reason: 'Name or password is incorrect.' }, 401), 'datastore_fault'],
  ['sends elsewhere', (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'datastore_unreachable'],
]
for (const [fault, answer, code] of faults) {
  test(`a server that ${fault} makes every call reject with ${code}`, async t => {
    const { store } = await fake(t, answer)
    for (const ask of Object.values(asks)) await refused(t, code, () => ask(store))
  })
}

for (const [fault, answer] of [
  ['never answers', silent],
  ['stops after the headers', silentAfterHeaders],
] as const) {
  test(`a server that ${fault} makes every call reject at its deadline`, async t => {
    const { store } = await fake(t, answer, DEADLINE)
    const began = performance.now()
    const errors = await Promise.all(Object.values(asks).map(ask => refused(t, 'datastore_unreachable', () => ask(store))))
    t.true(errors.every(error => error.message.includes('did not answer in time')))
    // Views have four deadlines.
    t.true(performance.now() - began < 4 * DEADLINE + 1500)
  })
}

test('a server that is not there is named, with what to look at', async t => {
  const store = await couchStore({ url: 'http://user:s3cret@127.0.0.1:9', times: { deadline: DEADLINE } })
  t.teardown(() => store.close())
  const error = await refused(t, 'datastore_unreachable', () => store.ping())
  t.regex(error.message, /127\.0\.0\.1:9 .*COUCHDB_URL/)
})

test('a URL that is none is a wrong configuration, told without its password', async t => {
  for (const url of ['nonsense', 'ftp://user:s3cret@host', 'user:s3cret@host:5984']) {
    await refused(t, 'bad_configuration', () => couchStore({ url }))
  }
})

test('user and password reach the server, also when they hold signs a URL has to escape', async t => {
  let seen: string | undefined
  const { url } = await fake(t, (request, response) => {
    seen = request.headers.authorization
    json({ status: 'ok' })(request, response)
  })
  const store = await couchStore({ url: url.replace('user:s3cret', 'us%40r:p%3A%2F%C3%BC') })
  t.teardown(() => store.close())
  await store.ping()
  t.is(seen, `Basic ${Buffer.from('us@r:p:/ü').toString('base64')}`)
})

test('a read is tried again when the connection broke, a write is not', async t => {
  let breaks = 2
  const { store, requests } = await fake(t, (request, response) => {
    breaks -= 1
    return breaks >= 0 ? request.socket.resetAndDestroy() : json({ _id: 'a', _rev: REV, ok: true, rev: REV })(request, response)
  })
  t.deepEqual(await store.get('accounts', 'a'), { _id: 'a', _rev: REV, ok: true, rev: REV } as never)
  t.is(requests.length, 3)
  breaks = 1
  await refused(t, 'datastore_unreachable', () => store.put('accounts', { _id: 'a' }))
  t.is(requests.length, 4)
})

test('a server that restarted between two requests is found again', async t => {
  const { store, restart } = await fake(t, json({ _id: 'a', _rev: REV, rev: REV }))
  t.truthy(await store.get('accounts', 'a'))
  await restart()
  t.truthy(await store.get('accounts', 'a'))
  await restart()
  t.is(await store.put('accounts', { _id: 'a' }), REV)
})

test('a hundred callers share sixteen sockets, and all are answered', async t => {
  const { store, sockets } = await fake(t, (request, response) => void setTimeout(() => json({ _id: 'a', _rev: REV })(request, response), 10))
  const docs = await Promise.all(Array.from({ length: 100 }, () => store.get('accounts', 'a')))
  t.true(docs.every(doc => doc?._id === 'a'))
  t.true(sockets() <= 16, `${sockets()} sockets`)
})

test('an answer too long to hold is refused', async t => {
  const chunk = Buffer.alloc(1 << 20, 0x20)
  const { store } = await fake(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    Readable.from(Array.from({ length: 70 }, () => chunk)).pipe(response)
  })
  const error = await t.throwsAsync(() => store.query('accounts', 'accounts/listing_by_name'))
  t.true(isCode(error, 'datastore_fault'), inspect(error))
})

test('an attachment that breaks off fails in its reader’s hands, with the neighbour’s name', async t => {
  for (const end of [(response: ServerResponse) => response.destroy(), (response: ServerResponse) => response.socket?.resetAndDestroy()]) {
    const { store } = await fake(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'audio/x-wav', 'content-length': 1_000_000 })
      response.write(Buffer.alloc(100_000), () => setTimeout(() => end(response), 20))
    })
    const found = await store.getAttachment('accounts', 'a', 'x.wav')
    t.is(found?.length, 1_000_000)
    const error = await refused(t, 'datastore_unreachable', () => buffer(found?.body ?? Readable.from([])))
    t.regex(error.message, /127\.0\.0\.1/)
  }
})

test('an attachment that stands still fails in its reader’s hands', async t => {
  const { store } = await fake(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/x-wav', 'content-length': 1000 }).write('abc')
  })
  const found = await store.getAttachment('accounts', 'a', 'x.wav')
  await refused(t, 'datastore_unreachable', () => buffer(found?.body ?? Readable.from([])))
})

test('an attachment nobody reads lets go of its connection when it is destroyed', async t => {
  const closed = new AbortController()
  const { store } = await fake(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/x-wav', 'content-length': 1_000_000_000 }).write(Buffer.alloc(100_000))
    response.on('close', () => closed.abort())
  })
  const found = await store.getAttachment('accounts', 'a', 'x.wav')
  found?.body.destroy()
  for (let tries = 0; !closed.signal.aborted && tries < 200; tries++) await delay(10)
  t.true(closed.signal.aborted)
})

for (const [fault, answer, code] of [
  ['never answers', silent, 'datastore_unreachable'],
  ['resets the connection', reset, 'datastore_unreachable'],
  ['fails', text('<html>', 500), 'datastore_fault'],
  ['has no such database', json({ error: 'not_found', reason: 'Database does not exist.' }, 404), 'datastore_missing'],
] as const) {
  test(`attachments of a server that ${fault} reject with ${code}, both ways`, async t => {
    const { store } = await fake(t, answer, DEADLINE)
    await refused(t, code, () => store.getAttachment('accounts', 'a', 'x.wav'))
    const stream = Readable.from([Buffer.alloc(100_000)])
    await refused(t, code, () => store.putAttachment('accounts', 'a', REV, 'x.wav', { stream, length: 100_000, contentType: 'audio/x-wav' }))
    t.true(stream.destroyed)
  })
}

test('an upload whose server stops reading is given up', async t => {
  const { store } = await fake(t, request => {
    request.pause()
  })
  const stream = Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(1 << 20)))
  const put = (): Promise<unknown> => store.putAttachment('accounts', 'a', REV, 'x.wav', { stream, length: 64 << 20, contentType: 'audio/x-wav' })
  await refused(t, 'datastore_unreachable', put)
  t.true(stream.destroyed)
})

test('an upload whose source stands still is given up', async t => {
  const { store } = await fake(t, json({ rev: REV }))
  const stream = new Readable({ read() {} })
  stream.push('abc')
  await refused(t, 'length_mismatch', () => store.putAttachment('accounts', 'a', REV, 'x.wav', { stream, length: 100, contentType: 'audio/x-wav' }))
})

test('a design document that another engine installs at the same moment is no conflict', async t => {
  let conflicts = 2
  const { store, requests } = await fake(t, (request, response) => {
    if (request.method === 'GET') return json({ error: 'not_found', reason: 'missing' }, 404)(request, response)
    if (!request.url?.includes('_design')) return json({ error: 'file_exists', reason: 'exists' }, 412)(request, response)
    conflicts -= 1
    return conflicts >= 0
      ? json({ error: 'conflict', reason: 'Document update conflict.' }, 409)(request, response)
      : json({ ok: true }, 201)(request, response)
  })
  t.false(await store.createDatabase('token_auth', 'token_auth'))
  t.is(requests.filter(one => one.startsWith('PUT /token_auth/_design/tokens')).length, 3)
  conflicts = Number.POSITIVE_INFINITY
  await refused(t, 'datastore_fault', () => store.createDatabase('token_auth', 'token_auth'))
})

test('a database that a busy server gave up making is asked for again', async t => {
  const answers = [json({ error: 'timeout', reason: 'The request could not be processed in a reasonable amount of time.' }, 500), json({ ok: true }, 201)]
  const { store, requests } = await fake(t, (request, response) => (answers.shift() ?? json({ ok: true }, 201))(request, response))
  t.true(await store.createDatabase('system_config', 'system_config'))
  t.deepEqual(requests, ['PUT /system_config', 'PUT /system_config'])
})

test('a feed goes on where it was after the server broke off, failed and came back', async t => {
  const answers: Answer[] = [
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"seq":"1-x","id":"a","changes":[]}\n\n{"seq":"2-x","id":"_design/d","changes":[]}\n{"seq":"3-x","id":"half')
      setTimeout(() => response.destroy(), 20)
    },
    reset,
    text('<html>', 503),
    (_request, response) => void response.writeHead(200).write('{"seq":"4-x","id":"b","changes":[],"deleted":true}\n'),
  ]
  const { store, requests } = await fake(t, (request, response) => (answers.shift() ?? silent)(request, response))
  const seen: string[] = []
  for await (const { id, deleted } of store.changes('accounts', { since: '0', signal: AbortSignal.timeout(PATIENCE) })) {
    seen.push(`${id} ${deleted}`)
    if (id === 'b') break
  }
  t.deepEqual(seen, ['a false', 'b true'])
  t.deepEqual(
    requests.map(one => new URLSearchParams(one.split('?')[1]).get('since')),
    ['0', '2-x', '2-x', '2-x'],
  )
})

test('a feed that falls silent is opened again', async t => {
  let opened = 0
  const { store } = await fake(t, (_request, response) => {
    opened += 1
    response.writeHead(200).write(opened === 1 ? '\n' : '{"seq":"1-x","id":"a","changes":[]}\n')
  })
  for await (const { id } of store.changes('accounts', { since: '0', signal: AbortSignal.timeout(PATIENCE) })) {
    t.is(id, 'a')
    break
  }
  t.is(opened, 2)
})

test('a feed without a beginning asks where the end is before it waits', async t => {
  const { store, requests } = await fake(t, (request, response) => {
    if (request.url?.includes('since=now')) return void response.end('{"last_seq":"7-x","pending":0}\n')
    return void response.writeHead(200).write('{"seq":"8-x","id":"a","changes":[]}\n')
  })
  for await (const { seq } of store.changes('accounts', { signal: AbortSignal.timeout(PATIENCE) })) {
    t.is(seq, '8-x')
    break
  }
  t.true(requests[1]?.includes('since=7-x'))
})

const WRONG = json({ error: 'unauthorized', reason: 'Name or password is incorrect.' }, 401)

test('a wrong password is sent once, for CouchDB would lock out whoever has the right one at the same address', async t => {
  const { store, requests } = await fake(t, WRONG)
  const errors = await Promise.all(Object.values(asks).map(ask => refused(t, 'datastore_fault', () => ask(store))))
  t.true(errors.every(({ message }) => message.includes('refused user or password')))
  await refused(t, 'datastore_fault', () => store.getAttachment('accounts', 'a', 'x.wav'))
  t.is(requests.length, 1)
})

test('a password that was wrong is tried again after a while, and what else is refused at once', async t => {
  const mended = await fake(t, WRONG)
  const store = await couchStore({ url: mended.url, times: { refused: 0 } })
  t.teardown(() => store.close())
  await refused(t, 'datastore_fault', () => store.ping())
  await Promise.all([1, 2].map(() => refused(t, 'datastore_fault', () => store.ping())))
  t.is(mended.requests.length, 3)
  const closed = await fake(t, json({ error: 'unauthorized', reason: 'You are not authorized to access this db.' }, 401))
  await refused(t, 'datastore_fault', () => closed.store.get('accounts', 'a'))
  await refused(t, 'datastore_fault', () => closed.store.get('accounts', 'a'))
  t.is(closed.requests.length, 2)
})

test('a user that CouchDB has locked is told apart from a wrong password', async t => {
  const { store } = await fake(t, json({ error: 'forbidden', reason: 'Account is temporarily locked due to multiple authentication failures' }, 403))
  const { message } = await refused(t, 'datastore_fault', () => store.ping())
  t.regex(message, /locked the user .*wrong COUCHDB_URL/)
})

test('a feed that is refused ends with the reason', async t => {
  const { store } = await fake(t, json({ error: 'unauthorized', reason: 'You are not authorized to access this db.' }, 401))
  await refused(t, 'datastore_fault', async () => {
    for await (const change of store.changes('accounts', { since: '0', signal: AbortSignal.timeout(PATIENCE) })) t.log(change)
  })
})

test('closing the store ends what waits', async t => {
  const { store } = await fake(t, silent)
  const waiting = refused(t, 'datastore_unreachable', () => store.put('accounts', { _id: 'a' }))
  const attachment = refused(t, 'datastore_unreachable', () => store.getAttachment('accounts', 'a', 'x.wav'))
  const feed = store.changes('accounts', { since: '0', signal: AbortSignal.timeout(PATIENCE) })[Symbol.asyncIterator]()
  const next = feed.next()
  await delay(20)
  await store.close()
  await Promise.all([waiting, attachment])
  t.true((await next).done)
})
