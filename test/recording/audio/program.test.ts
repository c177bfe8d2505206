import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ProgramFailed, run } from '../../../src/recording/audio/program.ts'
import { folder, script } from '../../helpers/programs.ts'
import { until } from '../../helpers/wait.ts'

const LONG = { within: 60_000 }

test('a program is given its arguments as they are, whatever a shell would make of them', async t => {
  const echo = script(t, 'echo', 'printf "%s|" "$@"')
  const wild = ['$(reboot)', '; ls', '`id`', '*', "it's", '']
  t.is(await run(echo, wild, LONG), wild.map(one => `${one}|`).join(''))
})

test('a program that fails is told of with the end of what it complained of, and how it ended', async t => {
  const fails = script(t, 'fails', 'i=0; while [ $i -lt 400 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 3')
  const error = await t.throwsAsync(run(fails, [], LONG), { instanceOf: ProgramFailed })
  t.is(error?.how, 'it ended with 3')
  t.regex(error?.complained ?? '', /line 399$/)
  t.true((error?.complained.length ?? 0) <= 1000)
  const mute = await t.throwsAsync(run(script(t, 'mute', 'kill -9 $$'), [], LONG), { instanceOf: ProgramFailed })
  t.like(mute, { how: 'it was ended by SIGKILL', message: 'it was ended by SIGKILL' })
})

test('a program that is not there could not be started', async t => {
  const error = await t.throwsAsync(run('/nowhere/program', [], LONG), { instanceOf: ProgramFailed })
  t.is(error?.how, 'it could not be started')
})

test('a program that takes too long is ended with all that it has started, also where it does not want to', async t => {
  const dir = folder(t)
  const stubborn = script(t, 'stubborn', `trap '' TERM\n(trap '' TERM; echo $$ > ${dir}/parent; while :; do sleep 1; done) &\necho $! > ${dir}/child\nwait`)
  const error = await t.throwsAsync(run(stubborn, [], { within: 300 }), { instanceOf: ProgramFailed })
  t.regex(error?.how ?? '', /^it took longer than/)
  const child = Number(readFileSync(join(dir, 'child'), 'utf8'))
  const isGone = (): boolean => {
    try {
      // One that nobody waits for is a zombie until init does.
      return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${child}/stat`, 'utf8'))
    } catch {
      return true
    }
  }
  await until('the child to be gone', isGone)
  t.pass()
})

test('a program that prints without end is ended', async t => {
  const error = await t.throwsAsync(run(script(t, 'yes', 'while :; do echo yes; done'), [], { ...LONG, mostBytes: 1000 }), { instanceOf: ProgramFailed })
  t.is(error?.how, 'it printed more than 1000 bytes')
})

test('a program ends when whoever wanted it does, and is not begun after that', async t => {
  const dir = folder(t)
  const stop = new AbortController()
  const waits = script(t, 'waits', `touch ${dir}/begun$1; sleep 60`)
  const running = run(waits, ['1'], { ...LONG, signal: stop.signal })
  await until('its beginning', () => existsSync(join(dir, 'begun1')))
  stop.abort()
  t.is((await t.throwsAsync(running, { instanceOf: ProgramFailed }))?.how, 'it was broken off')
  await t.throwsAsync(run(waits, ['2'], { ...LONG, signal: stop.signal }), { message: 'it was broken off' })
  t.false(existsSync(join(dir, 'begun2')))
})

test('a program that steps back has what others leave of the processors, and works where it is told to', async t => {
  const dir = folder(t)
  const [nice, where] = (await run(script(t, 'nice', 'sleep 0.2; nice; pwd -P'), [], { ...LONG, stepsBack: true, folder: dir })).split('\n')
  t.is(nice, '19')
  t.is(where?.endsWith(dir), true)
})
