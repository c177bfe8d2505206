// A file put into a directory that the operator gave a name. A tenant names only that name and a folder
// below his own, so he can write nowhere else and over nobody's files.

import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { reasonOf } from '../../errors.ts'
import type { Cargo, Outcome } from './cargo.ts'
import { fileName } from '../storage.ts'

/** Name → absolute path. */
export type Directories = Readonly<Record<string, string>>

export interface DirectoryTarget {
  directory: string
  folder: string
}

const pathIn = (root: string, accountId: string, folder: string, cargo: Pick<Cargo, 'name'>): string => join(root, accountId, folder, fileName(cargo))

/** There whole or not at all: it is renamed into its place when it is on disk, and its hash is what it should be. */
export async function placeIn({ directory, folder }: DirectoryTarget, accountId: string, cargo: Cargo, directories: Directories): Promise<Outcome> {
  const root = Object.hasOwn(directories, directory) ? directories[directory] : undefined
  if (root === undefined) return { is: 'never', reason: `DELIVERY_DIRECTORIES has no ${directory}` }
  const path = pathIn(root, accountId, folder, cargo)
  const part = `${path}.${cargo.id}.part`
  try {
    await mkdir(dirname(path), { recursive: true })
    const sha256 = await write(part, cargo)
    if (sha256 !== cargo.sha256) return { is: 'later', reason: `what was written to ${directory} is not what was read` }
    await rename(part, path)
    await sync(dirname(path))
    return { is: 'stored', location: `directory://${[directory, accountId, folder, fileName(cargo)].filter(one => one !== '').join('/')}` }
  } catch (error) {
    return { is: 'later', reason: `${directory}: ${reasonOf(error)}` }
  } finally {
    await rm(part, { force: true }).catch(() => {})
  }
}

/** For a trial: nobody wants the file. */
export const takeAway = ({ directory, folder }: DirectoryTarget, accountId: string, cargo: Pick<Cargo, 'name'>, directories: Directories): Promise<void> =>
  rm(pathIn(directories[directory] ?? '', accountId, folder, cargo), { force: true })

async function write(path: string, cargo: Cargo): Promise<string> {
  const hash = createHash('sha256')
  const file = await open(path, 'w')
  try {
    for await (const piece of cargo.pieces(cargo.size, 0)) {
      hash.update(piece)
      for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
