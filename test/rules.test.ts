// The laws of the layout (who may import whom, where the outside world may be named) as tests.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import test from 'ava'
import { packagePath } from '../src/root.ts'

const SRC = packagePath('src')

/** Room → rooms it may import beside itself; files directly in src/ belong to everybody unless they are entries. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  api: ['callflow', 'recording', 'voice', 'siprec', 'webhooks', 'switch', 'store', 'net'],
  callflow: ['voice', 'siprec', 'recording', 'switch', 'store', 'net'],
  voice: ['recording', 'switch', 'store', 'net'],
  siprec: ['sip', 'recording', 'switch', 'store'],
  recording: ['switch', 'store', 'net'],
  webhooks: ['store', 'net'],
  simulator: ['sip', 'switch'],
  switch: [],
  store: [],
  sip: [],
  net: [],
}
const SHARED = ['errors.ts', 'log.ts', 'clock.ts', 'root.ts', 'metrics.ts', 'addresses.ts', 'events.ts', 'in-turn.ts']

/** Only these name an adapter; everybody else talks to the port. */
const ADAPTERS = ['store/couch.ts', 'store/embedded.ts', 'switch/pool.ts', 'switch/connection.ts', 'simulator/simulator.ts']

/** What may be named where. */
const ONLY_IN: readonly [RegExp, RegExp, string][] = [
  [/\bprocess\.env\b/, /^config\.ts$/, 'process.env'],
  [/from 'modesl'/, /^switch\/connection\.ts$/, 'modesl'],
  [/from 'nano'/, /^store\/couch(-\w+)?\.ts$/, 'nano'],
  [/from '(koa|@koa\/\w+|koa-\w+)'/, /^api\/(app\.ts$|http\/)/, 'koa'],
  [/from 'lmdb'/, /^store\/embedded(-\w+)?\.ts$|^store\/\w+\.ts$/, 'lmdb'],
  [/`uuid_/, /^(switch|simulator)\//, 'command text'],
]

interface Source {
  /** Relative to src/. */
  file: string
  text: string
  imports: string[]
}

const sources: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map(file => {
    const text = readFileSync(join(SRC, file), 'utf8')
    const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path = '']) => relative(SRC, resolve(SRC, dirname(file), path)))
    return { file, text, imports: found }
  })

const roomOf = (file: string): string | undefined => (file.includes('/') ? file.split('/')[0] : undefined)

const imports = sources.flatMap(({ file, imports }) => imports.map(imported => ({ file, imported, room: roomOf(file), other: roomOf(imported) })))
const said = (found: typeof imports): string[] => found.map(({ file, imported }) => `${file} imports ${imported}`)

test('the sources are found at all', t => t.true(sources.length > 10 && imports.length > 10))

test('dependencies point down', t => {
  const allowed = ({ room, other, imported }: (typeof imports)[number]): boolean =>
    room === undefined || room === other || (other === undefined ? SHARED.includes(imported) : MAY_IMPORT[room]?.includes(other) === true)
  t.deepEqual(said(imports.filter(one => !allowed(one))), [])
})

test('files are built on each other in one direction: no circle of imports, of types neither', t => {
  const needs = new Map(sources.map(({ file, imports: needed }) => [file, needed]))
  const done = new Set<string>()
  /** The first circle that is met on the way down. */
  function circle(file: string, way: readonly string[]): readonly string[] | undefined {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (done.has(file)) return undefined
    let found: readonly string[] | undefined
    for (const needed of needs.get(file) ?? []) found ??= circle(needed, [...way, file])
    done.add(file)
    return found
  }
  t.deepEqual(
    sources.flatMap(({ file }) => circle(file, [])?.join(' → ') ?? []),
    [],
  )
})

/** The actions take the call that the executor hands them, and the executor knows them all. */
const MUTUAL = ['callflow and callflow/actions']

test('folders within a room are built on each other in one direction', t => {
  const inside = imports.filter(({ room, other, file, imported }) => room !== undefined && room === other && dirname(file) !== dirname(imported))
  const steps = new Set(inside.map(({ file, imported }) => `${dirname(file)} → ${dirname(imported)}`))
  const both = [...steps].map(step => step.split(' → ') as [string, string]).filter(([from, to]) => from < to && steps.has(`${to} → ${from}`))
  t.deepEqual(
    both.map(pair => pair.join(' and ')),
    MUTUAL,
  )
})

test('every room is one of the layout', t => {
  t.deepEqual(
    sources.map(({ file }) => roomOf(file)).filter(room => room !== undefined && !(room in MAY_IMPORT)),
    [],
  )
})

test('rooms talk to ports; an adapter is named by its own room, the entries and nobody else', t => {
  t.deepEqual(said(imports.filter(({ imported, room, other }) => ADAPTERS.includes(imported) && room !== undefined && room !== other)), [])
})

for (const [what, where, name] of ONLY_IN) {
  test(`${name} stands only where ${where} says`, t => {
    const offenders = sources.filter(({ file, text }) => what.test(text) && !where.test(file)).map(({ file }) => file)
    t.deepEqual(offenders, [])
  })
}

test('no file is a drawer for what has no place', t => {
  t.deepEqual(
    sources.map(({ file }) => file).filter(file => /(utils?|helpers?|services?|managers?|common)\b/.test(file)),
    [],
  )
})

test('a file is named in kebab-case; only an action has the name that documents give it', t => {
  t.deepEqual(
    sources.map(({ file }) => file).filter(file => !file.startsWith('callflow/actions/') && !/^([a-z0-9-]+\/)*[a-z0-9-]+\.ts$/.test(file)),
    [],
  )
})
