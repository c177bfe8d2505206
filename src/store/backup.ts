// A copy of the embedded store while an engine runs on it. The database first, as it is at one moment (LMDB's own
// copy); then the attachments: a file is complete before its name is written down, so every file the copy names is
// there, unless its recording was destroyed meanwhile, which a backup has no business to undo.

import { access, copyFile, mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { open } from 'lmdb'
import { AppError, systemCode } from '../errors.ts'

export interface Copied {
  /** Of attachments. */
  files: number
  /** Destroyed while the copy was made. */
  gone: number
}

/** `dir` is a DATA_DIR and `to` will be one, with the store alone in it. Throws `bad_configuration` where there is no store, or one already. */
export async function backUp(dir: string, to: string): Promise<Copied> {
  const [from, target] = [join(dir, 'store'), join(to, 'store')]
  const [source, copy] = [join(from, 'documents.mdb'), join(target, 'documents.mdb')]
  if (!(await isThere(source)))
    throw new AppError('bad_configuration', `there is no embedded store in DATA_DIR ${dir}; for CouchDB see couchdb/README.md`, { dir })
  if (await isThere(copy)) throw new AppError('bad_configuration', `there is a store in ${to} already: name an empty directory`, { to })
  await mkdir(join(target, 'attachments'), { recursive: true })
  const lmdb = open<string, Buffer>({ path: source, noSubdir: true, keyEncoding: 'binary', encoding: 'string', readOnly: true })
  try {
    await lmdb.backup(copy, true)
  } finally {
    await lmdb.close()
  }
  return copyFiles(join(from, 'attachments'), join(target, 'attachments'))
}

async function copyFiles(from: string, to: string): Promise<Copied> {
  const copied = { files: 0, gone: 0 }
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const target = join(to, path.slice(from.length))
    await mkdir(dirname(target), { recursive: true })
    try {
      await copyFile(path, target)
      copied.files++
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      copied.gone++
    }
  }
  return copied
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
