// Where recorded files lie between the switch and their destination. A file is named by one path
// relative to the spool, which this process and the switch may see in different places.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, chmod, constants, type FileHandle, mkdir, open, stat, statfs, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { AppError, reasonOf, systemCode } from '../errors.ts'
import { HEAD_BYTES, headerOf, mp3Counter, oggCounter, type Sound, type Wav, wavOf } from './audio/audio-length.ts'

/** A file that the switch has let go of. */
export interface Finished {
  size: number
  /** Hex. */
  sha256: string
  /** Undefined when it is neither a WAV, nor an MP3, nor Vorbis in Ogg. */
  durationMs: number | undefined
  /** Hz and number, where the file says it in its header, as all kinds do. */
  sampleRate?: number
  channels?: number
}

/** Paths that would lead out of the spool throw `unsafe_argument`. */
export interface Spool {
  here(file: string): string
  onSwitch(file: string): string
  /** Makes the file's directories ahead of the switch, which would close them to us. Throws `spool_unwritable`. */
  makeReady(file: string): Promise<void>
  /** Makes an empty file. Throws `spool_unwritable`. */
  mark(file: string): Promise<void>
  /** Throws `spool_unwritable` when no new recording should start: not writable, or too little room left, be it for one account. */
  check(accountId?: string): Promise<void>
  /** Bytes this user may still write. */
  free(): Promise<number>
  /** Mends the header of a WAV whose switch was killed, then reads all of the file. Undefined when there is none. */
  finish(file: string): Promise<Finished | undefined>
  /** Undefined when there is no such file. */
  size(file: string): Promise<number | undefined>
  /** The first `size` bytes, so that a file which grows cannot break a promised length. */
  read(file: string, size: number): Readable
  /** So many bytes from an offset on, fast and without garbage: a piece is overwritten when the second next one is asked for. */
  pieces(file: string, size: number, from?: number): AsyncIterable<Buffer>
  /** No error when it is not there. */
  remove(file: string): Promise<void>
}

/** Milliseconds. Many recordings begin in a second, and each would ask the same of the disk. */
const STILL_TRUE = 1_000

/** `onSwitch` is absolute, `minFree` bytes. */
export function openSpool({ here, onSwitch, minFree }: { here: string; onSwitch: string; minFree: number }, clock: Clock = systemClock()): Spool {
  /** What was found good, and until when that is believed; what was not is looked at again each time. */
  const good = new Map<string, number>()
  const unlessKnown = async (what: string, look: () => Promise<void>): Promise<void> => {
    if ((good.get(what) ?? Number.NEGATIVE_INFINITY) > clock.elapsed()) return
    await look()
    good.set(what, clock.elapsed() + STILL_TRUE)
  }
  const hereAt = (file: string): string => join(here, safe(file))
  return {
    here: hereAt,
    onSwitch: file => `${onSwitch}/${safe(file)}`,

    async makeReady(file) {
      const directory = dirname(hereAt(file))
      return unlessKnown(directory, () =>
        makeDirectory(directory).catch(cause => {
          throw unwritable(directory, cause)
        }),
      )
    },

    async mark(file) {
      const path = hereAt(file)
      try {
        await makeDirectory(dirname(path))
        await writeFile(path, '', { flag: 'wx' })
      } catch (cause) {
        throw unwritable(path, cause)
      }
    },

    check: () =>
      unlessKnown('', async () => {
        let free: number
        try {
          await makeDirectory(here)
          await access(here, constants.W_OK | constants.X_OK)
          free = await freeIn(here)
        } catch (cause) {
          throw unwritable(here, cause)
        }
        if (free < minFree) {
          throw new AppError('spool_unwritable', `only ${mib(free)} MiB are free in ${here}, SPOOL_MIN_FREE asks for ${mib(minFree)}`, { free })
        }
      }),

    free: () => freeIn(here),

    async finish(file) {
      const path = hereAt(file)
      const found = await readThrough(path)
      if (found?.wav?.unfinished !== true) return found?.finished
      await mend(path, found.wav)
      return (await readThrough(path))?.finished
    },

    size: file => sizeOf(hereAt(file)),
    read: (file, size) => (size === 0 ? Readable.from([]) : createReadStream(hereAt(file), { end: size - 1 })),
    pieces: (file, size, from = 0) => piecesOf(hereAt(file), size, from),
    remove: file => removed(hereAt(file)),
  }
}

