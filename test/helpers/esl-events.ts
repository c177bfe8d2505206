// A bare ESL client for tests of the switch itself: api commands and events, in the order they came.
// The engine's own connection is not used here, so that a test of the configuration fails for one reason only.

import { once } from 'node:events'
import { connect } from 'node:net'

export type EslEvent = Readonly<Record<string, string>>

export interface EslClient {
  /** The body of the answer, trimmed. Nothing else is heard on the connection until it comes, events neither. */
  api(command: string): Promise<string>
  /** For what takes its time (`originate`): the answer comes in an event, so subscribe to BACKGROUND_JOB. */
  bgapi(command: string, ms?: number): Promise<string>
  /** Runs an application on a leg; resolves with the reply, before the application has run. */
  execute(uuid: string, app: string, arg?: string): Promise<string>
  /** All events so far, oldest first. */
  readonly events: readonly EslEvent[]
  /** The first event, past or to come, that matches. */
  event(matches: (event: EslEvent) => boolean, what: string, ms?: number): Promise<EslEvent>
  close(): void
}

export interface EslAddress {
  host: string
  port: number
  password: string
}

interface Frame {
  headers: Record<string, string>
  body: string
}

/** Takes whole frames off the front of what has arrived. */
export function frames(buffer: Buffer): { frames: Frame[]; rest: Buffer } {
  const found: Frame[] = []
  for (;;) {
    const end = buffer.indexOf('\n\n')
    if (end < 0) return { frames: found, rest: buffer }
    const headers: Record<string, string> = {}
    for (const line of buffer.toString('utf8', 0, end).split('\n')) {
      const colon = line.indexOf(': ')
      if (colon > 0) headers[line.slice(0, colon)] = line.slice(colon + 2)
    }
    const length = Number(headers['Content-Length'] ?? 0)
    if (buffer.length < end + 2 + length) return { frames: found, rest: buffer }
    found.push({ headers, body: buffer.toString('utf8', end + 2, end + 2 + length) })
    buffer = buffer.subarray(end + 2 + length)
  }
}

/** Rejects when the switch does not let us in. */
export async function eslClient({ host, port, password }: EslAddress, events = 'ALL'): Promise<EslClient> {
  const socket = connect({ host, port })
  const waiting: ((frame: Frame) => void)[] = []
  const seen: EslEvent[] = []
  const watchers = new Set<() => void>()
  let rest: Buffer = Buffer.alloc(0)
  let lost: Error | undefined

  socket.on('data', chunk => {
    const parsed = frames(Buffer.concat([rest, chunk]))
    rest = parsed.rest
    for (const frame of parsed.frames) {
      const type = frame.headers['Content-Type'] ?? ''
      if (type === 'text/event-json') {
        seen.push(JSON.parse(frame.body) as EslEvent)
        for (const look of watchers) look()
      } else if (type !== 'text/disconnect-notice' && type !== 'text/rude-rejection') waiting.shift()?.(frame)
    }
  })
  socket.on('error', error => (lost = error))
  socket.on('close', () => {
    lost ??= new Error('the switch closed the connection')
    for (const settle of waiting.splice(0)) settle({ headers: {}, body: '' })
    for (const look of watchers) look()
  })

  const answer = (): Promise<Frame> =>
    new Promise((resolve, reject) => {
      if (lost) return reject(lost)
      waiting.push(frame => (frame.headers['Content-Type'] ? resolve(frame) : reject(lost ?? new Error('no answer'))))
    })
  const ask = (text: string): Promise<Frame> => {
    const reply = answer()
    socket.write(`${text}\n\n`)
    return reply
  }

  const greeting = answer()
  greeting.catch(() => undefined)
  await once(socket, 'connect')
  await greeting
  const auth = await ask(`auth ${password}`)
  if (!auth.headers['Reply-Text']?.startsWith('+OK')) {
    socket.destroy()
    throw new Error(auth.headers['Reply-Text'])
  }
  if (events) await ask(`event json ${events}`)

  const event = (matches: (event: EslEvent) => boolean, what: string, ms = 10_000): Promise<EslEvent> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        watchers.delete(look)
      }
      const look = (): void => {
        const found = seen.find(matches)
        if (!found && !lost) return
        settle()
        if (found) resolve(found)
        else reject(lost)
      }
      const timer = setTimeout(() => {
        settle()
        reject(new Error(`not within ${ms} ms: ${what}`))
      }, ms)
      watchers.add(look)
      look()
    })

  return {
    async bgapi(command, ms = 10_000) {
      const reply = await ask(`bgapi ${command}`)
      const job = await event(({ 'Job-UUID': id }) => id !== undefined && id === reply.headers['Job-UUID'], `the answer to ${command}`, ms)
      return (job['_body'] ?? '').trim()
    },
    api: async command => (await ask(`api ${command}`)).body.trim(),
    execute: async (uuid, app, arg = '') =>
      (await ask(`sendmsg ${uuid}\ncall-command: execute\nexecute-app-name: ${app}\nexecute-app-arg: ${arg}`)).headers['Reply-Text'] ?? '',
    events: seen,
    event,
    close: () => socket.destroy(),
  }
}
