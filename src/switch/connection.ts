// One event-socket connection, the only user of modesl. modesl opens the socket and authenticates; the
// bytes are read by frames.ts, and every command has its place in our own table, so that each settles.
//
// One connection carries both commands and events. FreeSWITCH runs an `api` in the thread that also sends
// the events, and uuid_record waits there for the disk: so whatever may wait goes as a job (bgapi) and
// nothing holds up the events. Two sockets would double the states and lose the order "reply, then its events".

import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import modesl from 'modesl'
import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import { asApi, asJob, password as checked, subscribe, version } from './commands.ts'
import type { Api, Message } from './commands.ts'
import { SUBSCRIPTION, header, parseEvent } from './event.ts'
import type { EventHeaders } from './event.ts'
import { frameReader } from './frames.ts'
import type { Frame } from './frames.ts'

/** Milliseconds of the wall, bytes and counts. */
export interface Limits {
  /** From the first SYN to the +OK of the subscription. */
  handshakeMs: number
  /** A reply that takes longer ends the connection: replies are told apart by their order alone. */
  commandMs: number
  /** A job that takes longer is given up; the connection stays. */
  jobMs: number
  /** Silence after which the switch is asked for a sign of life. */
  idleMs: number
  /** Commands, and jobs, that may wait at once. */
  pending: number
  /** Bytes we may have written that the switch did not read. */
  unreadBytes: number
  headerBytes: number
  bodyBytes: number
}

export const LIMITS: Limits = {
  handshakeMs: 10_000,
  commandMs: 10_000,
  jobMs: 30_000,
  idleMs: 15_000,
  pending: 10_000,
  unreadBytes: 8 << 20,
  headerBytes: 32 << 10,
  bodyBytes: 16 << 20,
}

export type Loss = 'lost' | 'auth_failed'

export interface Handlers {
  /** After authentication, before events flow; what it rejects with ends the connection. */
  greet(connection: Connection): Promise<void>
  /** Called before the first event is. */
  up(): void
  event(headers: EventHeaders): void
  /** Something came that could not be used. */
  dropped(what: string): void
  /** Once, when the connection ends or could not be made; nothing else is called after it. */
  down(reason: string, loss: Loss): void
}

export interface Connection {
  /** The body of `api`'s answer without its last line feed. */
  api(command: Api): Promise<string>
  /** The Reply-Text of any other command. */
  send(message: Message): Promise<string>
  /** The result of `bgapi`; `patience` overrides jobMs. */
  job(command: Api, patience?: (late: () => void) => () => void): Promise<string>
  /** Commands and jobs that wait. */
  pending(): number
  close(): Promise<void>
}

interface Waiting {
  at: number
  settle: (error: AppError | undefined, reply: string) => void
}

const nothing = (): void => {}

const PROBE = asApi(version())

/** A name that resolves to several addresses fails with an AggregateError, which has only a code. */
const describe = (error: unknown): string => reasonOf(error) || (error as NodeJS.ErrnoException).code || 'the socket failed'

