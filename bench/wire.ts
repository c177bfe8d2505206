// Loaded into an engine ahead of it (`node --import`): hears what comes in at its API and what goes over its event socket, and writes
// down how long a request to mask took until the switch had confirmed it. The engine knows nothing of it, and no hop is added.

import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { frameReader } from '../src/switch/frames.ts'

/** Of the engine: the port of its event socket, and the file that milliseconds are written to, a line for each mask: until the +OK, and until the list. */
export const [PORT, FILE] = ['BENCH_WIRE_PORT', 'BENCH_WIRE_FILE']

const FRAMES = { headerBytes: 64 << 10, bodyBytes: 16 << 20 }

let began = Number.NaN
let open = new Set<string>()
let took: number[] = []

/** The +OK, and behind it the list of what is recorded of the leg: after both the engine takes it for true. */
function answered(command: string): void {
  if (!open.delete(command.split(' ').slice(0, 4).join(' '))) return
  took.push(performance.now() - began)
  if (open.size === 0) appendFileSync(process.env[FILE] ?? '', `${took.join(' ')}\n`)
}

function listen(socket: Socket): void {
  const waiting: string[] = []
  let rest = ''
  const write = socket.write.bind(socket) as (...given: unknown[]) => boolean
  socket.write = (chunk: string | Buffer, ...more: unknown[]) => {
    const commands = (rest + chunk.toString('latin1')).split('\n\n')
    rest = commands.pop() ?? ''
    waiting.push(...commands)
    return write(chunk, ...more)
  }
  const read = frameReader(FRAMES, ({ headers }) => {
    const type = headers['content-type']
    if (type === 'command/reply' || type === 'api/response') answered(waiting.shift() ?? '')
  })
  const push = socket.push.bind(socket)
  socket.push = (chunk: Buffer | null) => {
    if (chunk !== null) read(chunk)
    return push(chunk)
  }
}

const port = Number(process.env[PORT])
if (port > 0) {
  subscribe('http.server.request.start', message => {
    const { request } = message as { request: IncomingMessage }
    const leg = /\/channels\/([^/]+)$/.exec(request.url ?? '')?.[1]
    if (request.method !== 'POST' || leg === undefined) return
    began = performance.now()
    took = []
    open = new Set([`api uuid_record ${leg} mask`, `api uuid_buglist ${leg}`])
  })
  subscribe('net.client.socket', message => {
    const { socket } = message as { socket: Socket }
    socket.once('connect', () => socket.remotePort === port && listen(socket))
  })
}
