// What a switch promises, real or embedded. What one of them cannot do is declared with its reason
// where the suite is opened, so that the gap is seen.

import { randomUUID } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { isCode } from '../../src/errors.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { bridgeArgument, conferenceArgument, recordArgument } from '../../src/switch/commands.ts'
import type { Target } from '../../src/switch/commands.ts'
import type { Leg, SwitchEvent, SwitchNode, Switches } from '../../src/switch/switch.ts'
import { loudness, readWav, tone } from '../helpers/audio.ts'
import { until } from '../helpers/wait.ts'

type Phone = Pick<Target, 'endpoint' | 'variables'>

export interface SwitchUnderTest {
  switches: Switches
  /** Where the switch may record to, as both sides see it. */
  directory: string
  phones: {
    /** Answers and speaks until it is hung up on. */
    speaking: Phone
    /** Answers, speaks for a second, and says nothing more. */
    hushed: Phone
    /** Answers, and hangs up before a second of call time is over. */
    short: Phone
    busy: Phone
    /** Rings for ever. */
    never: Phone
  }
  /** Has somebody call `incoming`: the dialplan sets callrec_account_id=acc1 and callrec_inception=offnet, and parks. */
  arrive: () => Promise<void>
  /** The leg's phone presses keys. */
  press: (uuid: string, keys: string) => Promise<void>
  /** Cuts the event socket under way; the switch lives on. */
  cut: () => void
}

export interface SwitchContract {
  /** Shown in the titles. */
  name: string
  open: (t: ExecutionContext) => Promise<SwitchUnderTest>
  /** Title of a promise → why this switch does not keep it. */
  cannot?: Readonly<Record<string, string>>
}

/** A call's worth of events, and how to wait for one of them. */
interface Watch {
  all: SwitchEvent[]
  of(uuid: string): SwitchEvent[]
  names(uuid: string): string[]
  event<Name extends SwitchEvent['name']>(name: Name, uuid: string): Promise<Extract<SwitchEvent, { name: Name }>>
}

function watch(t: ExecutionContext, switches: Switches): Watch {
  const all: SwitchEvent[] = []
  t.teardown(switches.on(event => all.push(event)))
  const of = (uuid: string): SwitchEvent[] => all.filter(event => 'leg' in event && event.leg.uuid === uuid)
  return {
    all,
    of,
    names: uuid => of(uuid).map(event => event.name),
    event: <Name extends SwitchEvent['name']>(name: Name, uuid: string) =>
      until(`${name} of ${uuid}`, () => of(uuid).find((event): event is Extract<SwitchEvent, { name: Name }> => event.name === name)),
  }
}

interface Scene extends SwitchUnderTest {
  node: SwitchNode
  seen: Watch
  file: string
  /** A parked leg, that speaks unless its phone is named. */
  leg: (phone?: Phone) => Promise<string>
}

