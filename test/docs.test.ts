// Tables in prose are held to what they describe, both ways.

import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import { RIGHTS } from '../src/api/rights/rights.ts'
import { modules } from '../src/callflow/executor.ts'
import { reference } from './helpers/reference.ts'
import { NAMES } from '../src/config.ts'
import { ERRORS } from '../src/errors.ts'
import { LAYERS, SETTINGS } from '../src/recording/settings.ts'
import { packagePath } from '../src/root.ts'

const read = (file: string): string => readFileSync(packagePath(file), 'utf8')
const readme = read('README.md')

/** The first cells of the table under a heading, or after a line that starts so. */
function rowsAfter(start: string): string[][] {
  const at = readme.indexOf(`\n${start}`)
  if (at < 0) return []
  const table = /\n\|[^]*?\n(?!\|)/.exec(`${readme.slice(at)}\n`)?.[0] ?? ''
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map(line => line.split(' | ').map(cell => cell.replace(/^\| | \|$/g, '').trim()))
}
const named = (rows: string[][]): string[] => rows.map(([first = '']) => first.replaceAll('`', ''))

test('every way to fail is in the table of errors with its status, and nothing else is', t => {
  const rows = rowsAfter('## Errors')
  t.deepEqual(named(rows).sort(), Object.keys(ERRORS).sort())
  for (const [code = '', status] of rows) t.is(Number(status), ERRORS[code.replaceAll('`', '') as keyof typeof ERRORS].status, code)
})

test('every way to fail is one that happens', t => {
  const sources = readdirSync(packagePath('src'), { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts') && file !== 'errors.ts')
  const text = sources.map(file => read(`src/${file}`)).join('\n')
  t.deepEqual(
    Object.keys(ERRORS).filter(code => !text.includes(`'${code}'`)),
    [],
  )
})

test('every right is in the table, and nothing else is', t => {
  t.deepEqual(
    named(rowsAfter('## Who may do what')).map(cell => cell.split(' ')[0]),
    Object.keys(RIGHTS),
  )
})

test('every setting of the engine is in the table, and nothing else is', t => {
  t.deepEqual(named(rowsAfter('## Settings of the engine')).sort(), Object.keys(NAMES).sort())
})

test('every recording setting is in the table, and the schema knows the same ones', t => {
  t.deepEqual(named(rowsAfter('| setting | default')).sort(), [...SETTINGS].sort())
  const schema = JSON.parse(read('couchdb/schemas/call_recording.parameters.json')) as { properties: object }
  t.deepEqual(Object.keys(schema.properties).sort(), [...SETTINGS].sort())
})

test('the layers are told in the order in which they win', t => {
  t.true(readme.includes(LAYERS.map(layer => `\`${layer}\``).join(' < ')))
})

test('what happens on a bad day is shown by a test of that title', t => {
  const suites = readdirSync(packagePath('test'), { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  const text = suites.map(file => read(`test/${file}`)).join('\n')
  const rows = rowsAfter('## What happens when')
  t.true(rows.length > 0)
  t.deepEqual(
    rows.filter(([, , title = '']) => !["'", '"'].some(quote => text.includes(`(${quote}${title}${quote}, `))).map(([what]) => what),
    [],
  )
})

test('every callflow action has a schema, and no schema is without its action', t => {
  const schemas = readdirSync(packagePath('couchdb/schemas'))
    .map(file => /^callflows\.(\w+)\.json$/.exec(file)?.[1])
    .filter(name => name !== undefined && name !== 'action')
  t.deepEqual(new Set(schemas), new Set(modules))
})

test('the anatomy of an action is the action as it is', t => {
  const shown = /### Anatomy of a callflow action[^]*?```ts\n([^]*?)```/.exec(readme)?.[1] ?? ''
  t.true(shown !== '' && read('src/callflow/actions/answer.ts').endsWith(shown))
})

test('the reference of the API is what the routes and the schemas say (`make docs` writes it)', t => {
  t.is(read('couchdb/reference.md'), reference())
})

test('the changelog opens with what is pending', t => {
  t.regex(read('CHANGELOG.md'), /^# Changelog\n\n## Pending\n/)
})
