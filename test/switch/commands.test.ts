import test from 'ava'
import fc from 'fast-check'
import { isCode } from '../../src/errors.ts'
import * as commands from '../../src/switch/commands.ts'
import type { Target } from '../../src/switch/commands.ts'

const LEG = 'cccccccc-0000-4000-8000-000000000060'
const FILE = '/var/lib/freeswitch/recordings/p60a.wav'

const refused = (build: () => unknown): boolean => {
  try {
    build()
    return false
  } catch (error) {
    return isCode(error, 'unsafe_argument')
  }
}

// switch_utils.c, cleanup_separated_string(str, 0): what FreeSWITCH makes of the last word of a command.
function asFreeSwitchReads(word: string): string {
  const ends: Record<string, string> = { n: '\n', r: '\r', t: '\t', s: ' ' }
  let out = ''
  let end = 0
  let quoted = false
  const from = word.search(/[^ ]|$/)
  for (let at = from; at < word.length; at += 1) {
    const char = word.charAt(at)
    const next = word.charAt(at + 1)
    if (char === '\\' && (["'", '"', '\\'].includes(next) || next in ends)) {
      out += ends[next] ?? next
      end = out.length
      at += 1
    } else if (char === "'" && (quoted || word.includes("'", at + 1))) {
      quoted = !quoted
      if (quoted) end = out.length
    } else {
      out += char
      if (char !== ' ' || quoted) end = out.length
    }
  }
  return out.slice(0, end)
}

// mod_commands.c, uuid_setvar: the value is the rest of the line, after switch_strip_whitespace. That knows C's blanks
// only; trimEnd would also take a no-break space, which is part of a name.
const valueSent = (command: string): string =>
  asFreeSwitchReads(
    command
      .replace(/[ \t\n\v\f\r]+$/, '')
      .split(' ')
      .slice(3)
      .join(' '),
  )

/** Text as tenants' phones send it, biased to what means something to a switch. */
const outside = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ' ',
      "'",
      '"',
      '\\',
      '\\s',
      '\\n',
      '%41',
      '${',
      '}',
      '{',
      '[',
      ']',
      ';',
      ',',
      '=',
      '|',
      '\n',
      '\r',
      '\0',
      '\t',
      '☎',
      '😀',
      ':',
      '^^',
      'ARRAY::',
      '|:',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  ),
  maxLength: 20,
})
const printable = outside.map(commands.text)

test('a message has its limit, and its silence where that ends it', t => {
  t.is(commands.recordArgument(FILE, { limit: 0 }), `${FILE} 0`)
  t.is(commands.recordArgument(FILE, { limit: 61, silence: { threshold: 200, seconds: 3 } }), `${FILE} 61 200 3`)
  t.true(refused(() => commands.recordArgument('/a/../b.wav', { limit: 0 })))
  for (const wrong of [0, -1, 1.5, Number.NaN, 40_000]) {
    t.true(
      refused(() => commands.recordArgument(FILE, { limit: 0, silence: { threshold: wrong, seconds: 3 } })),
      `threshold ${wrong}`,
    )
    t.true(
      refused(() => commands.recordArgument(FILE, { limit: 0, silence: { threshold: 200, seconds: wrong } })),
      `${wrong} seconds`,
    )
  }
})

test('a recording starts with its limit and its variables, as transcript 60 has it', t => {
  t.is<string, string>(commands.recordStart(LEG, FILE, { limit: 0, variables: { rec_id: '202611-a' } }), `uuid_record ${LEG} start ${FILE} 0 {rec_id=202611-a}`)
  t.is<string, string>(commands.recordStart(LEG, FILE, { limit: 11, variables: {} }), `uuid_record ${LEG} start ${FILE} 11`)
  t.is<string, string>(
    commands.recordStart(LEG, FILE, { limit: 0, variables: { RECORD_STEREO: 'true', rec_id: '' } }),
    `uuid_record ${LEG} start ${FILE} 0 {RECORD_STEREO=true}`,
  )
})

