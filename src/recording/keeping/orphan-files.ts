// Files below the spool, as they lie there. A sweep looks at all of them, so nothing is read but names and times.

import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { systemCode } from '../../errors.ts'
import type { Spool } from '../spool.ts'

export interface LyingFile {
  /** Below the spool, its first part being the name of a switch. */
  file: string
  /** Unix milliseconds of its last byte. */
  modifiedAt: number
}

/** Written by callrec beside recordings: what waits for the store, parties of recordings that have not ended, and what came of tries that were cut off. */
const OURS = /^[^/]+\/(journal\/.*|tracks\/.*|seen-[0-9a-f]+|\d{6}\/doctor-[0-9a-f]+\.wav)$/

/** Of one switch; none where it has no folder. */
export async function* filesOf(spool: Pick<Spool, 'here'>, node: string): AsyncGenerator<LyingFile> {
  const top = spool.here(node)
  for await (const path of below(top)) {
    const file = join(node, relative(top, path))
    if (OURS.test(file)) continue
    const found = await stat(path).catch(unlessMissing(undefined))
    if (found !== undefined) yield { file, modifiedAt: found.mtimeMs }
  }
}

/** Names of the folders that lie in the spool, a switch each. */
export async function foldersOf(here: string): Promise<string[]> {
  const entries = await readdir(here, { withFileTypes: true }).catch(unlessMissing([]))
  return entries.filter(entry => entry.isDirectory()).map(({ name }) => name)
}

async function* below(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(unlessMissing([]))
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* below(path)
    else yield path
  }
}

const unlessMissing =
  <T>(otherwise: T) =>
  (error: unknown): T => {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return otherwise
    throw error
  }
