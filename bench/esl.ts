// A bare event socket, as a script without an engine would use it: the floor that callrec is measured
// against, and the eyes and hands of the measurements themselves.

import { connect } from 'node:net'
import { type EventHeaders, header, parseEvent } from '../src/switch/event.ts'
import { frameReader } from '../src/switch/frames.ts'

export interface Esl {
  /** Sends a command of the event socket and answers its reply, or what an `api` printed. */
  send(command: string): Promise<string>
  close(): void
}

const FRAMES = { headerBytes: 64 << 10, bodyBytes: 16 << 20 }

export async function openEsl(
  { port, password }: { port: number; password: string },
  events: readonly string[],
  take: (event: EventHeaders) => void,
): Promise<Esl> {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  const waiting: ((reply: string) => void)[] = []
  const read = frameReader(FRAMES, ({ headers, body }) => {
    const type = headers['content-type']
    if (type === 'text/event-json') take(parseEvent(body) ?? {})
    else if (type === 'command/reply') waiting.shift()?.(headers['reply-text'] ?? '')
    else if (type === 'api/response') waiting.shift()?.(body)
  })
  socket.on('data', read)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const send = (command: string): Promise<string> =>
    new Promise(resolve => {
      waiting.push(resolve)
      socket.write(`${command}\n\n`)
    })
  if (!(await send(`auth ${password}`)).startsWith('+OK')) throw new Error('the event socket refused the password')
  if (events.length > 0) await send(`event json ${events.join(' ')}`)
  return { send, close: () => void socket.destroy() }
}

/** Milliseconds, to the microsecond, by the switch's clock. */
export const timeOf = (event: EventHeaders): number => Number(header(event, 'Event-Date-Timestamp')) / 1000