test('an execute is a sendmsg that carries its own id', t => {
  t.is<string, string>(
    commands.execute(LEG, 'e60-play', 'playback', 'tone_stream://%(300,0,300)'),
    `sendmsg ${LEG}\ncall-command: execute\nexecute-app-name: playback\nexecute-app-arg: tone_stream://%(300,0,300)\nevent-lock: true\nEvent-UUID: e60-play`,
  )
  t.is<string, string>(
    commands.execute(LEG, 'e1', 'answer', ''),
    `sendmsg ${LEG}\ncall-command: execute\nexecute-app-name: answer\nevent-lock: true\nEvent-UUID: e1`,
  )
})

test('a bridge is not locked, so that what is played meanwhile is heard', t => {
  t.is<string, string>(
    commands.execute(LEG, 'e1', 'bridge', 'user/a@demo.example'),
    `sendmsg ${LEG}\ncall-command: execute\nexecute-app-name: bridge\nexecute-app-arg: user/a@demo.example\nEvent-UUID: e1`,
  )
})

test('a beep is one tone that goes on by itself, and ends by the same words', t => {
  const tone = 'tone_stream://%(200,14800,1400);loops=-1'
  t.is<string, string>(commands.beep(LEG, 'start', 15), `uuid_displace ${LEG} start ${tone} 0 mux`)
  t.is<string, string>(commands.beep(LEG, 'stop', 15), `uuid_displace ${LEG} stop ${tone}`)
  for (const every of [0, 0.5, Number.NaN, 3601]) t.throws(() => commands.beep(LEG, 'start', every), { code: 'unsafe_argument' })
})

test('a bridge rings all its targets at once, each with its own id, delay and timeout', t => {
  const argument = commands.bridgeArgument(
    [
      { endpoint: 'user/a@demo.example', uuid: 'b1', timeout: 20, variables: { callrec_device_id: 'd1' } },
      { endpoint: 'user/b@demo.example', uuid: 'b2', timeout: 15, delay: 5 },
    ],
    { ignore_early_media: 'true' },
  )
  t.is(
    argument,
    '{ignore_early_media=true}[callrec_device_id=d1,origination_uuid=b1,leg_timeout=20]user/a@demo.example,[origination_uuid=b2,leg_timeout=15,leg_delay_start=5]user/b@demo.example',
  )
  t.notThrows(() => commands.execute(LEG, 'e1', 'bridge', argument))
  t.true(refused(() => commands.bridgeArgument([])))
})

test('a leg is originated into park, with a hangup scheduled in case nobody takes it', t => {
  t.is<string, string>(
    commands.originate({ uuid: LEG, endpoint: 'user/a@demo.example', variables: { callrec_destination: '2001' }, timeoutSeconds: 30 }),
    `originate {callrec_destination=2001,origination_uuid=${LEG},originate_timeout=30,ignore_early_media=true,send_silence_when_idle=-1}user/a@demo.example 'sched_hangup:+30 NORMAL_TEMPORARY_FAILURE,park' inline`,
  )
})

test('simple values are set together, any other alone and null by naming no value', t => {
  t.deepEqual(
    commands.setVariables(LEG, { continue_on_fail: 'true', callrec_node: 'flow/2', callrec_name: "Bob's", hangup_after_bridge: 'false', callrec_gone: null }),
    [
      `uuid_setvar ${LEG} callrec_name Bob\\'s`,
      `uuid_setvar ${LEG} callrec_gone`,
      `uuid_setvar_multi ${LEG} continue_on_fail=true;callrec_node=flow/2;hangup_after_bridge=false`,
    ] as commands.Api[],
  )
  const many = Object.fromEntries(Array.from({ length: 130 }, (_, n) => [`callrec_${n}`, 'x']))
  t.deepEqual(
    commands.setVariables(LEG, many).map(command => command.split(';').length),
    [60, 60, 10],
  )
  t.deepEqual(commands.setVariables(LEG, {}), [])
})

for (const value of [
  ' two  spaces ',
  "it's",
  "'quoted'",
  'a\\nb\\sc\\\\d',
  'a;b=c,d',
  '{a}[b](c)%41<d>&"e"',
  '${system(id)}',
  'é☎😀',
  "''",
  '\\',
  ' ',
  '^^:a=b',
  'trailing\\',
]) {
  test(`the value ${JSON.stringify(value)} reaches a channel as it is`, t => {
    t.is(valueSent(commands.setVariable(LEG, 'callrec_x', value)), value)
  })
}

