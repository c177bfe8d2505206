// What may go wrong while somebody is told that he is recorded: it ends in a notice, never in a call that waits.

import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import { type Announce, readAnnounce, readBeep } from '../../src/recording/announce.ts'
import { Announcer } from '../../src/recording/announcer.ts'
import { Beeping, Beeps } from '../../src/recording/beeping.ts'
import { Telling } from '../../src/recording/telling.ts'
import type { Leg, SwitchNode } from '../../src/switch/switch.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { until } from '../helpers/wait.ts'

const SAID: Announce = { media: 'tone_stream://%(2000,0,2000)', to: 'both', required: true, keep: false }

/** Two who talk, and a switch that says what the test has it say. */
function setup(modules: Record<string, boolean> = {}) {
  const clock = manualClock()
  const legs = new Map<string, Leg>([
    ['a', aLeg('a', { otherLeg: 'b' })],
    ['b', aLeg('b', { otherLeg: 'a', direction: 'outbound', variables: { callrec_call_id: 'a' } })],
  ])
  const sent: string[] = []
  const ends = new Map<string, { resolve: (response: string) => void; reject: (error: unknown) => void }>()
  const fails = new Map<string, AppError>()
  const say = async (what: string): Promise<void> => {
    sent.push(what)
    const error = fails.get(what.split(' ')[0] ?? '')
    if (error !== undefined) throw error
  }
  const node = {
    name: 'fs1',
    status: () => ({ name: 'fs1', state: 'up', address: '', modules, formats: [] }),
    leg: async uuid => {
      const error = fails.get('leg')
      if (error !== undefined) throw error
      return legs.get(uuid)
    },
    setVariables: async () => {},
    beep: (uuid, every) => say(`beep ${uuid} ${every}`),
    stopBeep: (uuid, every) => say(`stopBeep ${uuid} ${every}`),
    execute: (uuid, app, arg, { signal } = {}) =>
      new Promise((resolve, reject) => {
        sent.push(`${app} ${uuid} ${arg}`)
        const end = (response: string): void => resolve({ response, leg: aLeg(uuid), taken: false, cutOff: response === '' })
        signal?.addEventListener('abort', () => end('FILE PLAYED'))
        ends.set(uuid, { resolve: end, reject })
      }),
  } as Partial<SwitchNode> as SwitchNode
  const announcer = new Announcer({ node: () => node, clock, log: silent })
  const end = async (leg: string, response = 'FILE PLAYED'): Promise<void> => {
    const { resolve } = await until(`something is said to ${leg}`, () => ends.get(leg))
    ends.delete(leg)
    resolve(response)
  }
  const breaks = async (leg: string, error: AppError): Promise<void> => (await until(`something is said to ${leg}`, () => ends.get(leg))).reject(error)
  const came: string[] = []
  const telling = (announce: Announce = SAID, runs = false): Telling =>
    new Telling({ node: () => node, announcer, log: silent }, { node: 'fs1', leg: 'a', side: 'caller' }, announce, {
      ids: {},
      runs: () => runs,
      noted: notices => void came.push(...notices.map(({ leg, outcome }) => `${leg} ${outcome}`)),
      told: async () => void came.push('told'),
      untold: async () => void came.push('untold'),
      refused: async ({ leg }, reason) => void came.push(`${leg} ${reason}`),
      newcomer: () => void came.push('newcomer'),
    })
  const comes = (what: string): Promise<unknown> => until(`${what}; there came ${came.join()}`, () => came.includes(what))
  return { clock, legs, sent, fails, node, announcer, end, breaks, telling, came, comes }
}

const to = { node: 'fs1', leg: 'a', party: 'caller' } as const

test('an announcement is said once to each, whoever asks for it', async t => {
  const w = setup()
  const [one, other] = [w.announcer.tell(to, SAID), w.announcer.tell(to, { ...SAID, required: false })]
  await w.end('a')
  t.like(await one.notice, { leg: 'a', party: 'caller', outcome: 'played', media: SAID.media })
  t.is(await one.notice, await other.notice)
  t.deepEqual(w.sent, [`playback a ${SAID.media}`])
  void w.announcer.tell(to, { ...SAID, media: 'tone_stream://%(1,0,500)' })
  await until('another one', () => w.sent.length === 2)
  w.announcer.gone('a')
  t.is(w.announcer.toldOf('a', SAID), undefined)
})

