// Attachments of the embedded store: files beside the database, each with a random name that only a
// document's record knows. A file is complete and on disk before its name is written down, and is
// removed after the record that forgot it is on disk; what a crash left between is swept at the start.

import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type ExactBody, exactly } from './exactly.ts'

export interface Files {
  /** Answers the file's name and CouchDB's digest of it. Nothing is left when the body is not what it said. */
  write(body: ExactBody): Promise<{ file: string; digest: string }>
  /** Undefined when the file is gone. Byte offsets, `last` inclusive; nothing when `first` is behind the end. */
  read(file: string, first: number, last: number): Promise<Readable | undefined>
  remove(file: string): Promise<void>
  sweep(isKnown: (file: string) => boolean): Promise<void>
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export function attachmentFiles(root: string): Files {
  const folderOf = (file: string): string => join(root, file.slice(0, 2))
  const pathOf = (file: string): string => join(folderOf(file), file)

  /** Its folder is made when it is the first in it. */
  async function create(file: string): Promise<FileHandle> {
    try {
      return await open(pathOf(file), 'wx')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    if ((await mkdir(folderOf(file), { recursive: true })) !== undefined) await syncFolder(root)
    return open(pathOf(file), 'wx')
  }

  return {
    async write(body) {
      const file = randomBytes(16).toString('hex')
      const md5 = createHash('md5')
      let handle: FileHandle | undefined
      try {
        handle = await create(file)
        for await (const chunk of exactly(body)) {
          md5.update(chunk)
          await handle.appendFile(chunk)
        }
        await handle.sync()
        await handle.close()
        await syncFolder(folderOf(file))
      } catch (error) {
        body.stream.destroy()
        await handle?.close().catch(() => {})
        await rm(pathOf(file), { force: true })
        throw error
      }
      return { file, digest: `md5-${md5.digest('base64')}` }
    },

    async read(file, first, last) {
      if (last < first) return Readable.from([])
      let handle: FileHandle
      try {
        handle = await open(pathOf(file))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
      return handle.createReadStream({ start: first, end: last })
    },

    remove: file => rm(pathOf(file), { force: true }),

    async sweep(isKnown) {
      await mkdir(root, { recursive: true })
      for (const folder of await readdir(root)) {
        for (const file of await readdir(join(root, folder))) if (!isKnown(file)) await rm(pathOf(file), { force: true })
      }
    },
  }
}
