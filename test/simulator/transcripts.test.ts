// The embedded switch against what a real FreeSWITCH 1.11.2 sent (test/fixtures/esl): the client's bytes are sent again,
// replies are compared byte for byte and events by name, order and headers. What differs on purpose stands in `CANNOT`.

import test, { type ExecutionContext } from 'ava'

import { type Client, eventsOf, type EventHeaders, type Frame, type Harness, simulate, type Step, transcript } from './harness.ts'

/** Command → the simulator's answer, with the reason. */
const CANNOT: Readonly<Record<string, string>> = {
  // It has no mod_shout, so that the wav fallback is exercised everywhere.
  'api module_exists mod_shout': 'false',
  // It has no mod_native_file: a path without an extension cannot be recorded.
  'api uuid_record aaaaaaaa-0000-4000-8000-000000000001 start DIR': '-ERR Cannot record session!\n',
}

const DIR = '/var/lib/freeswitch/recordings'

interface Replay {
  harness: Harness
  client: Client
  /** Rewrites what only that machine had: its directory and its SIP profile. */
  translate?: (sent: string) => string
  /** Keeps the pace of the capture by the manual clock. */
  paced?: boolean
  /** Runs after each note of the capture. */
  note?: (text: string) => Promise<void>
}

/** Sends what the client sent and compares the replies; the events stay in `client.events`. */
async function replay(t: ExecutionContext, steps: readonly Step[], { harness, client, translate = text => text, paced, note }: Replay): Promise<void> {
  let at = steps[0]?.at ?? 0
  for (const step of steps) {
    if (paced && step.at > at) {
      harness.clock.advance((step.at - at) * 1000)
      at = step.at
    }
    if (step.note !== undefined) await note?.(step.note)
    if (step.sent !== undefined) client.send(translate(step.sent.replaceAll(DIR, harness.dir)))
    for (const frame of step.received ?? []) {
      if (frame.headers.get('Content-Type')?.startsWith('text/event-')) continue
      const command = lastSent(steps, step)
      const expected = { head: frame.head, body: frame.body }
      const gap = CANNOT[command.replaceAll(DIR, 'DIR')]
      const got = await client.reply()
      if (gap !== undefined) t.is(got.body, gap, command)
      else t.deepEqual(comparable(got, harness.dir), comparable({ ...frame, ...expected }, DIR), command)
    }
  }
}

const lastSent = (steps: readonly Step[], until: Step): string =>
  steps
    .slice(0, steps.indexOf(until))
    .findLast(step => step.sent !== undefined)
    ?.sent?.trim() ?? ''

/** What is left to compare: ids of jobs, numbers of the status page and the directory are replaced, lengths are exact otherwise. */
function comparable({ head, body }: Frame, dir: string): string {
  if (body.startsWith('UP ')) return body.replace(/\d+/g, 'N').replace(/(year|day|hour|minute|second)s/g, '$1')
  const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
  if (body.includes(dir)) return body.replaceAll(dir, 'DIR')
  return (head.includes('Job-UUID') && !head.includes('11111111') ? head.replace(uuid, 'UUID') : head) + body
}

for (const name of ['01-auth-ok.txt', '03-events-plain.txt', '04-events-json.txt', '05-events-xml.txt']) {
  test(`the session of ${name} runs the same, byte for byte in its replies`, async t => {
    const harness = await simulate(t)
    const client = await harness.raw()
    const steps = transcript(name)
    await replay(t, steps, { harness, client })
    await client.closed
    const real = steps.flatMap(step => eventFrames(step.received ?? []))
    const ours = eventFrames(client.frames)
    t.deepEqual(ours.map(shape), real.map(shape))
  })
}

const eventFrames = (frames: readonly Frame[]): Frame[] => frames.filter(frame => frame.headers.get('Content-Type')?.startsWith('text/event-'))

