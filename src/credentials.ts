// DATA_DIR/credentials: what the first start made up and an operator needs, as `NAME=value` lines a
// shell can read. Readable by its owner alone.

import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export type Credentials = Readonly<Record<string, string>>

const fileOf = (dataDir: string): string => join(dataDir, 'credentials')

/** Empty where there is no file yet. */
export async function readCredentials(dataDir: string): Promise<Credentials> {
  const text = await readFile(fileOf(dataDir), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const lines = text.split('\n').filter(line => /^[A-Z_]+=/.test(line))
  return Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

/** The last of the changes asked for: each one reads what the one before it wrote. */
let turn: Promise<unknown> = Promise.resolve()

/** Adds to what is there; a name that is there gets the new value. */
export function keepCredentials(dataDir: string, added: Credentials): Promise<void> {
  const done = turn.then(() => write(dataDir, added))
  turn = done.catch(() => {})
  return done
}

async function write(dataDir: string, added: Credentials): Promise<void> {
  const all = { ...(await readCredentials(dataDir)), ...added }
  await mkdir(dataDir, { recursive: true })
  const file = fileOf(dataDir)
  // Renamed into place, so that a crash leaves the old file or the new one.
  const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(`${file}.new`, lines.join(''), { mode: 0o600 })
  await chmod(`${file}.new`, 0o600)
  await rename(`${file}.new`, file)
}
