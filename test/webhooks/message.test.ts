import test from 'ava'
import { createEvents, type RecordingEvent } from '../../src/events.ts'
import type { Webhook } from '../../src/webhooks/document.ts'
import { messageOf, signature } from '../../src/webhooks/message.ts'
import { again, failing, judge, LONGEST_FAILING, MOST_REFUSED, whyDisabled } from '../../src/webhooks/verdict.ts'
import { notedLog } from '../helpers/log.ts'

const NOW = Date.UTC(2026, 4, 16)
const EVENT: RecordingEvent = { event: 'recording.stored', accountId: 'a', recordingId: '202605-c', at: NOW, recording: { state: 'stopped' } }
const hook = (fields: Partial<Webhook>): Webhook => ({
  _id: 'w',
  pvt_type: 'webhook',
  pvt_account_id: 'a',
  name: 'crm',
  hook: 'all',
  uri: 'https://crm.example/?who=us',
  secret: 'a secret of sixteen',
  ...fields,
})
const message = (fields: Partial<Webhook>) => messageOf(hook(fields), { _id: 'e1', event: EVENT }, NOW)

test('a GET carries the fields in its query and signs that', t => {
  const { method, url, headers, body } = message({ http_verb: 'get' })
  const query = new URL(url).search.slice(1)
  t.is(method, 'GET')
  t.is(body, undefined)
  t.true(query.startsWith('who=us&id=e1&event=recording.stored'))
  t.is(headers['x-callrec-signature'], signature('a secret of sixteen', NOW / 1000, query.slice('who=us&'.length)))
})

test('a form has JSON where a field is no text', t => {
  const { headers, body } = message({ format: 'form-data', http_verb: 'put' })
  t.is(headers['content-type'], 'application/x-www-form-urlencoded')
  t.is(new URLSearchParams(body?.toString()).get('recording'), '{"state":"stopped"}')
})

test('an older message has another signature, so it cannot be sent again as new', t => {
  t.not(signature('k', 1, 'x'), signature('k', 2, 'x'))
  t.not(signature('k', 1, 'x'), signature('l', 1, 'x'))
})

test('what may pass is tried again, what is refused is not', t => {
  const is = (status: number) => judge({ status, headers: {} }, NOW).is
  t.deepEqual([200, 204, 301, 400, 404, 408, 425, 429, 500, 503].map(is), [
    'told',
    'told',
    'refused',
    'refused',
    'refused',
    'later',
    'later',
    'later',
    'later',
    'later',
  ])
  t.like(judge({ status: 503, headers: { 'retry-after': '7' } }, NOW), { askedMs: 7000 })
})

test('without retries an event has 72 hours', t => {
  const facts = { now: NOW, random: 0, askedMs: undefined }
  t.is(again({}, { attempts: 50, since: NOW - 71 * 3_600_000 }, facts), NOW + 5000)
  t.is(again({}, { attempts: 1, since: NOW - 72 * 3_600_000 }, facts), undefined)
  t.is(again({ retries: 0 }, { attempts: 1, since: NOW }, facts), undefined)
})

test('failures add up until a webhook is switched off', t => {
  const refused = failing({ since: 5, refused: 2 }, { is: 'refused', reason: 'answered 400' }, NOW)
  t.deepEqual(refused, { since: 5, refused: 3 })
  t.deepEqual(failing(undefined, { is: 'later', reason: 'x' }, NOW), { since: NOW, refused: 0 })
  t.is(whyDisabled({ since: NOW, refused: MOST_REFUSED - 1 }, 'x', NOW), undefined)
  t.regex(whyDisabled({ since: NOW, refused: MOST_REFUSED }, 'x', NOW) ?? '', /in a row/)
  t.regex(whyDisabled({ since: NOW - LONGEST_FAILING, refused: 0 }, 'x', NOW) ?? '', /nothing got through/)
})

test('a listener that fails is a line in the log, and the others hear the event', async t => {
  const { log, lines } = notedLog()
  const events = createEvents(log)
  const heard: string[] = []
  events.on(() => {
    throw new Error('at once')
  })
  events.on(() => Promise.reject(new Error('later')))
  const off = events.on(({ event }) => void heard.push(event))
  await events.tell(EVENT)
  off()
  await events.tell(EVENT)
  t.deepEqual(heard, ['recording.stored'])
  t.is(lines.length, 4)
})
