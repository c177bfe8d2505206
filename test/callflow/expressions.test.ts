import test from 'ava'
import { checkFlow } from '../../src/api/validation/flow.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { createValidator } from '../../src/api/validation/validate.ts'
import { modules } from '../../src/callflow/executor.ts'
import { expressionsIn, fill, type Scope } from '../../src/callflow/expressions.ts'

const known: Record<string, string> = { 'vars.x': 'X', 'vars.yes': 'true', 'call.caller_id_name': 'a/../b?&é\ud800', 'vars.nested': '{{vars.x}}' }
const scope: Scope = (root, name) => known[`${root}.${name}`]
const filled = (text: unknown, key = 'k'): unknown => fill({ [key]: text }, scope).data[key]
const why = (text: string): string[] => expressionsIn({ a: [text] }).faults.map(fault => `${fault.path.join('.')}: ${fault.expression}: ${fault.why}`)

test('an expression is replaced wherever it stands, at any depth', t => {
  t.deepEqual(filled({ a: ['1{{vars.x}}2{{ vars.x }}'], b: 7, c: null }), { a: ['1X2X'], b: 7, c: null })
})
test('what was put in is not looked at again', t => t.is(filled('{{vars.nested}}!'), '{{vars.x}}!'))
test('alone it may spell yes or no, within a text it is text', t => {
  t.is(filled('{{vars.yes}}'), true)
  t.is(filled('{{vars.yes}}.'), 'true.')
})
test('one that yields nothing takes what stands behind the bar, which may be nothing', t => {
  t.is(filled('{{vars.none| a b }}'), 'a b')
  t.is(filled('<{{vars.none|}}>'), '<>')
  t.is(filled('{{vars.x|y}}'), 'X')
})
test('one that yields nothing and has no bar is told with its place', t => {
  t.deepEqual(fill({ a: { b: ['', '{{vars.none}}'] } }, scope).faults, [{ path: ['a', 'b', '1'], expression: '{{vars.none}}', why: 'it yields nothing' }])
})
test('inside a URL a value is one step of it and cannot be more', t => {
  t.is(filled('https://h/{{call.caller_id_name}}', 'url'), 'https://h/a%2F..%2Fb%3F%26%C3%A9%EF%BF%BD')
  t.is(filled('{{vars.x}}', 'voice_url'), 'X')
})
test('what can never be filled in is told in words', t => {
  t.deepEqual(why('a {{vars.x'), ['a.0: {{vars.x: it has no end }}'])
  t.deepEqual(why('{{x}}'), ['a.0: {{x}}: not of the form root.name or root.name|instead'])
  t.deepEqual(why('{{call.password}}'), ['a.0: {{call.password}}: there is no call.password'])
  t.deepEqual(why('{{constructor.name}}'), ['a.0: {{constructor.name}}: there is no constructor.name'])
  t.deepEqual(why('{{vars.}}'), ['a.0: {{vars.}}: not of the form root.name or root.name|instead'])
  t.deepEqual(why('{ {vars.x} }'), [])
  t.is(fill({ a: '{{vars.x' }, scope).faults.length, 1)
})
test('a name every object has is no variable', t => {
  t.is(fill({ a: '{{vars.constructor}}' }, scope).faults.length, 1)
})

test('a flow with expressions is saved whatever their type will be, and refused when one cannot be filled in', t => {
  const validator = createValidator(loadSchemas(10_800))
  const check = (module: string, data: object): string[] => {
    const { problems } = checkFlow(validator, modules, { module: 'noop', data: {}, children: { _: { module, data } } })
    return Object.entries(problems).flatMap(([path, codes]) => Object.entries(codes).map(([code, { message }]) => `${path} ${code} ${message}`))
  }
  t.deepEqual(check('user', { id: '{{vars.who}}', timeout: '{{vars.seconds|20}}' }), [])
  t.deepEqual(check('user', { id: 'short', timeout: '{{vars.seconds}}' }), ['flow.children._.data.id minLength String must be at least 32 characters'])
  t.deepEqual(check('play', { id: '{{call.nothing}}' }), ['flow.children._.data.id error {{call.nothing}}: there is no call.nothing'])
  t.deepEqual(check('set_variables', { custom_application_vars: { x: 'a {{vars' } }), [
    'flow.children._.data.custom_application_vars.x error {{vars: it has no end }}',
  ])
})