test('what cannot be said, or was not heard, is a failure with its reason, and is tried again by who asks next', async t => {
  const w = setup()
  for (const [announce, reason] of [
    [{ ...SAID, media: '/etc/passwd' }, /no tone or silence/],
    [{ to: 'both', required: true, keep: false, text: 'You are recorded.' }, /mod_flite/],
    [{ to: 'both', required: true, keep: false, text: '日本' }, /nothing that can be said/],
    [{ to: 'both', required: true, keep: false }, /nothing that can be said/],
  ] as const) {
    const notice = await w.announcer.tell(to, announce).notice
    t.is(notice.outcome, 'failed')
    t.regex(notice.reason ?? '', reason)
  }
  t.deepEqual(w.sent, [])
  const lost = w.announcer.tell(to, SAID)
  await w.end('a', 'PLAYBACK ERROR')
  t.like(await lost.notice, { outcome: 'failed', reason: 'PLAYBACK ERROR' })
  const late = w.announcer.tell(to, SAID)
  await w.breaks('a', new AppError('switch_timeout', 'did not end within 60000 ms'))
  t.regex((await late.notice).reason ?? '', /did not end/)
})

test('whom a transfer takes away from it hears it anew, some times', async t => {
  const w = setup()
  const moved = w.announcer.tell(to, SAID)
  await w.end('a', '')
  w.clock.advance(1000)
  await w.end('a', '')
  await w.end('a')
  const { outcome, at } = await moved.notice
  t.deepEqual([outcome, w.sent.length], ['played', 3])
  t.is(Date.parse(at), w.clock.now())
  const never = w.announcer.tell({ ...to, leg: 'b' }, SAID)
  for (let times = 5; times > 0; times -= 1) await w.end('b', '')
  t.like(await never.notice, { outcome: 'failed', reason: 'its leg was transferred whenever it was said' })
})

test('a text is spoken where the switch can speak', async t => {
  const w = setup({ mod_flite: true })
  const said = w.announcer.tell(to, { to: 'both', required: true, keep: false, text: 'You’re recorded <now>.' })
  await w.end('a', '_none_')
  t.is((await said.notice).outcome, 'played')
  t.deepEqual(w.sent, ['speak a flite|slt|Youre recorded .'])
})

test('who hangs up meanwhile has left; a switch that is lost says nothing of what was heard', async t => {
  const w = setup()
  const left = w.announcer.tell(to, SAID)
  await w.breaks('a', new AppError('leg_gone', 'hung up'))
  t.is((await left.notice).outcome, 'left')
  const lost = w.announcer.tell({ ...to, leg: 'b' }, SAID)
  await w.breaks('b', new AppError('switch_down', 'the socket went'))
  t.like(await t.throwsAsync<AppError>(lost.notice), { code: 'switch_down' })
})

test('a key counts while it is offered, and no other one; not while its leg hears what a callflow asks it', async t => {
  const w = setup()
  const asked = { ...SAID, optout_key: '9', consent_key: '1' }
  const { notice } = w.announcer.tell(to, asked)
  await until('it is said', () => w.sent.length === 1)
  const pressing = (digit: string, known: Partial<Leg> = {}): boolean => w.announcer.pressed(aLeg('a', known), digit)
  t.false(pressing('5'))
  t.false(pressing('9', { variables: { current_application: 'play_and_get_digits' } }))
  t.true(pressing('9', { otherLeg: 'b' }))
  t.like(await notice, { outcome: 'broken_off', key: '9' })
  t.false(pressing('9'))
})

test('without the key that was asked for it is over ten seconds after the announcement', async t => {
  const w = setup()
  const { notice } = w.announcer.tell(to, { ...SAID, consent_key: '1' })
  await w.end('a')
  await until('it waits', () => w.clock.waits().length === 1)
  t.deepEqual(w.clock.waits(), [10_000])
  w.clock.advance(10_000)
  const silent = await notice
  t.is(silent.outcome, 'played')
  t.is(silent.key, undefined)
})

test('both are told at the same time, and only then it begins', async t => {
  const w = setup()
  await w.telling().begin()
  t.deepEqual(w.sent.sort(), [`playback a ${SAID.media}`, `playback b ${SAID.media}`])
  await w.end('a')
  t.deepEqual(w.came, [])
  await w.end('b')
  await w.comes('told')
  t.deepEqual(w.came, ['a played', 'b played', 'told'])
})

test('one side is told alone where the setting says so, and who has not answered later', async t => {
  const w = setup()
  await w.telling({ ...SAID, to: 'callee' }).begin()
  t.deepEqual(w.sent, [`playback b ${SAID.media}`])
  const other = setup()
  other.legs.set('b', { ...other.legs.get('b')!, answered: false })
  await other.telling().begin()
  t.deepEqual(other.sent, [`playback a ${SAID.media}`])
})

test('while they are on their way to each other nobody is told; when they are there, both', async t => {
  const w = setup()
  const { otherLeg: _, ...alone } = w.legs.get('a')!
  w.legs.set('a', { ...alone, variables: { current_application: 'bridge' } })
  const telling = w.telling()
  await telling.begin()
  t.deepEqual(w.sent, [])
  w.legs.set('a', { ...alone, otherLeg: 'b' })
  await telling.met()
  t.is(w.sent.length, 2)
})

