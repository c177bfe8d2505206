// One engine per data directory. The lock is a listening socket in it: the kernel takes it away with
// the process that holds it, so a socket file nobody listens on is left over from a kill and is replaced.

import { mkdir, open, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { AppError, reasonOf } from '../errors.ts'

/** Bytes a socket's path may have (sun_path, less its NUL; macOS has the shorter one). */
const LONGEST = 103

/** Answers how to let go; throws `bad_configuration` while another engine has it. */
export async function lockDirectory(dir: string): Promise<() => Promise<void>> {
  const file = join(dir, 'lock')
  let done = async (): Promise<void> => {}
  try {
    await mkdir(dir, { recursive: true })
    const short = await shortPath(dir, file)
    done = short.done
    const { path } = short
    const server = (await listen(path)) ?? (await replaceStale(path, file, dir))
    return () => new Promise(resolve => server.close(() => resolve()))
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('bad_configuration', `DATA_DIR ${dir} cannot be used: ${reasonOf(error)}`, { dir }, { cause: error })
  } finally {
    await done()
  }
}

async function replaceStale(path: string, file: string, dir: string): Promise<Server> {
  if (!(await answers(path))) {
    await rm(file, { force: true })
    const server = await listen(path)
    if (server) return server
  }
  throw new AppError('bad_configuration', `another callrec uses DATA_DIR ${dir}: stop it, or give this one a DATA_DIR of its own`, { dir })
}

/** Through /proc a directory has a short name, however deep it lies. */
async function shortPath(dir: string, file: string): Promise<{ path: string; done: () => Promise<void> }> {
  if (Buffer.byteLength(file) <= LONGEST) return { path: file, done: async () => {} }
  const handle = await open(dir)
  return { path: `/proc/self/fd/${handle.fd}/lock`, done: () => handle.close() }
}

/** Undefined when the name is taken. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)))
    server.listen(path, () => {
      server.unref()
      resolve(server)
    })
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
