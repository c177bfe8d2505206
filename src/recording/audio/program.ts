// Programs of the operator's choice (FFMPEG, TRANSCRIBER): started with a list of arguments and no shell, within limits, and
// ended with all that they have started.

import { spawn } from 'node:child_process'
import { constants, setPriority } from 'node:os'

export interface Limits {
  /** Milliseconds of the wall. */
  within: number
  /** Of what it prints. */
  mostBytes?: number
  /** Ends it. */
  signal?: AbortSignal
  /** Where it works. */
  folder?: string
  /** It takes what calls leave of the processors. */
  stepsBack?: boolean
}

/** `message` is what it complained of, else how it ended. */
export class ProgramFailed extends Error {
  /** In words that say nothing of this machine. */
  readonly how: string
  /** The end of what it said on stderr. */
  readonly complained: string

  constructor(how: string, complained: string) {
    super(complained === '' ? how : complained)
    this.how = how
    this.complained = complained
  }
}

const MOST_BYTES = 1024 * 1024
const MOST_WORDS = 1000
/** Milliseconds it has to leave by itself once it is told to. */
const LEAVE = 1000

/** What it printed. Rejects with ProgramFailed where it does not end well, or not within its limits. */
export function run(program: string, how: readonly string[], limits: Limits): Promise<string> {
  const { within, mostBytes = MOST_BYTES, signal, folder, stepsBack = false } = limits
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(new ProgramFailed('it was broken off', ''))
    // A group of its own, so that whatever it starts ends with it.
    const child = spawn(program, how, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...(folder === undefined ? {} : { cwd: folder }) })
    const printed: Buffer[] = []
    let [bytes, complained, why] = [0, '', '']
    let kill: NodeJS.Timeout | undefined

    function end(because: string): void {
      if (why !== '') return
      why = because
      tell('SIGTERM')
      kill = setTimeout(() => {
        tell('SIGKILL')
        // What left the group may hold them open.
        child.stdout.destroy()
        child.stderr.destroy()
      }, LEAVE)
    }
    function tell(what: NodeJS.Signals): void {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, what)
      } catch {
        // It has gone.
      }
    }

    const timer = setTimeout(() => end(`it took longer than ${Math.round(within / 1000)} s`), within)
    const abort = (): void => end('it was broken off')
    signal?.addEventListener('abort', abort, { once: true })
    const over = (): void => {
      clearTimeout(timer)
      clearTimeout(kill)
      signal?.removeEventListener('abort', abort)
    }
    if (stepsBack && child.pid !== undefined) lower(child.pid)
    child.stdout.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > mostBytes) end(`it printed more than ${mostBytes} bytes`)
      else printed.push(piece)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complained = (complained + text).slice(-MOST_WORDS)))
    child.once('error', error => {
      over()
      reject(new ProgramFailed('it could not be started', error.message))
    })
    child.once('close', (code, by) => {
      over()
      if (why === '' && code === 0) resolve(Buffer.concat(printed).toString())
      else reject(new ProgramFailed(why || (by === null ? `it ended with ${code}` : `it was ended by ${by}`), complained.trim()))
    })
  })
}

function lower(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It has gone, or this system has no priorities.
  }
}
