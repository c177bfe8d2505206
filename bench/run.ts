// `make bench`: what callrec costs, as a table. A row names its floor and its budget; figures of a
// shared machine are noisy, so ratios within one run count for more than seconds. Words on the command
// line choose measurements by name: `node build/bench/run.js load`.

import { authRows } from './auth.ts'
import { inFlightRows } from './in-flight.ts'
import { listRows } from './lists.ts'
import { loadRows } from './load.ts'
import { maskRows } from './mask.ts'
import { mergeRow } from './merge.ts'
import { patchRows } from './patch.ts'
import { readsRow } from './reads.ts'
import type { Row } from './row.ts'
import { siprecLengthRows } from './siprec-length.ts'
import { siprecRows } from './siprec.ts'
import { startRows, sweptStartRows } from './start.ts'
import { sweepRows } from './sweep.ts'
import { uploadRows } from './upload.ts'
import { startEmbeddedSwitch, startRealSwitch, type Switch } from './world.ts'

async function on(starting: Promise<Switch | undefined>, measure: (on: Switch) => Promise<Row[]>): Promise<Row[]> {
  const found = await starting
  if (found === undefined) {
    process.stderr.write('  skipped: FreeSWITCH is not on PATH\n')
    return []
  }
  try {
    return await measure(found)
  } finally {
    await found.stop()
  }
}

const MEASUREMENTS: Readonly<Record<string, () => Promise<Row[]>>> = {
  merge: () => Promise.resolve([mergeRow()]),
  reads: async () => [await readsRow()],
  patch: patchRows,
  auth: authRows,
  lists: listRows,
  upload: uploadRows,
  sweep: sweepRows,
  inflight: inFlightRows,
  swept: () => on(startEmbeddedSwitch(), sweptStartRows),
  embedded: () => on(startEmbeddedSwitch(), startRows),
  freeswitch: () => on(startRealSwitch(), startRows),
  mask: async () => [...(await on(startEmbeddedSwitch(), maskRows)), ...(await on(startRealSwitch(), maskRows))],
  siprec: siprecRows,
  length: () => on(startEmbeddedSwitch(), siprecLengthRows),
  load: () => on(startEmbeddedSwitch(), loadRows),
}

const wanted = process.argv.slice(2)
const rows: Row[] = []
for (const [name, measure] of Object.entries(MEASUREMENTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  process.stderr.write(`${name} …\n`)
  rows.push(...(await measure()))
}

const COLUMNS = ['what', 'measured', 'floor', 'ratio', 'budget'] as const
const table = [Object.fromEntries(COLUMNS.map(name => [name, name])) as Record<(typeof COLUMNS)[number], string>, ...rows]
const width = (column: (typeof COLUMNS)[number]): number => Math.max(...table.map(row => (row[column] ?? '').length))
const [head, ...body] = table.map(row => `| ${COLUMNS.map(column => (row[column] ?? '').padEnd(width(column))).join(' | ')} |`)
process.stdout.write(`${[head, head?.replaceAll(/[^|]/g, '-'), ...body].join('\n')}\n`)