/** The group reads and writes, and new files inherit the group: FreeSWITCH and callrec share it. Nobody else looks in. */
const DIRECTORY_MODE = 0o2770
const PIECE = 1024 * 1024

/** mkdir's own mode argument is cut down by the umask, and with it the group that we share with the switch. */
async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true })
  if (first === undefined) return
  for (let made = directory; made.length >= first.length; made = dirname(made)) await chmod(made, DIRECTORY_MODE)
}

async function freeIn(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

const mib = (bytes: number): number => Math.floor(bytes / 1024 / 1024)

/** The same whitelist as the switch's paths have: see switch/commands.ts. */
function safe(file: string): string {
  const parts = file.split('/')
  if (parts.some(part => !/^[A-Za-z0-9._-]+$/.test(part) || /^\.+$/.test(part)))
    throw new AppError('unsafe_argument', `not a path in the spool: ${JSON.stringify(file)}`)
  return file
}

function unwritable(path: string, cause: unknown): AppError {
  const code = systemCode(cause) ?? reasonOf(cause)
  const words: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    ENOSPC: 'the disk is full',
    EROFS: 'it is mounted read-only',
  }
  return new AppError('spool_unwritable', `RECORDING_DIR: cannot write in ${path}: ${words[code] ?? code}`, { code }, { cause })
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function* piecesOf(path: string, size: number, from: number): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    yield* piecesIn(file, size, from)
  } finally {
    await file.close()
  }
}

/** Three buffers in turn: one is read into while one is sent, and the one between may not have left yet. */
async function* piecesIn(file: FileHandle, size: number, from = 0): AsyncGenerator<Buffer> {
  const buffers = Array.from({ length: Math.min(3, Math.ceil(size / PIECE)) }, () => Buffer.allocUnsafeSlow(Math.min(PIECE, size)))
  const read = async (number: number): Promise<Buffer> => {
    const buffer = buffers[number % 3] ?? Buffer.alloc(0)
    const wanted = Math.min(buffer.length, size - number * PIECE)
    let filled = 0
    for (let more = -1; filled < wanted && more !== 0; filled += more) {
      more = (await file.read(buffer, filled, wanted - filled, from + number * PIECE + filled)).bytesRead
    }
    return buffer.subarray(0, filled)
  }
  const count = Math.ceil(size / PIECE)
  let next = read(0)
  for (let number = 1; number <= count; number++) {
    const piece = await next
    if (number < count) next = read(number)
    // Awaited in its turn, or not at all when nobody asks for more.
    next.catch(() => {})
    yield piece
  }
}

/** All there is to know of a file, in one reading. Undefined when there is none. */
async function readThrough(path: string): Promise<{ wav: Wav | undefined; finished: Finished } | undefined> {
  const file = await openedFile(path)
  if (file === undefined) return undefined
  try {
    const found = await file.stat()
    if (!found.isFile()) return undefined
    const hash = createHash('sha256')
    const counters = [oggCounter(), mp3Counter()]
    let wav: Wav | undefined
    let read = 0
    for await (const piece of piecesIn(file, found.size)) {
      if (read === 0) wav = wavOf(piece.subarray(0, HEAD_BYTES), found.size)
      hash.update(piece)
      if (wav === undefined) for (const counter of counters) counter.feed(piece)
      read += piece.length
    }
    return {
      wav,
      finished: {
        size: read,
        sha256: hash.digest('hex'),
        ...soundOf(wav ?? counters.map(counter => counter.sound()).find(sound => sound !== undefined), read),
      },
    }
  } finally {
    await file.close()
  }
}

const isMissing = (error: unknown): boolean => systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'

async function openedFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** As `rm` with `force`, which looks at the file first. */
async function removed(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** A file of no bytes is known to be of no length, whatever kind it was to be. */
function soundOf(sound: Sound | undefined, size: number): Pick<Finished, 'durationMs' | 'sampleRate' | 'channels'> {
  if (sound === undefined) return { durationMs: size === 0 ? 0 : undefined }
  return { durationMs: sound.durationMs, sampleRate: sound.sampleRate, channels: sound.channels }
}

/** The switch may have made the file for itself alone; then it stays as it is: most players play it all the same. */
async function mend(path: string, wav: Wav): Promise<void> {
  try {
    const file = await open(path, 'r+')
    try {
      for (const { at, value } of headerOf(wav)) {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32LE(value)
        await file.write(bytes, 0, 4, at)
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemCode(error) !== 'EACCES' && systemCode(error) !== 'EPERM' && systemCode(error) !== 'EROFS') throw error
  }
}