export function switchContract({ name, open, cannot = {} }: SwitchContract): void {
  async function scene(t: ExecutionContext): Promise<Scene> {
    const opened = await open(t)
    const [node] = opened.switches.nodes
    if (node === undefined) throw new Error('no node')
    const seen = watch(t, opened.switches)
    async function leg({ endpoint, variables }: Phone = opened.phones.speaking): Promise<string> {
      const uuid = randomUUID()
      await node?.originate({ uuid, endpoint, variables: { ...variables, callrec_test: 'yes' }, timeoutSeconds: 10 })
      t.teardown(() => node?.hangup(uuid, 'NORMAL_CLEARING').catch(() => {}))
      await seen.event('CHANNEL_PARK', uuid)
      await node?.cancelScheduledHangup(uuid)
      return uuid
    }
    return { ...opened, node, seen, leg, file: join(opened.directory, `${randomUUID()}.wav`) }
  }

  function promise(title: string, run: (t: ExecutionContext, scene: Scene) => Promise<void>): void {
    const why = cannot[title]
    if (why !== undefined) process.stdout.write(`  # ${name} cannot: ${title} (${why})\n`)
    else test(`${name}: ${title}`, async t => run(t, await scene(t)))
  }

  async function rejects(t: ExecutionContext, tried: Promise<unknown>, code: ErrorCode): Promise<void> {
    const error = await t.throwsAsync(tried)
    t.true(isCode(error, code), `${code} expected, got ${String(error)}`)
  }

  const recording = (id: string): { limit: number; variables: Record<string, string> } => ({ limit: 0, variables: { rec_id: id } })

  promise('a leg that is originated answers, is parked, and is among the legs', async (t, { node, seen, leg }) => {
    const uuid = await leg()
    t.deepEqual(seen.names(uuid), ['CHANNEL_ANSWER', 'CHANNEL_PARK'])
    const parked = (await seen.event('CHANNEL_PARK', uuid)).leg
    t.like(parked, { node: node.name, uuid, direction: 'outbound', answered: true, sampleRate: 8000, variables: { callrec_test: 'yes' } })
    t.is(parked.otherLeg, undefined)
    t.true(await node.exists(uuid))
    t.is((await node.leg(uuid))?.variables['callrec_test'], 'yes')
    t.true((await node.legs()).some((one: Leg) => one.uuid === uuid))
  })

  promise('an originate that is not answered is refused with its cause', async (t, { node, phones }) => {
    // Timeouts count the clock's whole seconds: one of a second may be over at once.
    const causeOf = async ({ endpoint, variables = {} }: Phone, timeoutSeconds: number): Promise<unknown> => {
      const error = await t.throwsAsync(node.originate({ uuid: randomUUID(), endpoint, variables, timeoutSeconds }))
      return isCode(error, 'switch_refused') ? error.data['cause'] : error
    }
    t.is(await causeOf(phones.busy, 10), 'USER_BUSY')
    t.is(await causeOf(phones.never, 1), 'NO_ANSWER')
    t.is(await causeOf({ endpoint: 'error/CALL_REJECTED' }, 10), 'CALL_REJECTED')
  })

  promise('a call that comes in is parked with what the dialplan knew of it', async (t, { node, seen, arrive }) => {
    await arrive()
    const parked = await until('the call', () => seen.all.find(event => event.name === 'CHANNEL_PARK' && event.leg.variables['callrec_account_id'] === 'acc1'))
    if (!('leg' in parked)) return t.fail()
    t.like(parked.leg, {
      direction: 'inbound',
      destination: 'incoming',
      answered: false,
      variables: { callrec_account_id: 'acc1', callrec_inception: 'offnet' },
    })
    await node.cancelScheduledHangup(parked.leg.uuid)
    await node.hangup(parked.leg.uuid, 'NORMAL_CLEARING')
    t.is((await seen.event('CHANNEL_HANGUP_COMPLETE', parked.leg.uuid)).cause, 'NORMAL_CLEARING')
  })

  promise('a recording starts and stops with its path and its rec_id, and is listed meanwhile', async (t, { node, seen, leg, file }) => {
    const uuid = await leg()
    t.deepEqual(await node.recordings(uuid), [])
    await node.record(uuid, file, recording('202611-a'))
    t.like(await seen.event('RECORD_START', uuid), { path: file, variables: { rec_id: '202611-a' }, leg: { answered: true } })
    t.deepEqual(await node.recordings(uuid), [file])
    await node.stopRecording(uuid, file)
    t.like(await seen.event('RECORD_STOP', uuid), { path: file, variables: { rec_id: '202611-a' } })
    t.deepEqual(await node.recordings(uuid), [])
    await rejects(t, node.stopRecording(uuid, file), 'switch_refused')
    t.true(existsSync(file), file)
  })

  promise('a second start on the same path is accepted and does nothing', async (t, { node, seen, leg, file }) => {
    const uuid = await leg()
    await node.record(uuid, file, recording('a'))
    await node.record(uuid, file, recording('b'))
    t.deepEqual(await node.recordings(uuid), [file])
    await node.stopRecording(uuid, file)
    t.like(await seen.event('RECORD_STOP', uuid), { variables: { rec_id: 'a' } })
    t.is(seen.names(uuid).filter(event => event === 'RECORD_START').length, 1)
  })

  promise('two recordings of one leg are told apart, and the hangup ends what still runs before the leg', async (t, { node, seen, leg, file, directory }) => {
    const uuid = await leg()
    const second = join(directory, `${randomUUID()}.wav`)
    await node.record(uuid, file, recording('a'))
    await node.record(uuid, second, { limit: 0, variables: { rec_id: 'b', RECORD_STEREO: 'true', record_sample_rate: '16000' } })
    t.deepEqual((await node.recordings(uuid)).toSorted(), [file, second].toSorted())
    await node.stopRecording(uuid, file)
    t.like(await seen.event('RECORD_STOP', uuid), { variables: { rec_id: 'a' } })
    t.deepEqual(await node.recordings(uuid), [second])
    await node.hangup(uuid, 'NORMAL_CLEARING')
    await seen.event('CHANNEL_DESTROY', uuid)
    t.deepEqual(seen.names(uuid).slice(2), ['RECORD_START', 'RECORD_START', 'RECORD_STOP', 'RECORD_STOP', 'CHANNEL_HANGUP_COMPLETE', 'CHANNEL_DESTROY'])
    const stops = seen.of(uuid).filter(event => event.name === 'RECORD_STOP')
    t.like(stops[1], { path: second, variables: { rec_id: 'b', RECORD_STEREO: 'true', record_sample_rate: '16000' } })
  })

  promise('masking and pausing are accepted while the recording runs, and fire no event', async (t, { node, seen, leg, file }) => {
    const uuid = await leg()
    await rejects(t, node.mask(uuid, file), 'switch_refused')
    await rejects(t, node.pause(uuid, file), 'switch_refused')
    await node.record(uuid, file, recording('a'))
    for (const verb of ['mask', 'mask', 'unmask', 'pause', 'resume'] as const) await t.notThrowsAsync(node[verb](uuid, file))
    await node.stopRecording(uuid, file)
    await seen.event('RECORD_STOP', uuid)
    t.deepEqual(seen.names(uuid), ['CHANNEL_ANSWER', 'CHANNEL_PARK', 'RECORD_START', 'RECORD_STOP'])
    await rejects(t, node.mask(uuid, file), 'switch_refused')
  })

  /** Of any tenth of a second, how much at most is that tone. */
  function loudest(path: string, channel: number, hz: number): number {
    const { samples, sampleRate, seconds } = readWav(path)
    const pieces = Array.from({ length: Math.floor(seconds * 10) }, (_, at) =>
      tone(samples[channel] ?? new Int16Array(), sampleRate, hz, at / 10, at / 10 + 0.1),
    )
    return Math.max(0, ...pieces)
  }
  const stereo = { limit: 0, variables: { RECORD_STEREO: 'true' } }

  /** Two who talk, each recorded from then on. */
  async function talking({ node, seen, leg, phones, directory }: Scene): Promise<{ a: string; b: string; files: [string, string] }> {
    const a = await leg()
    const b = randomUUID()
    void node.execute(a, 'bridge', bridgeArgument([{ ...phones.speaking, uuid: b }], {})).catch(() => {})
    await seen.event('CHANNEL_BRIDGE', a)
    const files: [string, string] = [join(directory, `${randomUUID()}.wav`), join(directory, `${randomUUID()}.wav`)]
    await node.record(a, files[0], stereo)
    await node.record(b, files[1], stereo)
    return { a, b, files }
  }

  promise('a key is told with the leg as it is: what stands on it, and whom it talks with', async (t, { node, seen, leg, phones, press }) => {
    const [a, b] = [await leg(), randomUUID()]
    void node.execute(a, 'bridge', bridgeArgument([{ ...phones.speaking, uuid: b }], {})).catch(() => {})
    await seen.event('CHANNEL_BRIDGE', a)
    await node.setVariables(a, { callrec_later: 'said' })
    await press(a, '42')
    const keys = await until('both keys', () => {
      const told = seen.of(a).filter(event => event.name === 'DTMF')
      return told.length === 2 && told
    })
    t.deepEqual(
      keys.map(({ digit, leg: { otherLeg, variables } }) => [digit, otherLeg, variables['callrec_test'], variables['callrec_later']]),
      [
        ['4', b, 'yes', 'said'],
        ['2', b, 'yes', 'said'],
      ],
    )
    await node.hangup(a, 'NORMAL_CLEARING')
  })

  promise('what is played to one side of a bridge is heard by him alone, its end is told, and the bridge goes on', async (t, one) => {
    const { node, seen } = one
    const { a, b, files } = await talking(one)
    for (const uuid of [a, b]) {
      const played = await node.execute(uuid, 'playback', 'tone_stream://%(800,0,2000)')
      t.like(played, { response: 'FILE PLAYED', leg: { uuid } })
      t.is((await node.leg(uuid))?.otherLeg, uuid === a ? b : a)
      if (uuid === a) await node.stopRecording(b, files[1])
    }
    await node.stopRecording(a, files[0])
    await seen.event('RECORD_STOP', a)
    t.true(loudest(files[0], 1, 2000) > 0.8)
    t.true(loudest(files[1], 1, 2000) < 0.1, 'nor does the other one hear it')
    t.false(seen.names(a).includes('CHANNEL_UNBRIDGE'))
  })

  promise('who is in a room hears the others who are not muted, and one who ends it ends it for all', async (t, { node, phones, leg, directory, seen }) => {
    const name = randomUUID()
    const enter = (uuid: string, how: { muted?: boolean; ends?: boolean } = {}) =>
      node.execute(uuid, 'conference', conferenceArgument(name, { muted: false, ends: false, ...how }))
    const [speaks, hears, muted] = [await leg(), await leg(phones.hushed), await leg()]
    const over: string[] = []
    for (const uuid of [speaks, hears, muted]) await node.setVariables(uuid, { hangup_after_conference: 'false' })
    const inside = [enter(speaks, { ends: true }).then(() => over.push('speaks')), enter(hears).then(() => over.push('hears'))]
    const level = (path: string): number => {
      const { samples, sampleRate, seconds } = readWav(path)
      return loudness(samples[1] ?? new Int16Array(), sampleRate, seconds - 1, seconds - 0.1)
    }
    const files = [join(directory, `${randomUUID()}.wav`), join(directory, `${randomUUID()}.wav`)] as const
    await node.record(hears, files[0], stereo)
    await seen.event('RECORD_START', hears)
    await node.execute(muted, 'sleep', '2000')
    await node.stopRecording(hears, files[0])
    t.true(level(files[0]) > 1000, 'he hears who speaks')

    await node.interrupt(speaks)
    await Promise.all(inside)
    t.deepEqual(over.toSorted(), ['hears', 'speaks'])

    inside.push(
      enter(hears).then(() => over.push('again')),
      enter(muted, { muted: true }).then(() => over.push('muted')),
    )
    await seen.event('RECORD_STOP', hears)
    await node.record(hears, files[1], stereo)
    await node.execute(speaks, 'sleep', '2000')
    await node.stopRecording(hears, files[1])
    t.true(level(files[1]) < 100, 'who is muted is not heard')
    await node.interrupt(muted)
    await inside[3]
    t.is(over.at(-1), 'muted', 'one who leaves leaves alone')
    await node.interrupt(hears)
    await inside[2]
  })

  promise('a beep is heard by its side alone, is in no file that began before it, and ends when told', async (t, one) => {
    const { node, directory, leg } = one
    const { a, b, files } = await talking(one)
    // Time passes on a leg of its own: one that sleeps sends its peer no audio, and a beep is mixed into that.
    const aside = await leg()
    await rejects(t, node.stopBeep(a, 1), 'switch_refused')
    await node.beep(a, 1)
    await rejects(t, node.beep(a, 1), 'switch_refused')
    const [later, after] = [join(directory, `${randomUUID()}.wav`), join(directory, `${randomUUID()}.wav`)]
    await node.record(a, later, stereo)
    t.deepEqual((await node.recordings(a)).toSorted(), [files[0], later].toSorted())
    await node.execute(aside, 'sleep', '2500')
    await node.stopBeep(a, 1)
    await node.record(a, after, stereo)
    await node.execute(aside, 'sleep', '1500')
    for (const [uuid, file] of [
      [a, files[0]],
      [b, files[1]],
      [a, later],
      [a, after],
    ] as const)
      await node.stopRecording(uuid, file)
    t.true(loudest(later, 1, 1400) > 0.3, String(loudest(later, 1, 1400)))
    for (const file of [...files, after]) for (const channel of [0, 1]) t.true(loudest(file, channel, 1400) < 0.1, `${channel} of ${file}`)
    await node.hangup(a, 'NORMAL_CLEARING')
    await rejects(t, node.beep(a, 1), 'leg_gone')
  })

  promise('a recording that cannot be written is refused', async (t, { node, leg }) => {
    const uuid = await leg()
    await rejects(t, node.record(uuid, '/proc/nope/x.wav', recording('a')), 'switch_refused')
    await rejects(t, node.record(uuid, join('/tmp', 'x.nosuchext'), recording('a')), 'switch_refused')
    t.deepEqual(await node.recordings(uuid), [])
  })

  promise('an application resolves when it ended, one after the other', async (t, { node, leg }) => {
    const uuid = await leg()
    const played = node.execute(uuid, 'playback', 'tone_stream://%(100,0,300)')
    const slept = node.execute(uuid, 'sleep', '20')
    t.is(await Promise.race([played.then(() => 'played'), slept.then(() => 'slept')]), 'played')
    t.like(await played, { response: 'FILE PLAYED', leg: { uuid, answered: true } })
    t.is((await slept).leg.uuid, uuid)
  })

  promise('an application is broken off by an abort, and the leg takes the next one', async (t, { node, leg }) => {
    const uuid = await leg()
    const abort = new AbortController()
    const playing = node.execute(uuid, 'playback', 'tone_stream://%(60000,0,300)', { signal: abort.signal })
    abort.abort()
    t.is((await playing).leg.uuid, uuid)
    t.is((await node.execute(uuid, 'sleep', '10')).leg.uuid, uuid)
  })

  promise('where nothing runs a break breaks nothing off, though the leg still says what it ran last', async (t, { node, leg }) => {
    const [uuid, other] = [await leg(), await leg()]
    await node.execute(uuid, 'playback', 'tone_stream://%(100,0,300)')
    t.is((await node.leg(uuid))?.variables['current_application'], 'playback')
    await node.interrupt(uuid)
    const played = node.execute(uuid, 'playback', 'tone_stream://%(3000,0,300)')
    const slept = node.execute(other, 'sleep', '1500')
    t.is(await Promise.race([played.then(() => 'played'), slept.then(() => 'slept')]), 'slept')
    await played
  })

  promise('a message ends by the key that was named, and what was said until then is its length', async (t, { node, seen, leg, file, press }) => {
    const uuid = await leg()
    const recorded = node.recordMessage(uuid, file, { limit: 600, terminators: '#5' })
    await seen.event('RECORD_START', uuid)
    // No terminator: the recording goes on.
    await press(uuid, '1')
    await press(uuid, '5')
    const message = await recorded
    t.like(message, { ended: 'key', key: '5' })
    t.is((await seen.event('RECORD_STOP', uuid)).leg.variables['record_ms'], String(message.durationMs))
    t.true(existsSync(file))
    t.deepEqual(await node.recordings(uuid), [])
    t.is((await node.execute(uuid, 'sleep', '10')).leg.uuid, uuid)
  })

  promise('a message is ended by silence, not by speech', async (t, { node, leg, phones, file }) => {
    const uuid = await leg(phones.hushed)
    const { ended, durationMs } = await node.recordMessage(uuid, file, { limit: 600, silence: { threshold: 200, seconds: 2 }, terminators: '' })
    t.is(ended, 'silence')
    // What a busy machine sends late is not written.
    t.true(durationMs > 500, `${durationMs} ms`)
    const speaking = await leg()
    t.is((await node.recordMessage(speaking, `${file}.wav`, { limit: 3, silence: { threshold: 200, seconds: 2 }, terminators: '' })).ended, 'limit')
  })

  promise('a message ends at its limit, and no key ends it where none is named', async (t, { node, seen, leg, file, press }) => {
    const uuid = await leg()
    const recorded = node.recordMessage(uuid, file, { limit: 2, terminators: '' })
    await seen.event('RECORD_START', uuid)
    await press(uuid, '*#0')
    t.is((await recorded).ended, 'limit')
    t.is((await node.leg(uuid))?.variables['playback_terminator_used'], undefined)
  })

  promise('a message ends with the caller, and is kept', async (t, { node, seen, leg, file }) => {
    const uuid = await leg()
    const recorded = node.recordMessage(uuid, file, { limit: 0, terminators: '#' })
    await seen.event('RECORD_START', uuid)
    await node.hangup(uuid, 'NORMAL_CLEARING')
    t.is((await recorded).ended, 'hangup')
    t.true(existsSync(file))
  })

  promise('a message is broken off by an abort, and beside it a recording of the leg goes on', async (t, { node, seen, leg, file, directory }) => {
    const uuid = await leg()
    const beside = join(directory, `${randomUUID()}.wav`)
    await node.record(uuid, beside, recording('a'))
    const abort = new AbortController()
    const recorded = node.recordMessage(uuid, file, { limit: 0, terminators: '', signal: abort.signal })
    await until('the message', () => seen.of(uuid).some(event => event.name === 'RECORD_START' && event.path === file))
    await rejects(t, node.recordMessage(uuid, file, { limit: 0, terminators: '' }), 'wrong_state')
    abort.abort()
    t.is((await recorded).ended, 'interrupted')
    t.deepEqual(await node.recordings(uuid), [beside])
  })

  promise('a key ends a sleep, and is there for the message that was asked for meanwhile', async (t, { node, leg, file, press }) => {
    const uuid = await leg()
    await node.setVariables(uuid, { playback_terminators: '7' })
    const slept = node.execute(uuid, 'sleep', '600000')
    const recorded = node.execute(uuid, 'record', recordArgument(file, { limit: 600 }))
    // By then both are with the switch.
    await until('the sleep', async () => (await node.leg(uuid))?.variables['current_application'] === 'sleep')
    await press(uuid, '7')
    await slept
    t.is((await recorded).leg.variables['playback_terminator_used'], '7')
  })

  promise('a message that cannot be written hangs up', async (t, { node, leg }) => {
    const uuid = await leg()
    await rejects(t, node.recordMessage(uuid, '/proc/nope/x.wav', { limit: 0, terminators: '' }), 'leg_gone')
    t.false(await node.exists(uuid))
  })

  promise('a hangup is told with its cause, and takes the application with it', async (t, { node, seen, leg }) => {
    const uuid = await leg()
    const playing = node.execute(uuid, 'playback', 'tone_stream://%(60000,0,300)')
    const gone = rejects(t, playing, 'leg_gone')
    await node.hangup(uuid, 'CALL_REJECTED')
    await gone
    t.is((await seen.event('CHANNEL_HANGUP_COMPLETE', uuid)).cause, 'CALL_REJECTED')
    await seen.event('CHANNEL_DESTROY', uuid)
    t.false(await node.exists(uuid))
  })

  promise('a leg that is not there is leg_gone to every verb', async (t, { node, file }) => {
    const uuid = randomUUID()
    t.false(await node.exists(uuid))
    t.is(await node.leg(uuid), undefined)
    await rejects(t, node.hangup(uuid, 'NORMAL_CLEARING'), 'leg_gone')
    await rejects(t, node.interrupt(uuid), 'leg_gone')
    await rejects(t, node.execute(uuid, 'answer'), 'leg_gone')
    await rejects(t, node.record(uuid, file, recording('a')), 'leg_gone')
    await rejects(t, node.stopRecording(uuid, file), 'leg_gone')
    await rejects(t, node.mask(uuid, file), 'leg_gone')
    await rejects(t, node.recordings(uuid), 'leg_gone')
    await rejects(t, node.setVariables(uuid, { callrec_x: 'a', callrec_y: 'b c' }), 'leg_gone')
    await t.notThrowsAsync(node.cancelScheduledHangup(uuid))
  })

  promise('it says whether a file is there', async (t, { node, directory }) => {
    const path = join(directory, `seen-${randomUUID()}`)
    t.false(await node.hasFile(path))
    writeFileSync(path, '')
    t.true(await node.hasFile(path))
    await t.throwsAsync(node.hasFile('/spool/a b'), { message: /path/ })
  })

  promise('what it keeps of the directory is thrown away, one phone or all, kept or not', async (t, { node }) => {
    await t.notThrowsAsync(node.forgetPhones({ name: 'nobody', realm: 'acme.example' }))
    await t.notThrowsAsync(node.forgetPhones())
  })

  promise('a bridge that fails says why, and the leg goes on', async (t, { node, leg, phones }) => {
    const uuid = await leg()
    await node.setVariables(uuid, { continue_on_fail: 'true', hangup_after_bridge: 'false' })
    const { leg: after } = await node.execute(uuid, 'bridge', bridgeArgument([{ ...phones.busy, uuid: randomUUID(), timeout: 10 }]))
    t.is(after.variables['originate_disposition'], 'USER_BUSY')
    t.is((await node.execute(uuid, 'sleep', '10')).leg.uuid, uuid)
  })

  promise('a bridge that nobody answers ends after its timeout', async (t, { node, leg, phones }) => {
    const uuid = await leg()
    await node.setVariables(uuid, { continue_on_fail: 'true', hangup_after_bridge: 'false' })
    const { leg: after } = await node.execute(uuid, 'bridge', bridgeArgument([{ ...phones.never, uuid: randomUUID(), timeout: 1 }]))
    t.is(after.variables['originate_disposition'], 'NO_ANSWER')
  })

  promise('a bridge that succeeds tells of both legs, and afterwards the leg goes on', async (t, { node, seen, leg, phones, file }) => {
    const uuid = await leg()
    const other = randomUUID()
    await node.setVariables(uuid, { continue_on_fail: 'true', hangup_after_bridge: 'false' })
    await node.record(uuid, file, recording('a'))
    const bridged = node.execute(
      uuid,
      'bridge',
      bridgeArgument([{ ...phones.short, uuid: other, timeout: 10, variables: { ...phones.short.variables, callrec_device_id: 'd1' } }]),
    )
    t.like(await seen.event('CHANNEL_ANSWER', other), { leg: { direction: 'outbound', variables: { callrec_device_id: 'd1' } } })
    t.like(await seen.event('CHANNEL_BRIDGE', uuid), { otherLeg: other })
    const { leg: after } = await bridged
    t.like(after.variables, { originate_disposition: 'SUCCESS', bridge_hangup_cause: 'NORMAL_CLEARING' })
    t.is(after.otherLeg, undefined)
    t.is((await seen.event('CHANNEL_HANGUP_COMPLETE', other)).cause, 'NORMAL_CLEARING')
    await seen.event('CHANNEL_UNBRIDGE', uuid)
    t.deepEqual(await node.recordings(uuid), [file])
    t.is((await node.execute(uuid, 'sleep', '10')).leg.uuid, uuid)
    // It never left `park`: the end of the bridge is told by the execute alone.
    t.is(seen.names(uuid).filter(event => event === 'CHANNEL_PARK').length, 1)
  })

  promise('while it is bridged a leg names the other', async (t, { node, seen, leg, phones }) => {
    const uuid = await leg()
    const other = randomUUID()
    await node.setVariables(uuid, { continue_on_fail: 'true', hangup_after_bridge: 'false' })
    const bridged = node.execute(
      uuid,
      'bridge',
      bridgeArgument([
        { ...phones.speaking, uuid: other },
        { ...phones.never, uuid: randomUUID(), delay: 30 },
      ]),
    )
    await seen.event('CHANNEL_BRIDGE', uuid)
    t.is(await until('the other leg', async () => (await node.leg(uuid))?.otherLeg), other)
    await node.hangup(other, 'NORMAL_CLEARING')
    t.is((await bridged).leg.otherLeg, undefined)
  })

  promise('of several legs that nobody answers, each with its timeout, the cause is ALLOTTED_TIMEOUT', async (t, { node, leg, phones }) => {
    const uuid = await leg()
    await node.setVariables(uuid, { continue_on_fail: 'true', hangup_after_bridge: 'false' })
    const { leg: after } = await node.execute(
      uuid,
      'bridge',
      bridgeArgument([
        { ...phones.never, uuid: randomUUID(), timeout: 1 },
        { ...phones.never, uuid: randomUUID(), timeout: 1 },
      ]),
    )
    t.is(after.variables['originate_disposition'], 'ALLOTTED_TIMEOUT')
  })

  promise('of several legs the first to answer is bridged, and no second CHANNEL_PARK follows the bridge', async (t, { node, seen, leg, phones }) => {
    const uuid = await leg()
    const [loser, winner] = [randomUUID(), randomUUID()]
    await node.setVariables(uuid, { continue_on_fail: 'true', hangup_after_bridge: 'false' })
    await node.execute(
      uuid,
      'bridge',
      bridgeArgument([
        { ...phones.never, uuid: loser },
        { ...phones.short, uuid: winner },
      ]),
    )
    t.is((await seen.event('CHANNEL_HANGUP_COMPLETE', loser)).cause, 'LOSE_RACE')
    t.is((await seen.event('CHANNEL_BRIDGE', uuid)).otherLeg, winner)
    await node.execute(uuid, 'sleep', '10')
    t.deepEqual(seen.names(uuid), ['CHANNEL_ANSWER', 'CHANNEL_PARK', 'CHANNEL_BRIDGE', 'CHANNEL_UNBRIDGE'])
  })

  promise('a caller that is hung up leaves its callee with a normal end, whatever its own cause is', async (t, { node, seen, leg, phones }) => {
    const uuid = await leg()
    const other = randomUUID()
    const bridged = rejects(t, node.execute(uuid, 'bridge', bridgeArgument([{ ...phones.speaking, uuid: other }])), 'leg_gone')
    await seen.event('CHANNEL_BRIDGE', uuid)
    await node.hangup(uuid, 'CALL_REJECTED')
    t.is((await seen.event('CHANNEL_HANGUP_COMPLETE', other)).cause, 'NORMAL_CLEARING')
    t.is((await seen.event('CHANNEL_HANGUP_COMPLETE', uuid)).cause, 'CALL_REJECTED')
    await bridged
    await seen.event('CHANNEL_DESTROY', uuid)
    t.deepEqual(seen.names(uuid).slice(2), ['CHANNEL_BRIDGE', 'CHANNEL_UNBRIDGE', 'CHANNEL_HANGUP_COMPLETE', 'CHANNEL_DESTROY'])
  })

  promise('outside text reaches a channel as it is and is never run', async (t, { node, leg, directory }) => {
    const uuid = await leg()
    const touched = join(directory, 'touched')
    const texts = [
      ' two  spaces ',
      "it's",
      "'quoted'",
      '"Bob" <1001>',
      'a\\nb\\sc\\\\d\\',
      'a;b=c,d|e',
      '{a}[b](c)%41&',
      `\${system(touch ${touched})}`,
      'é☎😀',
      "''",
      '^^:a=b',
      '_undef_',
      '+OK',
      '-ERR x',
      '#',
      'a|:b',
    ]
    const variables = Object.fromEntries(texts.map((text, n) => [`callrec_text_${n}`, text]))
    await node.setVariables(uuid, { ...variables, callrec_plain: 'x' })
    const set = (await node.leg(uuid))?.variables ?? {}
    for (const [variable, text] of Object.entries(variables)) t.is(set[variable], text)
    await node.setVariables(uuid, { callrec_text_0: null, callrec_plain: null })
    const unset = (await node.leg(uuid))?.variables ?? {}
    t.false('callrec_text_0' in unset || 'callrec_plain' in unset)
    await node.execute(uuid, 'sleep', '10')
    t.false(existsSync(touched))
  })

  promise('a table on the switch holds what engines agree on: a value is added once, and removed by who knows it', async (t, { node }) => {
    const { table } = node
    const key = `test-${randomUUID()}`
    t.is(await table.read(key), undefined)
    t.false(await table.remove(key, 'a:1'))
    t.true(await table.add(key, 'a:1'))
    t.false(await table.add(key, 'b:1'))
    t.is(await table.read(key), 'a:1')
    await table.write(key, 'a:1:2')
    t.is(await table.read(key), 'a:1:2')
    t.false(await table.remove(key, 'b:1'))
    t.true(await table.remove(key, 'a:1:2'))
    t.is(await table.read(key), undefined)
    // As long as a beat may be, with a URL in it.
    const longest = `a:1:3:${Buffer.alloc(186, 'https://fs1.example').toString('base64url')}-`
    await table.write(key, longest)
    t.is(await table.read(key), longest)
    t.true(await table.remove(key, longest))
    await rejects(t, table.write(key, 'a/b'), 'unsafe_argument')
  })

  promise('when the socket is cut, calls and recordings go on and are found again', async (t, { node, seen, leg, file, cut }) => {
    const uuid = await leg()
    await node.setVariables(uuid, { callrec_node: 'flow/children/_' })
    await node.record(uuid, file, recording('a'))
    const playing = node.execute(uuid, 'playback', 'tone_stream://%(300,0,300)')
    const lost = rejects(t, playing, 'switch_down')
    cut()
    await lost
    await until('the next connection', () => seen.all.some(event => event.name === 'node_up'))
    t.deepEqual(
      seen.all.filter(event => !('leg' in event)).map(event => event.name),
      ['node_down', 'node_up'],
    )
    const found = (await node.legs()).find(one => one.uuid === uuid)
    t.is(found?.variables['callrec_node'], 'flow/children/_')
    t.deepEqual(await node.recordings(uuid), [file])
    t.is((await node.execute(uuid, 'sleep', '10')).leg.uuid, uuid)
    await node.stopRecording(uuid, file)
    t.like(await seen.event('RECORD_STOP', uuid), { variables: { rec_id: 'a' } })
  })
}