test('who leaves while he is told is no reason to wait, a failure is where it is required', async t => {
  const w = setup()
  await w.telling().begin()
  w.legs.delete('b')
  const { otherLeg: _, ...alone } = w.legs.get('a')!
  w.legs.set('a', alone)
  await w.breaks('b', new AppError('leg_gone', 'hung up'))
  await w.end('a')
  await w.comes('told')
  t.deepEqual(w.came, ['a played', 'b left', 'told'])

  const failing = setup()
  await failing.telling().begin()
  await failing.end('a')
  await failing.end('b', 'FILE NOT FOUND')
  await failing.comes('untold')
  const lenient = setup()
  await lenient.telling({ ...SAID, required: false }).begin()
  await lenient.end('a')
  await lenient.end('b', 'FILE NOT FOUND')
  await lenient.comes('told')
})

test('somebody who joins a recording that runs is told before more of it is kept, unless it has the announcement in it', async t => {
  const w = setup()
  const running = w.telling(SAID, true)
  await running.met()
  t.deepEqual(w.came, ['newcomer'])
  const kept = w.telling({ ...SAID, keep: true }, true)
  await kept.met()
  t.is(w.sent.length, 2)
  await w.end('a')
  await w.end('b')
  await w.comes('told')
  await running.met()
  await until('who knows of another recording with the same words is not told again', () => w.came.filter(one => one === 'told').length === 2)
  t.is(w.sent.length, 2)
})

test('what is known of the parties stays unknown while the switch is away, and nothing begins', async t => {
  const w = setup()
  w.fails.set('leg', new AppError('switch_down', 'away'))
  const telling = w.telling()
  await telling.begin()
  t.deepEqual(w.came, [])
  await until('it gives up for now', () => !telling.works)
  w.fails.clear()
  await telling.begin()
  telling.close()
  await w.end('a')
  await w.end('b')
  t.deepEqual(w.came, [], 'another engine’s now')
})

test('a switch that does not say who is there keeps nothing waiting: what is required has failed, else it begins', async t => {
  const w = setup()
  w.fails.set('leg', new AppError('switch_timeout', 'no answer'))
  await w.telling().begin()
  await w.telling({ ...SAID, required: false }).begin()
  t.deepEqual(w.came, ['untold', 'told'])
})

test('settings are read from whatever stands in a document, and what is broken is no silent recording', t => {
  t.is(readAnnounce(undefined), undefined)
  t.is(readAnnounce('yes'), undefined)
  for (const off of [false, 'false']) t.is(readAnnounce(off), false)
  t.deepEqual(readAnnounce({ text: 'x', to: 'nobody', optout_key: 'nine', required: 'no', keep: 1 }), { text: 'x', to: 'both', required: true, keep: false })
  t.deepEqual(readAnnounce({}), { to: 'both', required: true, keep: false })
  t.deepEqual(readBeep(true), { every: 15, to: 'both' })
  t.deepEqual(readBeep({ every: 0.5, to: 'caller' }), { every: 15, to: 'caller' })
  t.is(readBeep(false), false)
  t.is(readBeep(7), undefined)
})

test('recordings of one leg share a beep, which ends with the last of them, and is begun anew where an engine left it', async t => {
  const w = setup()
  const beeps = new Beeps({ node: () => w.node })
  let state: 'recording' | 'paused' | 'stopping' = 'recording'
  const said: object[] = []
  const one = (_id: string): Beeping =>
    new Beeping(
      { node: () => w.node, clock: w.clock, log: silent },
      beeps,
      { _id, node: 'fs1', leg: 'a', side: 'caller' },
      { every: 15, to: 'caller' },
      {
        ids: {},
        state: () => state,
        beeped: what => void said.push(what),
      },
    )
  const [first, second] = [one('r1'), one('r2')]
  await first.follow()
  await second.follow()
  t.deepEqual(w.sent, ['beep a 15'])
  t.is(said.length, 2)
  state = 'paused'
  await first.follow()
  t.deepEqual(w.sent, ['beep a 15'])
  await second.follow()
  t.deepEqual(w.sent, ['beep a 15', 'stopBeep a 15'])
  w.fails.set('beep', new AppError('switch_refused', 'Cannot displace session!'))
  state = 'recording'
  await first.follow()
  t.deepEqual(w.sent.slice(2), ['beep a 15', 'stopBeep a 15', 'beep a 15'])
  t.like(said[2], { leg: 'a', reason: 'Cannot displace session!' })
  w.fails.set('leg', new AppError('switch_down', 'away'))
  await t.notThrowsAsync(first.follow())
})
