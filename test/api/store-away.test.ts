// The API while the store is away: every route, with a token that is known and with one that is not.

import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { world } from '../helpers/api.ts'
import { placeIn } from '../helpers/place.ts'

/** Answered from what the process itself knows, or refused before the store is asked. */
const mayAnswer = (status: number): boolean => status < 500

test('while the store is away every route that needs it says 503 and when to come back', async t => {
  const made = await world(t)
  const place = await placeIn(made)
  const { token } = await place.as('admin')
  // It is known from here on, so that requests get as far as their routes.
  t.is((await made.ask('GET', `${place.at}/users`, undefined, { token })).status, 200)
  const methods = Object.entries(made.store).filter(([, value]) => typeof value === 'function')
  for (const [name] of methods) {
    if (name === 'close') continue
    Object.assign(made.store, { [name]: () => Promise.reject(new AppError('datastore_unreachable', 'CouchDB at couch:5984 did not answer')) })
  }
  const wrong: string[] = []
  let away = 0
  for (const { method, path, access } of made.routes) {
    const named = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(place.ids[name] ?? 'x'))
    for (const who of access === 'application' ? [place.jwt('admin'), place.jwt('foreign')] : [token, 'f'.repeat(43)]) {
      const body = method === 'GET' || method === 'DELETE' ? undefined : {}
      const asking = access === 'application' ? { token: undefined, headers: { authorization: `Bearer ${who}` } } : { token: who }
      const { status, headers } = await made.ask(method, named, body, asking)
      if (status === 503 && headers.get('retry-after') === '5') away += 1
      else if (!mayAnswer(status)) wrong.push(`${method} ${path}: ${status} ${headers.get('retry-after')}`)
    }
  }
  t.deepEqual(wrong, [])
  t.true(away > made.routes.length, `${away} of ${2 * made.routes.length}`)
  const { status } = await made.ask('PUT', '/v2/api_auth', { api_key: 'a'.repeat(64) })
  t.is(status, 503, 'and nobody is told that his key is wrong')
})
