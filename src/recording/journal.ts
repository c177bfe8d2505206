// What could not be written into the store when a recording began: a file for each beside the recordings of its switch, on the disk
// before the switch is asked. It is gone as soon as the store has both documents; what a crash leaves is replayed.

import { type FileHandle, open, readdir, readFile, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, ERRORS, systemCode } from '../errors.ts'
import type { NewRecording } from './new-recording.ts'
import type { Spool } from './spool.ts'

export interface Journal {
  /** Resolves once it outlives the machine. Throws `spool_unwritable`. */
  write(made: NewRecording): Promise<void>
  /** Of one switch. A file that a crash cut short is skipped: its recording was never asked for. */
  read(node: string): Promise<NewRecording[]>
  /** No error when it is not there. */
  remove(made: Pick<NewRecording, 'node' | 'id'>): Promise<void>
}

const fileOf = ({ node, id }: Pick<NewRecording, 'node' | 'id'>): string => `${node}/journal/${id}.json`

/** It may be there in a moment: then what was to be written goes into the journal. */
export const isStoreAway = (error: unknown): boolean => error instanceof AppError && ERRORS[error.code].blame === 'store'

export function openJournal(spool: Pick<Spool, 'here' | 'makeReady'>): Journal {
  return {
    async write(made) {
      const path = spool.here(fileOf(made))
      await spool.makeReady(fileOf(made))
      try {
        await synced(await open(path, 'w', 0o640), file => file.writeFile(JSON.stringify(made)))
        await synced(await open(dirname(path)))
      } catch (cause) {
        throw new AppError('spool_unwritable', `the journal cannot be written: ${path}`, { code: systemCode(cause) }, { cause })
      }
    },

    async read(node) {
      const directory = dirname(spool.here(fileOf({ node, id: 'any' })))
      const names = await readdir(directory).catch(unlessMissing([]))
      const texts = await Promise.all(names.filter(name => name.endsWith('.json')).map(name => readFile(`${directory}/${name}`, 'utf8')))
      return texts.flatMap(text => whole(text) ?? [])
    },

    remove: made => unlink(spool.here(fileOf(made))).catch(unlessMissing(undefined)),
  }
}

async function synced(file: FileHandle, write: (file: FileHandle) => Promise<void> = async () => {}): Promise<void> {
  try {
    await write(file)
    await file.sync()
  } finally {
    await file.close()
  }
}

const unlessMissing =
  <T>(otherwise: T) =>
  (error: unknown): T => {
    if (systemCode(error) === 'ENOENT') return otherwise
    throw error
  }

function whole(text: string): NewRecording | undefined {
  try {
    return JSON.parse(text) as NewRecording
  } catch {
    return undefined
  }
}