export function connect(address: { name: string; host: string; port: number; password: string }, limits: Limits, clock: Clock, handlers: Handlers): Connection {
  const waiting: Waiting[] = []
  const jobs = new Map<string, Pick<Waiting, 'settle'>>()
  let socketClosed = nothing
  const closed = new Promise<void>(resolve => {
    socketClosed = resolve
  })
  let reason = 'the connection was closed'
  let ended = false
  /** The subscription's +OK has come. */
  let flowing = false
  let lastByteAt = clock.elapsed()
  let stopWatch = nothing
  let stopDeadline = nothing

  const esl = new modesl.Connection(address.host, address.port, checked(address.password))
  // Kept because modesl forgets its socket at a FIN; it watches neither 'close' nor a reset.
  const socket = esl.socket as Socket
  esl.on('error', error => {
    reason = describe(error)
  })
  socket.once('close', () => {
    end(reason)
    socketClosed()
  })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, limits.idleMs)

  function end(why: string, loss: Loss = 'lost'): void {
    if (ended) return
    ended = true
    stopWatch()
    stopDeadline()
    socket.removeAllListeners('data')
    esl.removeAllListeners()
    // An emitter with nobody to hear its 'error' throws, and a reset may still come.
    esl.on('error', nothing)
    socket.destroy()
    const down = new AppError('switch_down', `${address.name}: ${why}`, { node: address.name })
    for (const { settle } of waiting.splice(0)) settle(down, '')
    for (const { settle } of jobs.values()) settle(down, '')
    jobs.clear()
    handlers.down(why, loss)
  }

  /** The commands of one turn of the event loop go to the system in one write; modesl alone would make two of each. */
  function leaveTogether(): void {
    if (socket.writableCorked > 0) return
    socket.cork()
    setImmediate(() => socket.uncork())
  }

  function write(message: Message, settle: Waiting['settle']): void {
    if (ended) return settle(new AppError('switch_down', `${address.name}: ${reason}`, { node: address.name }), '')
    if (waiting.length >= limits.pending) {
      return settle(new AppError('switch_down', `${address.name}: ${waiting.length} commands wait for an answer`, { node: address.name }), '')
    }
    waiting.push({ at: clock.elapsed(), settle })
    leaveTogether()
    esl.send(message)
    if (socket.writableLength > limits.unreadBytes) end(`the switch does not read: ${socket.writableLength} bytes wait to be sent`)
  }

  const send = (message: Message): Promise<string> =>
    new Promise((resolve, reject) => write(message, (error, reply) => (error === undefined ? resolve(reply) : reject(error))))

  const api = async (command: Api): Promise<string> => (await send(asApi(command))).replace(/\n$/, '')

  function job(command: Api, patience: (late: () => void) => () => void = late => clock.after(limits.jobMs, late)): Promise<string> {
    const id = randomUUID()
    return new Promise((resolve, reject) => {
      if (jobs.size >= limits.pending) return reject(new AppError('switch_down', `${address.name}: ${jobs.size} jobs wait`, { node: address.name }))
      const stop = patience(() =>
        settle(new AppError('switch_timeout', `${address.name}: no result of ${command.split(' ', 1)[0]}`, { node: address.name }), ''),
      )
      function settle(error: AppError | undefined, result: string): void {
        if (!jobs.delete(id)) return
        stop()
        if (error === undefined) resolve(result.replace(/\n$/, ''))
        else reject(error)
      }
      jobs.set(id, { settle })
      write(asJob(command, id), (error, reply) => {
        if (error !== undefined) settle(error, '')
        else if (!reply.startsWith('+OK')) settle(undefined, reply)
      })
    })
  }

  function reply(frame: Frame): void {
    // modesl's own commands (auth, its first subscription) went out before all of ours.
    if (esl.cmdCallbackQueue.length > 0) {
      return esl.parser['_parseEvent']({ 'Content-Type': 'command/reply', 'Reply-Text': frame.headers['reply-text'] ?? '' }, '')
    }
    const first = waiting.shift()
    if (first === undefined) return end('a reply that nothing asked for')
    first.settle(undefined, frame.headers['content-type'] === 'api/response' ? frame.body : (frame.headers['reply-text'] ?? ''))
  }

  function event(frame: Frame): void {
    const headers = parseEvent(frame.body)
    if (headers === undefined) return handlers.dropped('an event that is not JSON')
    if (header(headers, 'Event-Name') === 'BACKGROUND_JOB') jobs.get(header(headers, 'Job-UUID'))?.settle(undefined, header(headers, '_body'))
    else if (flowing) handlers.event(headers)
  }

  function take(frame: Frame): void {
    if (ended) return
    const type = frame.headers['content-type'] ?? 'unknown'
    switch (type) {
      case 'auth/request':
        return esl.parser['_parseEvent']({ 'Content-Type': 'auth/request' }, '')
      case 'command/reply':
      case 'api/response':
        return reply(frame)
      case 'text/event-json':
        return event(frame)
      case 'text/rude-rejection':
        return end('access refused: the switch’s ACL (event_socket.conf, apply-inbound-acl) does not list this host', 'auth_failed')
      case 'text/disconnect-notice':
        reason = 'the switch ended the connection'
        return
      default:
        return handlers.dropped(`a frame of type ${JSON.stringify(type).slice(0, 80)}`)
    }
  }

  esl.on('esl::connect', () => {
    const read = frameReader(limits, take)
    // In place of modesl's parser, which listens since a moment ago.
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => {
      lastByteAt = clock.elapsed()
      try {
        read(chunk)
      } catch (error) {
        end(reasonOf(error))
      }
    })
  })
  esl.on('esl::event::auth::fail', () => end('wrong password', 'auth_failed'))
  esl.on('esl::ready', () => {
    greet().catch(error => end(reasonOf(error)))
  })

  async function greet(): Promise<void> {
    await handlers.greet(connection)
    // The only command whose reply is taken at once: the events that follow it may be in the same chunk.
    write(subscribe(SUBSCRIPTION), (error, answer) => {
      if (error !== undefined) return
      if (!answer.startsWith('+OK')) return end(`the switch refused the subscription: ${answer}`)
      stopDeadline()
      flowing = true
      handlers.up()
    })
  }

  /** Replies that are overdue, and a sign of life when nothing came for a while. */
  function watch(): void {
    const [first] = waiting
    if (first !== undefined && clock.elapsed() - first.at > limits.commandMs) {
      waiting.shift()
      first.settle(new AppError('switch_timeout', `${address.name}: no answer within ${limits.commandMs} ms`, { node: address.name }), '')
      return end(`no answer within ${limits.commandMs} ms`)
    }
    if (flowing && waiting.length === 0 && clock.elapsed() - lastByteAt > limits.idleMs) write(PROBE, nothing)
    if (!ended) stopWatch = clock.after(Math.min(limits.commandMs, limits.idleMs) / 4, watch)
  }

  const connection: Connection = {
    api,
    send,
    job,
    pending: () => waiting.length + jobs.size,
    close() {
      end('closed')
      return closed
    },
  }
  stopDeadline = clock.after(limits.handshakeMs, () => end(`not connected within ${limits.handshakeMs} ms`))
  watch()
  return connection
}
