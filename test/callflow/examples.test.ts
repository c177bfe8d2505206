import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import { packagePath } from '../../src/root.ts'
import type { Doc } from '../../src/store/store.ts'
import type { BridgeScript } from '../helpers/switches.ts'
import { ALICE, ALICE_PHONE, answering, BOB, BOB_PHONE, documents, nowhere, world } from './world.ts'

const FOLDER = packagePath('callflows')
const names = readdirSync(FOLDER)
  .filter(file => file.endsWith('.json'))
  .map(file => file.slice(0, -'.json'.length))

const numberOf = (name: string): string => {
  const numbers = examples[name]?.['numbers']
  return Array.isArray(numbers) ? String(numbers[0]) : ''
}

const people: Readonly<Record<string, string>> = { alice: ALICE, bob: BOB, 'alice-phone': ALICE_PHONE, 'bob-phone': BOB_PHONE }
const idOf = (name: string): string => people[name] ?? Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32)

/** Documents that examples refer to, by their names. */
const parts = ['menus', 'temporal_rules'].flatMap(resource =>
  Object.entries(JSON.parse(readFileSync(`${FOLDER}/parts/${resource}.json`, 'utf8')) as Record<string, object>).map(
    ([name, fields]) => [name, { ...fields, _id: idOf(name), pvt_type: resource.slice(0, -1) }] as const,
  ),
)
/** A rule's id is the key of a child as well. */
const withIds = (text: string): string => parts.reduce((done, [name]) => done.replaceAll(`"${name}"`, `"${idOf(name)}"`), text)

/** As an account has them: names become ids. */
const examples: Record<string, Doc> = Object.fromEntries(
  names.map(name => {
    const fields = JSON.parse(withIds(readFileSync(`${FOLDER}/${name}.json`, 'utf8')), (key, value: unknown) =>
      key === 'id' && typeof value === 'string' && (value in people || names.includes(value)) ? idOf(value) : value,
    ) as object
    return [name, { ...fields, _id: idOf(name), pvt_type: 'callflow' }]
  }),
)

interface Case {
  /** Who is rung, by whom of the people; what else runs, word by word. */
  hears: string[]
  cause?: string
  bridges?: BridgeScript[]
  /** Milliseconds the clock has to turn. */
  turns?: number
  /** He hangs up once he has heard all of it. */
  stays?: boolean
  recorded?: string[]
  /** Origins of messages. */
  spoken?: string[]
  /** What the account has beside people, phones and callflows. */
  documents?: Record<string, Doc>
  presses?: string[]
  /** The flow a tenant's server answers with; without it there is none. */
  answers?: object
  /** An error is part of it. */
  fails?: boolean
  /** What the switch has. */
  modules?: Readonly<Record<string, boolean>>
}

function said(line: string): string {
  const [, gateway, number] = /sofia\/gateway\/(\w+)\/([\d+]+)/.exec(line) ?? []
  if (number !== undefined) return `bridge to ${number} by ${gateway}`
  if (line.startsWith('conference')) return 'conference'
  return line.startsWith('bridge') ? `rings ${/user\/(\w+)@/.exec(line)?.[1]}` : line
}