test('every text made fit by text() reaches a channel as it is, in one line', t => {
  fc.assert(
    fc.property(printable, value => {
      const command = commands.setVariable(LEG, 'effective_caller_id_name', value)
      return !/[\n\r\0]/.test(command) && valueSent(command) === value
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

test('text() leaves no control character and takes nothing else away', t => {
  t.is(commands.text('Bob\n\napi shutdown\r\0\u0085\u2028x'), 'Bob  api shutdown    x')
  t.is(commands.text('ARRAY::a|:b'), 'ARRAY:a|:b')
  t.is(commands.text('Zoë "Z" 😀'), 'Zoë "Z" 😀')
})

test('a value with a control character is refused where it was not made fit', t => {
  for (const value of ['a\nb', 'a\r', '\0', 'a\n\napi shutdown', '\u0007'])
    t.true(
      refused(() => commands.setVariable(LEG, 'callrec_x', value)),
      JSON.stringify(value),
    )
  t.true(refused(() => commands.setVariable(LEG, 'callrec_x', 'ARRAY::a|:b')))
  for (const one of ['x', ' ']) t.true(refused(() => commands.setVariable(LEG, 'callrec_x', `a${one.repeat(1 << 20)}b`)))
})

const BUILDERS: Record<string, (text: string) => string | string[]> = {
  'leg of exists': text => commands.exists(text),
  'leg of dump': text => commands.dump(text),
  'leg of buglist': text => commands.buglist(text),
  'leg of interrupt': text => commands.interrupt(text),
  'leg of kill': text => commands.kill(text, 'USER_BUSY'),
  'cause of kill': text => commands.kill(LEG, text),
  'leg of sched_del': text => commands.schedDel(text),
  'name of a phone': text => commands.flushDirectory({ name: text, realm: 'demo.example' }),
  'realm of a phone': text => commands.flushDirectory({ name: 'alice', realm: text }),
  'module of module_exists': text => commands.moduleExists(text),
  'path of a start': text => commands.recordStart(LEG, text, { limit: 0, variables: {} }),
  'path of a stop': text => commands.record(LEG, 'stop', text),
  'name of a recording variable': text => commands.recordStart(LEG, FILE, { limit: 0, variables: { [text]: 'x' } }),
  'value of a recording variable': text => commands.recordStart(LEG, FILE, { limit: 0, variables: { rec_id: text } }),
  'name of a variable': text => commands.setVariables(LEG, { [text]: 'x' }),
  'value of a variable': text => commands.setVariables(LEG, { callrec_x: text }),
  'leg of a variable': text => commands.setVariables(text, { callrec_x: 'x', callrec_y: 'a b' }),
  'endpoint of originate': text => commands.originate({ uuid: LEG, endpoint: text, variables: {}, timeoutSeconds: 5 }),
  'user of originate': text => commands.originate({ uuid: LEG, endpoint: `user/${text}@demo.example`, variables: {}, timeoutSeconds: 5 }),
  'variable of originate': text => commands.originate({ uuid: LEG, endpoint: 'user/a@b', variables: { callrec_x: text }, timeoutSeconds: 5 }),
  'endpoint of bridge': text => commands.execute(LEG, 'e', 'bridge', commands.bridgeArgument([{ endpoint: `user/${text}@demo.example` }])),
  'variable of bridge': text => commands.execute(LEG, 'e', 'bridge', commands.bridgeArgument([{ endpoint: 'user/a@b', variables: { callrec_x: text } }])),
  'argument of playback': text => commands.execute(LEG, 'e', 'playback', text),
  'argument of bridge': text => commands.execute(LEG, 'e', 'bridge', text),
  'argument of transfer': text => commands.execute(LEG, 'e', 'transfer', text),
  'name of an application': text => commands.execute(LEG, 'e', text, ''),
  'leg of execute': text => commands.execute(text, 'e', 'answer', ''),
  'id of execute': text => commands.execute(LEG, text, 'answer', ''),
}

/** Line feeds, and API words, a harmless text would lead to. */
const shapeOf = (built: string | string[]): number[] => [built].flat().map(command => command.split('\n').length)

test('no outside text adds a line to a command, wherever it is put', t => {
  for (const [place, build] of Object.entries(BUILDERS)) {
    fc.assert(
      fc.property(outside, text => {
        let built: string | string[]
        try {
          built = build(text)
        } catch (error) {
          return isCode(error, 'unsafe_argument')
        }
        const lines = shapeOf(built)
        return [built].flat().every(command => !/[\r\0]|\n\n/.test(command)) && lines.every(count => count === 1 || count === 5 || count === 6)
      }),
      { numRuns: 300 },
    )
    t.pass(place)
  }
})

test('no outside text separates, quotes or expands in a dial string or an execute argument', t => {
  for (const place of [
    'user of originate',
    'variable of originate',
    'endpoint of bridge',
    'variable of bridge',
    'argument of playback',
    'argument of transfer',
    'value of a recording variable',
  ]) {
    for (const evil of [
      '${system(id)}',
      'a,b',
      'a b',
      'a[b',
      'a]b',
      'a{b',
      'a}b',
      'a|b',
      "a'b",
      'a"b',
      'a\\b',
      'a&b',
      'a\nb',
      'a$b',
      ':_:',
      'system:touch inline',
    ]) {
      if (place === 'argument of playback' && evil === 'a b') continue
      if (evil === ':_:' && (place.startsWith('variable') || place.startsWith('value'))) continue
      t.true(
        refused(() => BUILDERS[place]?.(evil)),
        `${place}: ${evil}`,
      )
    }
  }
})

test('a path is absolute, whitelisted and goes nowhere up', t => {
  const bad = [
    'x.wav',
    './x.wav',
    '/a/../b.wav',
    '/..',
    '/a//b.wav',
    '/a b.wav',
    '/a/',
    'all',
    '/a;b',
    '/ä.wav',
    '/a\n.wav',
    'http://x/y.wav',
    `/${'x'.repeat(256)}`,
    '',
  ]
  for (const path of bad)
    t.true(
      refused(() => commands.record(LEG, 'stop', path)),
      path,
    )
  t.notThrows(() => commands.record(LEG, 'stop', `/${'x'.repeat(255)}`))
})

test('a variable that callrec does not set is refused by name, those that run something above all', t => {
  for (const name of [
    'api_on_answer',
    'api_on_record_start',
    'execute_on_answer',
    'exec_after_bridge_app',
    'ringback',
    'RECORD_APPEND',
    'callrec_',
    'callrec_x y',
    'callrec_x=y',
    'callrec_x[0]',
    '_body',
    '__proto__',
    'constructor',
    '',
  ]) {
    t.true(
      refused(() => commands.setVariables(LEG, { [name]: 'x' })),
      name,
    )
    t.true(
      refused(() => commands.setVariables(LEG, Object.fromEntries([[name, null]]))),
      name,
    )
  }
  for (const name of ['RECORD_APPEND', 'api_on_record_stop', 'callrec_x', 'constructor']) {
    t.true(
      refused(() => commands.recordStart(LEG, FILE, { limit: 0, variables: { [name]: 'true' } })),
      name,
    )
  }
  t.true(refused(() => commands.setVariables(LEG, { continue_on_fail: 'maybe' })))
})

test('an application outside the list is never executed, nor one with an argument it may not have', t => {
  for (const [app, argument] of [
    ['system', 'id'],
    ['lua', 'x'],
    ['set', 'a=b'],
    ['nosuch', ''],
    ['constructor', ''],
    ['answer', 'x'],
    ['sleep', '1s'],
    ['bridge', ''],
    ['bridge', 'user/a@b,'],
    ['bridge', '{a=${b}}user/a@b'],
    ['hangup', 'user busy'],
    ['playback', '/a/../b.wav'],
    ['playback', 'shell_stream:///bin/id'],
    ['record', '/a.wav 1 2 3 4'],
  ] as const) {
    t.true(
      refused(() => commands.execute(LEG, 'e', app, argument)),
      `${app} ${argument}`,
    )
  }
  for (const [app, argument] of [
    ['sleep', '1000'],
    ['hangup', 'USER_BUSY'],
    ['hangup', ''],
    ['playback', '/sounds/a.wav'],
    ['playback', 'ivr/ivr-welcome.wav'],
    ['record', '/a.wav 60 200 3'],
    ['respond', '486 Busy Here'],
    ['bridge', 'error/USER_BUSY'],
    ['transfer', '2001 XML default'],
    ['bridge', 'sofia/main/1000@127.0.0.1:5080'],
    ['bridge', 'loopback/9999/default'],
  ] as const) {
    t.notThrows(() => commands.execute(LEG, 'e', app, argument), `${app} ${argument}`)
  }
})

test('whatever bridgeArgument builds, execute takes', t => {
  const simple = fc.stringMatching(/^[A-Za-z0-9._+*#~-]{1,12}$/)
  const target = fc.record<Target>({
    endpoint: simple.map(name => `user/${name}@demo.example`),
    uuid: fc.uuid(),
    timeout: fc.integer({ min: 1, max: 60 }),
    delay: fc.integer({ min: 0, max: 30 }),
    variables: fc.dictionary(fc.constantFrom('callrec_a', 'callrec_b'), simple),
  })
  fc.assert(
    fc.property(fc.array(target, { minLength: 1, maxLength: 5 }), targets => {
      commands.execute(LEG, 'e', 'bridge', commands.bridgeArgument(targets))
    }),
  )
  t.pass()
})

test('numbers are whole and within bounds; a number is no leg whose tasks could be deleted', t => {
  for (const limit of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) t.true(refused(() => commands.recordStart(LEG, FILE, { limit, variables: {} })))
  t.true(refused(() => commands.originate({ uuid: LEG, endpoint: 'user/a@b', variables: {}, timeoutSeconds: 0 })))
  t.true(refused(() => commands.schedDel('17')))
  t.true(refused(() => commands.password('Clue\n\napi shutdown')))
})

test('a phone is forgotten by name and realm, and never all of them for want of a name', t => {
  t.is(String(commands.flushDirectory({ name: 'alice', realm: 'demo.example' })), 'xml_flush_cache id alice demo.example')
  t.is(String(commands.flushDirectory()), 'xml_flush_cache')
  t.true(refused(() => commands.flushDirectory({ name: '', realm: '' })))
})

test('a refusal names the argument and never repeats it', t => {
  const error = t.throws(() => commands.exists('secret\nvalue'))
  t.true(isCode(error, 'unsafe_argument'))
  t.notRegex(error?.message ?? '', /secret/)
  t.regex(error?.message ?? '', /^uuid: /)
})

test('what a phone is shown has nothing in it that a SIP header takes for its end, and reads the same otherwise', t => {
  for (const [outside, shown] of [
    ["Zoë O'Hara 😀, (2) <x>", "Zoë O'Hara 😀, (2) <x>"],
    ['O\\"B\\" "C"', "O'B' 'C'"],
    ['ends\\', 'ends '],
    ['a\\\\b', 'a b'],
    ['line\r\nfeed', 'line  feed'],
    ['100% %0a%zz', '100% %250a%zz'],
    ['ARRAY::a|:b', 'ARRAY:a|:b'],
  ] as const)
    t.is(commands.displayable(outside), shown)
})

test('speech is words and nothing that the switch could take for more', t => {
  t.is(commands.speechArgument('Press 1, please!'), 'flite|slt|Press 1, please!')
  for (const text of ['', '${system(rm)}', 'a|b', "don't", 'a\nb', 'Grüße', 'a{b}', 'a'.repeat(1501)]) {
    t.throws(() => commands.speechArgument(text), { message: /spoken/ }, text)
    t.throws(() => commands.execute(LEG, 'id', 'speak', `flite|slt|${text}`), { message: /speak/ }, text)
  }
  t.throws(() => commands.execute(LEG, 'id', 'speak', 'cepstral|david|Hello'), { message: /speak/ })
  t.notThrows(() => commands.execute(LEG, 'id', 'speak', commands.speechArgument('Hello')))
})

test('a question takes # for its end, or for one of its digits', t => {
  const question = { most: 4, timeoutMs: 3000, betweenMs: 2000, sound: 'silence_stream://1' }
  t.is(commands.digitsArgument(question), '1 4 1 3000 # silence_stream://1 silence_stream://1 callrec_digits [0-9*] 2000')
  const open = commands.digitsArgument({ ...question, hashEnds: false })
  t.is(open, '1 4 1 3000 none silence_stream://1 silence_stream://1 callrec_digits [0-9*#] 2000')
  t.notThrows(() => commands.execute(LEG, 'id', 'play_and_get_digits', open))
  t.throws(() => commands.execute(LEG, 'id', 'play_and_get_digits', open.replace('none', 'any')), { message: /play_and_get_digits/ })
})
