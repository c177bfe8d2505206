import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { UNHEARD, verdict } from '../../src/recording/finish.ts'
import { command, type Fact, type State, STATES, step, TABLE } from '../../src/recording/lifecycle.ts'

const walk = (...inputs: Fact[]): State => inputs.reduce<State>((state, input) => step(state, input)?.state ?? state, 'starting')

test('a recording goes from RECORD_START to RECORD_STOP to its file', t => {
  t.is(walk('RECORD_START', 'RECORD_STOP'), 'stopped')
  t.deepEqual(step('recording', 'RECORD_STOP')?.effects, ['finish'])
})

test('RECORD_STOP before RECORD_START still ends in the file', t => t.is(walk('RECORD_STOP'), 'stopped'))

test('a leg that goes waits for its RECORD_STOP and then gives up the wait', t => {
  t.is(walk('RECORD_START', 'leg_gone'), 'stopping')
  t.is(walk('RECORD_START', 'leg_gone', 'RECORD_STOP'), 'stopped')
  t.is(walk('RECORD_START', 'leg_gone', 'switch_lost'), 'stopped')
})

test('a start confirmed only after it was asked to stop is stopped again', t => {
  t.is(command('starting', 'stop').state, 'stopping')
  t.deepEqual(step('stopping', 'RECORD_START')?.effects, ['send_stop'])
})

test('a repeated fact changes nothing', t => {
  for (const [state, fact] of [
    ['recording', 'RECORD_START'],
    ['stopped', 'RECORD_STOP'],
    ['stopping', 'leg_gone'],
    ['failed', 'RECORD_START'],
    ['discarded', 'leg_gone'],
  ] as const) {
    t.is(step(state, fact), undefined, `${fact} while ${state}`)
  }
})

test('a command that is not possible is refused with the state it is in', t => {
  for (const state of ['stopping', 'stopped', 'discarded', 'failed'] as const) {
    const error = t.throws(() => command(state, 'stop'), { instanceOf: AppError, message: new RegExp(state) })
    t.is(error?.code, 'wrong_state')
    t.deepEqual(error?.data, { state })
  }
  t.throws(() => command('recording', 'begin'), { message: /recording cannot begin/ })
})

test('nobody who never answered is recorded', t => {
  t.deepEqual(step('waiting', 'leg_gone'), { state: 'discarded', effects: ['drop'] })
  t.deepEqual(command('waiting', 'stop'), { state: 'discarded', effects: ['drop'] })
})

test('every state that is not an end has a way to one when the switch is lost', t => {
  for (const state of STATES) {
    if (Object.keys(TABLE[state]).length === 0) continue
    t.true(['stopped', 'failed', 'discarded'].includes(step(state, 'switch_lost')?.state ?? state), state)
  }
})

const file = { size: 16_044, sha256: '00', durationMs: 1000, sampleRate: 8000, channels: 2 }

test('the file decides: long enough is kept, too short or empty is discarded, none is a failure', t => {
  t.deepEqual(verdict({ file, minSeconds: 1 }), { state: 'stopped', audio: file })
  t.deepEqual(verdict({ file, minSeconds: 2 }), { state: 'discarded', reason: 'too_short' })
  t.deepEqual(verdict({ file: { ...file, durationMs: 0 }, minSeconds: 0 }), { state: 'discarded', reason: 'empty' })
  t.deepEqual(verdict({ file: { ...file, durationMs: undefined }, minSeconds: 0 }), { state: 'failed', reason: 'not_audio' })
  t.deepEqual(verdict({ file: undefined, minSeconds: 0 }), { state: 'failed', reason: 'file_missing' })
})

test("the switch's own word counts where there is no file to ask", t => {
  t.deepEqual(verdict({ file: undefined, minSeconds: 5, cause: 'input-too-short' }), { state: 'discarded', reason: 'too_short' })
  t.deepEqual(verdict({ file: undefined, minSeconds: 0, cause: 'uri-failure' }), { state: 'failed', reason: 'switch_could_not_write' })
})

test('no audio at all is an end that came too soon, or media that went another way, or what a dead switch had not written yet', t => {
  const silent = { ...file, durationMs: 0 }
  for (const one of [undefined, silent]) {
    t.deepEqual(verdict({ file: one, minSeconds: 0, cause: 'empty-file', ranMs: 999 }), { state: 'discarded', reason: 'empty' })
    t.deepEqual(verdict({ file: one, minSeconds: 0, cause: 'empty-file', ranMs: 1000 }), { state: 'failed', reason: 'no_media' })
  }
  t.deepEqual(verdict({ file: silent, minSeconds: 0, cause: UNHEARD, ranMs: 3000 }), { state: 'failed', reason: 'switch_lost' })
  t.deepEqual(verdict({ file: undefined, minSeconds: 0, cause: UNHEARD, ranMs: 3000 }), { state: 'failed', reason: 'file_missing' })
  t.deepEqual(verdict({ file, minSeconds: 0, cause: UNHEARD, ranMs: 3000 }), { state: 'stopped', audio: file })
})

test('a reason found while it ran outlives the file', t => {
  t.deepEqual(verdict({ file, minSeconds: 0, reason: 'no_media' }), { state: 'failed', reason: 'no_media' })
})
