// A fake event socket on the wire: says what a test tells it to, byte by byte if need be. What it says
// when not told otherwise is what transcripts 01, 02 and 60 show.

import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { ExecutionContext } from 'ava'

export interface Command {
  /** The first line. */
  line: string
  headers: Readonly<Record<string, string>>
}

export interface Peer {
  socket: Socket
  write(bytes: string | Buffer): void
  /** `Content-Type: command/reply`. */
  reply(text: string): void
  /** `Content-Type: api/response`. */
  answer(body: string): void
  event(headers: Readonly<Record<string, unknown>>): void
}

/** True when the command has been dealt with (by silence, too). */
export type Script = (command: Command, peer: Peer) => boolean

export interface EslServer {
  port: number
  /** Every command of every connection, in order. */
  commands: Command[]
  /** Connections that are subscribed, the newest last. */
  peers: Peer[]
  /** Connections ever accepted. */
  accepted(): number
  /** What comes next is answered by this. */
  script(script: Script): void
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
}

export interface EslServerOptions {
  password?: string
  /** 0: any free one. */
  port?: number
  /** What a new connection is told; null is nothing. */
  greeting?: string | null
  script?: Script
}

export const AUTH_REQUEST = 'Content-Type: auth/request\n\n'
export const RUDE = 'Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n'
const GOODBYE = 'Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n'
const NOTICE = `Content-Type: text/disconnect-notice\nContent-Length: ${GOODBYE.length}\n\n${GOODBYE}`

export const eventFrame = (headers: Readonly<Record<string, unknown>>): string => {
  const body = JSON.stringify(headers)
  return `Content-Length: ${Buffer.byteLength(body)}\nContent-Type: text/event-json\n\n${body}`
}

function peerOf(socket: Socket): Peer {
  const write = (bytes: string | Buffer): void => {
    if (!socket.destroyed) socket.write(bytes)
  }
  return {
    socket,
    write,
    reply: text => write(`Content-Type: command/reply\nReply-Text: ${text}\n\n`),
    answer: body => write(`Content-Type: api/response\nContent-Length: ${Buffer.byteLength(body)}\n\n${body}`),
    event: headers => write(eventFrame(headers)),
  }
}

const ANSWERS: Readonly<Record<string, string>> = {
  version: 'FreeSWITCH Version 1.11.2-release~64bit ( 64bit)\n',
  'show file': 'type,name,ikey\nfile,mp3,mod_shout\nfile,wav,mod_sndfile\n\n2 total.\n',
  'module_exists mod_shout': 'true',
  'module_exists mod_hash': 'false',
}

function answerTo(api: string): string {
  return ANSWERS[api] ?? `-ERR ${api.split(' ', 1)[0]} Command not found!\n`
}

/** The result of a job, as BACKGROUND_JOB tells it. */
export const jobEvent = (id: string, result: string): Record<string, string> => ({
  'Event-Name': 'BACKGROUND_JOB',
  'Job-UUID': id,
  'Content-Length': String(Buffer.byteLength(result)),
  _body: result,
})

function obey({ line, headers }: Command, peer: Peer, password: string): void {
  const [verb = '', ...rest] = line.split(' ')
  const api = rest.join(' ')
  if (verb === 'auth') {
    if (api === password) return peer.reply('+OK accepted')
    peer.write(`Content-Type: command/reply\nReply-Text: -ERR invalid\n\n${NOTICE}`)
    peer.socket.end()
  } else if (verb === 'event') {
    peer.reply('+OK event listener enabled json')
  } else if (verb === 'api') {
    peer.answer(answerTo(api))
  } else if (verb === 'bgapi') {
    const id = headers['Job-UUID'] ?? ''
    peer.reply(`+OK Job-UUID: ${id}\nJob-UUID: ${id}`)
    peer.event(jobEvent(id, answerTo(api)))
  } else {
    peer.reply(verb === 'sendmsg' ? '+OK' : '-ERR command not found')
  }
}

function commandOf(block: string): Command {
  const [line = '', ...rest] = block.split('\n')
  const headers = Object.fromEntries(rest.map(one => [one.slice(0, one.indexOf(': ')), one.slice(one.indexOf(': ') + 2)]))
  return { line, headers }
}

export async function eslServer(t: ExecutionContext, options: EslServerOptions = {}): Promise<EslServer> {
  const { password = 'ClueCon', port = 0, greeting = AUTH_REQUEST } = options
  let script = options.script ?? (() => false)
  let accepted = 0
  const commands: Command[] = []
  const peers: Peer[] = []
  const sockets = new Set<Socket>()

  const server = createServer(socket => {
    accepted += 1
    sockets.add(socket)
    const peer = peerOf(socket)
    let buffered = ''
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      if (peers.includes(peer)) peers.splice(peers.indexOf(peer), 1)
    })
    socket.setEncoding('utf8').on('data', chunk => {
      buffered += chunk
      const blocks = buffered.split('\n\n')
      buffered = blocks.pop() ?? ''
      for (const command of blocks.map(commandOf)) {
        commands.push(command)
        // The longer of modesl's two subscriptions is callrec's.
        if (command.line.startsWith('event json ') && command.line.includes('CHANNEL_PARK')) peers.push(peer)
        if (!script(command, peer)) obey(command, peer, password)
      }
    })
    if (greeting !== null) peer.write(greeting)
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))

  async function stop(): Promise<void> {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  t.teardown(stop)

  return {
    port: (server.address() as AddressInfo).port,
    commands,
    peers,
    accepted: () => accepted,
    script: next => {
      script = next
    },
    stop,
  }
}