/** An event frame with everything that depends on the machine and the moment taken out. */
const shape = ({ head, body }: Frame): string =>
  (head + body)
    .replace(/^Content-Length: \d+\n/, '')
    .replace(/((?:Core-UUID|FreeSWITCH-\w+|Event-Date-\w+|Event-Calling-[\w-]+|Event-Sequence|Job-UUID)(?:": ?"|>|: ))[^"<\n]*/g, '$1X')

test('a wrong password is refused and the connection closed; a command before auth is unknown and the connection stays', async t => {
  const harness = await simulate(t)
  const steps = transcript('02-auth-wrong.txt')
  const cut = steps.findIndex(step => step.note === 'new connection')
  const first = await harness.raw()
  await replay(t, steps.slice(0, cut), { harness, client: first })
  await first.closed
  await replay(t, steps.slice(cut), { harness, client: await harness.raw() })
})

/** A bridged call whose a-leg says 440 Hz and hears 1000 Hz, as in the captures. */
async function bridgedCall(harness: Harness, uuid: string, variables = ''): Promise<void> {
  const client = await harness.client()
  client.send(
    `bgapi originate {origination_uuid=${uuid}${variables},callrec_destination=x,callrec_simulator_seconds=60}user/tone440@x &bridge(user/tone1000@x)\n\n`,
  )
  await client.reply()
  await client.barrier()
  harness.clock.advance(2000)
}

test('transcript 10: start, mask, pause, limit, variables and stop all give the same answers, events and lengths', async t => {
  // The capture began 0.978 s into a second of its clock, which decides when a limit of whole seconds strikes.
  const harness = await simulate(t, { start: 58_978 })
  await bridgedCall(harness, 'aaaaaaaa-0000-4000-8000-000000000001')
  const client = await harness.raw()
  const steps = transcript('10-uuid-record-lifecycle.txt')
  await replay(t, steps, { harness, client, paced: true })
  const real = steps.flatMap(step => eventsOf(step.received ?? []))
  const keys =
    /^(Event-Name|Unique-ID|Channel-State|Channel-Call-State|Answer-State|Record|Recording-Variable|variable_record_completion_cause|variable_current_app|Other-Type)/
  const of = (event: EventHeaders, dir: string): [string, string][] =>
    Object.entries(event)
      .filter(([name]) => keys.test(name))
      .map(([name, value]) => [name, value.replaceAll(dir, 'DIR').replace(/(sofia\/main|user)\/|(:5080|@x|@127.0.0.1)/g, '')])
  t.deepEqual(
    client.events.map(event => of(event, harness.dir)),
    real.map(event => of(event, DIR)),
  )
  for (const [i, event] of client.events.entries()) {
    const [ours, theirs] = [Number(event['variable_record_ms'] ?? 0), Number(real[i]?.['variable_record_ms'] ?? 0)]
    t.true(Math.abs(ours - theirs) <= 40, `event ${i}: ${ours} ms here, ${theirs} ms there`)
  }
})

test('transcript 11: every refusal of uuid_record has the same words', async t => {
  const harness = await simulate(t)
  await bridgedCall(harness, 'aaaaaaaa-0000-4000-8000-000000000001')
  const other = await harness.client()
  await replay(t, transcript('11-uuid-record-errors.txt'), {
    harness,
    client: await harness.raw(),
    async note(text) {
      const cause = await other.api('uuid_getvar aaaaaaaa-0000-4000-8000-000000000001 record_completion_cause')
      t.is(`record_completion_cause=${cause}`, text)
    },
  })
})

test('transcript 12: RECORD_STOP at a hangup, and one that RECORD_MIN_SEC discards, say the same', async t => {
  const harness = await simulate(t)
  const real = transcript('12-record-stop-variants.txt').flatMap(step => eventsOf(step.received ?? []))
  const ours: EventHeaders[] = []
  for (const [i, variables] of ['', ',RECORD_MIN_SEC=5'].entries()) {
    const uuid = `aaaaaaaa-0000-4000-8000-00000000000${i + 1}`
    await bridgedCall(harness, uuid, variables)
    const client = await harness.client('RECORD_STOP')
    t.is(await client.api(`uuid_record ${uuid} start ${harness.dir}/s${i + 1}.wav`), '+OK Success\n')
    harness.clock.advance(1000)
    await client.api(i === 0 ? `uuid_kill ${uuid}` : `uuid_record ${uuid} stop all`)
    ours.push(await client.until(() => true))
    await client.api(`uuid_kill ${uuid}`)
  }
  const keys = /^(Record-|variable_record_|variable_RECORD_)/
  const of = (event: EventHeaders | undefined): Record<string, string> =>
    Object.fromEntries(
      Object.entries(event ?? {})
        .filter(([name]) => keys.test(name))
        .map(([name, value]) => [name, value.replace(/^.*\//, '')]),
    )
  t.deepEqual(ours.map(of), real.slice(0, 2).map(of))
  // In the capture the first one was hung up: the state shows it.
  t.like(ours[0], { 'Channel-State': real[0]?.['Channel-State'] ?? '', 'Channel-State-Number': '10', 'Answer-State': 'hangup' })
})

for (const name of ['40-injection-lf.txt', '41-setvar-escaping.txt']) {
  test(`${name}: what a line feed, a quote and a backslash do is the same`, async t => {
    const harness = await simulate(t)
    await bridgedCall(harness, '0acdaa0f-6fad-410a-8401-3faf26a72c7b')
    await replay(t, transcript(name), { harness, client: await harness.raw(), translate: sent => sent.replace('/tmp/x', `${harness.dir}/x.wav`) })
  })
}

test('transcript 60: a parked call is driven through playback, a failed and a good bridge with the same events in the same order', async t => {
  const harness = await simulate(t)
  const client = await harness.raw()
  const steps = transcript('60-parked-call.txt')
  await replay(t, steps, {
    harness,
    client,
    paced: true,
    // The far ends were dialplans of the same machine; here they are phones that behave so.
    translate: sent =>
      sent
        .replace('sofia/main/tone440@127.0.0.1:5080', 'user/tone440@x')
        .replace('sofia/main/busy@127.0.0.1:5099', '[callrec_simulator_answer=NORMAL_TEMPORARY_FAILURE]user/busy@x')
        .replace('}sofia/main/short700@127.0.0.1:5080', ',callrec_simulator_seconds=0.7}user/short700@x'),
  })
  await client.barrier()
  // Legs of the far ends are left out; the failed leg's uuid is random.
  const real = steps
    .flatMap(step => eventsOf(step.received ?? []))
    .filter(event => event['Unique-ID']?.startsWith('cccccccc') || event['Unique-ID']?.startsWith('50c40f5f'))
  t.deepEqual(
    client.events.map(event => facts(event, harness.dir)),
    real.map(event => facts(event, DIR)),
  )
  t.deepEqual(invented(client.events, real), [])
})

const FACTS = [
  'Event-Name Hangup-Cause Channel-State Channel-State-Number Channel-HIT-Dialplan Call-Direction Answer-State Other-Type Other-Leg-Destination-Number',
  'Bridge-A-Unique-ID Bridge-B-Unique-ID Record-File-Path Recording-Variable-rec_id Record-Completion-Cause Application Application-Response',
  'Caller-Direction Caller-Dialplan Caller-Caller-ID-Name Caller-Caller-ID-Number Caller-Callee-ID-Name Caller-Callee-ID-Number Caller-Destination-Number',
  'Caller-Orig-Caller-ID-Number Caller-Profile-Index Caller-Source Caller-Context variable_continue_on_fail variable_hangup_after_bridge',
  'variable_originate_disposition variable_DIALSTATUS variable_originate_failed_cause variable_last_bridge_hangup_cause variable_bridge_hangup_cause',
  'variable_sip_invite_failure_status variable_hangup_cause variable_hangup_cause_q850 variable_playback_ms variable_current_application',
  'variable_current_application_response variable_record_completion_cause variable_channel_cid_flipped variable_read_rate',
].flatMap(line => line.split(' '))

function facts(event: EventHeaders, dir: string): Record<string, string | undefined> {
  const found = Object.fromEntries(FACTS.map(name => [name, event[name]?.replaceAll(dir, 'DIR')]))
  const uuid = event['Unique-ID'] ?? ''
  const id = event['Application-UUID'] ?? ''
  // Ringing is one step more than the captured far ends took.
  const callState = event['Event-Name'] === 'CHANNEL_ANSWER' ? '' : event['Channel-Call-State']
  return { ...found, leg: uuid.startsWith('cccccccc') ? uuid : 'failed', id: id.startsWith('e60') ? id : '', callState }
}

/** Names of headers that the real event of the same place does not have, phones' own and SIP's apart. */
function invented(ours: readonly EventHeaders[], real: readonly EventHeaders[]): string[] {
  const known = new Set(real.flatMap(event => Object.keys(event)))
  const allowed = /^variable_(callrec_|dialed_|sip_|last_bridge_role|leg_)/
  return [...new Set(ours.flatMap(event => Object.keys(event)))].filter(name => !known.has(name) && !allowed.test(name))
}