const bob = 'rings bob'
const alice = 'rings alice'
const ASKS = 'play_and_get_digits 1 1 1 3000 # tone_stream://%(200,100,440) silence_stream://1 callrec_digits [0-9*] 2000'
const CASES: Record<string, Case[]> = {
  'call-alice': [{ hears: [alice] }],
  'call-bob': [{ hears: [bob] }, { hears: [bob], bridges: [{ cause: 'NO_ANSWER' }] }],
  device: [{ hears: [bob] }],
  'record-part': [
    {
      hears: ['answer', 'playback tone_stream://%(1000,0,300)', 'playback tone_stream://%(2000,0,600)', 'playback tone_stream://%(1000,0,300)'],
      recorded: ['callflow : the middle'],
    },
  ],
  'play-and-hang-up': [{ hears: ['answer', 'playback tone_stream://%(500,250,440);%(500,250,550);loops=2'] }],
  busy: [{ hears: [], cause: 'USER_BUSY' }],
  sleep: [{ hears: ['answer', 'playback tone_stream://%(500,0,440)'], turns: 1500 }],
  'by-cause': [
    { hears: [bob] },
    { hears: [bob, 'answer', 'playback tone_stream://%(500,500,480,620);loops=3'], bridges: [{ cause: 'USER_BUSY', sip: '486' }] },
    { hears: [bob, alice], bridges: [{ cause: 'NO_ANSWER' }, { answered: true }] },
    { hears: [bob], bridges: [{ cause: 'USER_NOT_REGISTERED', never: true }], cause: 'NO_ANSWER' },
  ],
  'dead-air': [{ hears: ['answer', 'playback silence_stream://-1'], stays: true }],
  'by-caller': [{ hears: ['answer', 'playback tone_stream://%(300,0,660)'], cause: 'NO_ANSWER' }],
  'ring-group': [
    { hears: [alice, bob], bridges: [{ cause: 'NO_ANSWER' }, { answered: true }] },
    { hears: [alice, bob, alice, bob], bridges: [{ cause: 'NO_ANSWER' }], cause: 'NO_ANSWER' },
  ],
  outside: [
    { hears: [], cause: 'UNALLOCATED_NUMBER' },
    { hears: ['bridge to +498912345678 by trunk'], documents: { trunk: { _id: '9'.repeat(32), pvt_type: 'resource', gateways: [{ gateway: 'trunk' }] } } },
  ],
  menu: [
    { hears: ['answer', ASKS, 'playback tone_stream://%(300,0,500)'], presses: ['1'] },
    { hears: ['answer', ASKS, bob], presses: ['2'] },
    { hears: ['answer', ASKS, 'playback tone_stream://%(300,0,300)'] },
    { hears: ['answer', ASKS, ASKS, ASKS], presses: ['7', '8', '9'] },
  ],
  'office-hours-only': [
    { hears: [bob] },
    {
      hears: ['answer', 'playback tone_stream://%(300,300,350);loops=3'],
      documents: { 'office-hours': { _id: idOf('office-hours'), pvt_type: 'temporal_rule', enabled: false } },
    },
  ],
  transfer: [{ hears: ['answer', 'playback tone_stream://%(100,0,880)', bob] }],
  say: [{ hears: ['answer', 'playback tone_stream://%(200,100,300);loops=3'], fails: true }],
  message: [{ hears: ['answer', 'playback tone_stream://%(500,250,880)', 'playback tone_stream://%(200,100,660);loops=2'], spoken: ['caller : Message'] }],
  pivot: [
    { hears: ['answer', 'playback tone_stream://%(100,0,300)'], answers: { module: 'play', data: { id: 'tone_stream://%(100,0,300)' } } },
    { hears: [], cause: 'NORMAL_TEMPORARY_FAILURE', fails: true },
  ],
  ncco: [
    { hears: ['answer', bob], recorded: ['ncco'] },
    { hears: ['answer', bob], bridges: [{ cause: 'USER_BUSY' }], recorded: ['ncco'] },
  ],
  room: [
    { hears: ['answer', 'conference'], recorded: ['ncco'], modules: { mod_conference: true } },
    { hears: ['answer', 'playback tone_stream://%(200,100,300);loops=3'], fails: true },
  ],
  'pay-by-phone': [{ hears: [bob] }],
  'told-and-asked': [{ hears: ['answer', bob], recorded: ['callflow : told'] }],
  'recording-servers': [{ hears: ['answer', 'playback tone_stream://%(300,0,440)', bob] }],
  stay: [{ hears: ['answer', 'playback tone_stream://%(300,0,440)'], stays: true }],
  nested: [
    { hears: ['answer', 'playback tone_stream://%(300,200,440)', bob] },
    {
      hears: ['answer', 'playback tone_stream://%(300,200,440)', bob, 'playback tone_stream://%(1000,0,300)'],
      bridges: [{ cause: 'USER_BUSY' }],
    },
  ],
}

for (const name of names) {
  test(`callflows/${name}.json does what its README says`, async t => {
    const cases = CASES[name] ?? []
    t.true(cases.length > 0, 'no case is known for it')
    for (const {
      hears,
      cause = 'NORMAL_CLEARING',
      bridges = [],
      turns,
      stays = false,
      recorded = [],
      spoken = [],
      documents: more = {},
      presses = [],
      answers,
      fails = false,
      modules = {},
    } of cases) {
      const { callflow: _, ...rest } = documents({ module: 'hangup' })
      const { fake, clock, dial, over, idle, recording, lines } = world(
        t,
        { ...rest, ...examples, ...Object.fromEntries(parts), ...more },
        { http: answers === undefined ? nowhere : answering(answers) },
      )
      fake.bridges.push(...bridges)
      Object.assign(fake.modules, modules)
      fake.pressed.push(...presses)
      // Somebody who is not Alice calls, so that she too can be rung.
      const leg = dial(numberOf(name), { variables: { callrec_device_id: '' } })
      if (turns !== undefined) {
        while (clock.waits().length === 0) await new Promise(resolve => setImmediate(resolve))
        clock.advance(turns)
      }
      if (stays) {
        await fake.until(hears.at(-1)?.split(' ')[0] ?? '')
        fake.hangup(leg)
        await idle()
      } else t.is(await over(), cause)
      t.deepEqual(fake.executed().map(said), hears)
      t.deepEqual(
        recording.started.map(({ origin }) => origin),
        recorded,
      )
      t.deepEqual(
        recording.spoken.map(({ origin }) => origin),
        spoken,
      )
      t.is(
        lines.some(({ level }) => level === 'error'),
        fails,
      )
    }
  })
}

test('the README names every example and its number, and no other', t => {
  const rows = [...readFileSync(`${FOLDER}/README.md`, 'utf8').matchAll(/^\| `([\w-]+)\.json`\s+\| (\w+)\s+\|/gm)].map(([, name, number]): [string, string] => [
    name ?? '',
    number ?? '',
  ])
  t.deepEqual(Object.fromEntries(rows), Object.fromEntries(names.map(name => [name, numberOf(name)])))
})
