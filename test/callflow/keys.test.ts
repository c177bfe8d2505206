import test from 'ava'
import { given, merged, type Metaflows, press, type Pressed, unmaskingOnly } from '../../src/callflow/keys.ts'

const record = (action: string) => ({ module: 'record_call', data: { action } })
const METAFLOWS: Metaflows = {
  binding_digit: '*',
  digit_timeout: 3000,
  listen_on: 'self',
  numbers: { '1': record('mask'), '2': record('unmask'), '12': record('stop'), '5': { module: 'hangup' } },
  patterns: {},
}

function type(keys: string, metaflows: Metaflows): { pressed: Pressed; found: string | undefined; waits: boolean } {
  let pressed: Pressed
  let last = press(undefined, '', metaflows)
  for (const digit of keys) {
    last = press(pressed, digit, metaflows)
    pressed = last.pressed
  }
  return { pressed, found: last.found?.key, waits: last.waitMs !== undefined }
}

test('a number that can become no other is done with its last key', t => {
  t.deepEqual(type('*5', METAFLOWS), { pressed: undefined, found: '*5', waits: false })
  t.deepEqual(type('*2', METAFLOWS), { pressed: undefined, found: '*2', waits: false })
})

test('one that is the beginning of another waits for a further key', t => {
  t.deepEqual(type('*1', METAFLOWS), { pressed: '1', found: undefined, waits: true })
  t.is(given('1', METAFLOWS)?.key, '*1')
  t.deepEqual(type('*12', METAFLOWS), { pressed: undefined, found: '*12', waits: false })
})

test('keys that begin nothing are kept nowhere', t => {
  for (const keys of ['1', '12345', '*7', '*77', '5*7']) t.is(type(keys, METAFLOWS).pressed, undefined, keys)
  t.is(given(undefined, METAFLOWS), undefined)
  t.is(given('', METAFLOWS), undefined)
})

test('the first key again begins anew, unless it is a figure', t => {
  t.is(type('*1*5', METAFLOWS).found, '*5')
  t.is(type('112', { ...METAFLOWS, binding_digit: '1' }).found, '112')
})

test('a pattern is asked when no further key comes, after the numbers, and hands on what it caught', t => {
  const both: Metaflows = { ...METAFLOWS, patterns: { '^9(\\d{4})$': { module: 'transfer' }, '^5$': { module: 'hangup' } } }
  t.deepEqual(type('*92001', both), { pressed: '92001', found: undefined, waits: true })
  t.like(given('92001', both), { step: { module: 'transfer' }, captures: ['2001'] })
  t.is(given('5', both)?.step.module, 'hangup')
  t.is(given('777', both), undefined)
  t.notRegex(given('92001', both)?.key ?? '', /2001/)
})

test('while a call is masked only what ends that is listened for, and no other key is kept', t => {
  const masked = unmaskingOnly({ ...METAFLOWS, patterns: { '.*': { module: 'hangup' } } })
  t.deepEqual(Object.keys(masked.numbers), ['2'])
  t.is(type('*2', masked).found, '*2')
  for (const card of ['4111111111111111', '*4111', '*1', '*5']) t.deepEqual(type(card, masked), { pressed: undefined, found: undefined, waits: false }, card)
})

test('what the documents of a party say adds up, and of the rest the strongest counts', t => {
  const account = { binding_digit: '#', listen_on: 'both', numbers: { '1': record('mask'), '2': record('stop') } }
  const device = { digit_timeout: 500, numbers: { '2': record('unmask') } }
  t.deepEqual(merged([account, undefined, device]), {
    binding_digit: '#',
    digit_timeout: 500,
    listen_on: 'both',
    numbers: { '1': record('mask'), '2': record('unmask') },
    patterns: {},
  })
  t.is(merged([undefined, { binding_digit: '#' }, 'nonsense']), undefined)
  t.like(merged([{ numbers: { '1': {} }, digit_timeout: 0 }]), { binding_digit: '*', digit_timeout: 3000, listen_on: 'self' })
})
