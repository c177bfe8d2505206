// The event socket: a TCP server that speaks ESL as mod_event_socket does, byte for byte where transcripts show it. A
// connection takes one command at a time, and its reply goes out before events that came up meanwhile.

import { randomUUID, timingSafeEqual } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'

import { reasonOf } from '../errors.ts'
import type { SwitchEvent } from './event.ts'
import type { Exchange } from './exchange.ts'
import { type Command, createCommandReader } from './framing.ts'
import { sendMessage } from './session-messages.ts'
import { createSubscription } from './subscription.ts'

export interface EslServer {
  readonly port: number
  /** Authenticated clients. */
  clients(): number
  close(): Promise<void>
}

export interface EslServerOptions {
  exchange: Exchange
  host: string
  port: number
  password: string
  /** An authenticated client came or went. */
  onClients(count: number): void
}

const GOODBYE = 'Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n'
const DISCONNECT = `Content-Type: text/disconnect-notice\nContent-Length: ${Buffer.byteLength(GOODBYE)}\n\n${GOODBYE}`
const UNKNOWN = '-ERR command not found'

const replyFrame = (text: string, more = ''): string => `Content-Type: command/reply\nReply-Text: ${text}\n${more}\n`
const bodyFrame = (body: string): string => `Content-Type: api/response\nContent-Length: ${Buffer.byteLength(body)}\n\n${body}`

export async function startEslServer(options: EslServerOptions): Promise<EslServer> {
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.setNoDelay(true)
    const end = serve(options, socket, () => {
      clients.add(socket)
      options.onClients(clients.size)
    })
    // A reset is an end like any other; `close` follows.
    socket.on('error', error => options.exchange.log.debug('simulator_client_lost', { reason: reasonOf(error) }))
    socket.on('close', () => {
      end()
      sockets.delete(socket)
      if (clients.delete(socket)) options.onClients(clients.size)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => resolve())
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    clients: () => clients.size,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** Serves one connection; the answer ends its subscription. */
function serve({ exchange, password }: EslServerOptions, socket: Socket, authenticated: () => void): () => void {
  const read = createCommandReader()
  const subscription = createSubscription()
  const waiting: Command[] = []
  /** Events that came up while a command runs. */
  let held: SwitchEvent[] | undefined
  let authorized = false
  let open = true

  const send = (data: string | Buffer): void => {
    if (open && !socket.destroyed) socket.write(data)
  }
  const unsubscribe = exchange.subscribe({
    wants: name => open && subscription.wants(name),
    deliver(event) {
      if (held) held.push(event)
      else if (subscription.passes(event)) send(event.frame(subscription.format))
    },
  })

  function leave(reply: string): void {
    send(replyFrame(reply))
    send(DISCONNECT)
    open = false
    socket.end()
  }

  const idle = (): boolean => open && held === undefined

  function next(): void {
    while (idle()) {
      const command = waiting.shift()
      if (!command) return
      held = []
      const answer = exchange.timeline.atOnce(() => perform(command))
      if (typeof answer === 'string') finish(answer)
      else void answer.then(finish)
    }
  }

  function finish(answer: string): void {
    send(answer)
    const events = held ?? []
    held = undefined
    for (const event of events) if (subscription.passes(event)) send(event.frame(subscription.format))
    next()
  }

  /** What goes over the wire as answer. */
  function perform(command: Command): string | Promise<string> {
    const [, verb = '', rest = ''] = /^(\S*) ?(.*)$/s.exec(command.line) ?? []
    const name = verb.toLowerCase()
    if (name === 'exit' || name === '...') {
      leave('+OK bye')
      return ''
    }
    if (!authorized) return authenticate(name, rest)
    switch (name) {
      case 'api':
        return rest === '' ? replyFrame(UNKNOWN) : api(rest)
      case 'bgapi':
        return rest === '' ? replyFrame(UNKNOWN) : background(rest, command.headers.get('job-uuid') ?? randomUUID())
      case 'sendmsg':
        return replyFrame(sendMessage(exchange, command))
      case 'event':
        return replyFrame(subscription.event(rest))
      case 'nixevent':
        return replyFrame(subscription.nixevent(rest))
      case 'noevents':
        return replyFrame(subscription.noevents())
      case 'myevents':
        return replyFrame(rest === '' ? UNKNOWN : subscription.myevents(rest))
      case 'filter':
        return replyFrame(rest === '' ? UNKNOWN : subscription.filter(rest))
      case 'linger':
      case 'nolinger':
        return replyFrame('-ERR not controlling a session')
      default:
        return replyFrame(UNKNOWN)
    }
  }

  function authenticate(name: string, given: string): string {
    if (name !== 'auth') return replyFrame(UNKNOWN)
    const [a, b] = [Buffer.from(given), Buffer.from(password)]
    if (a.length === b.length && timingSafeEqual(a, b)) {
      authorized = true
      authenticated()
      return replyFrame('+OK accepted')
    }
    leave('-ERR invalid')
    return ''
  }

  function api(line: string): string | Promise<string> {
    const answer = run(line)
    return typeof answer === 'string' ? bodyFrame(answer) : answer.then(bodyFrame)
  }

  function run(line: string): string | Promise<string> {
    const name = line.split(' ', 1)[0] ?? ''
    const text = (out: string | undefined): string => (out === undefined ? `-ERR ${name} Command not found!\n` : out === '' ? '-ERR no reply\n' : out)
    const out = exchange.api(line)
    return out instanceof Promise ? out.then(text) : text(out)
  }

  function background(line: string, job: string): string {
    // After the reply, as the thread of the real one.
    queueMicrotask(() => {
      const done = (out: string): void => exchange.fire('BACKGROUND_JOB', () => jobHeaders(line, job), out)
      const out = exchange.timeline.atOnce(() => run(line))
      if (typeof out === 'string') done(out)
      else void out.then(done)
    })
    return replyFrame(`+OK Job-UUID: ${job}`, `Job-UUID: ${job}\n`)
  }

  socket.on('data', chunk => {
    if (!open) return
    try {
      waiting.push(...read(chunk))
    } catch (error) {
      exchange.log.warn('simulator_client_dropped', { reason: reasonOf(error) })
      socket.destroy()
      return
    }
    next()
  })
  send('Content-Type: auth/request\n\n')
  return () => {
    open = false
    unsubscribe()
  }
}

function jobHeaders(line: string, job: string): [string, string][] {
  const [, name = '', args = ''] = /^(\S+) ?(.*)$/s.exec(line) ?? []
  return [['Job-UUID', job], ['Job-Command', name], ...(args === '' ? [] : [['Job-Command-Arg', args] as [string, string]])]
}
