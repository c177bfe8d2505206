// On the wire before an engine and on the one behind it: passes every byte on and tells when it came, so that what was asked and what
// was confirmed is seen from outside.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { frameReader } from '../src/switch/frames.ts'

export interface Relay {
  port: number
  close(): void
}

/** Hears one connection. */
export interface Tap {
  asked(chunk: Buffer): void
  answered(chunk: Buffer): void
}

export async function startRelay(to: number, tap: () => Tap): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    const onward = connect({ port: to, host: '127.0.0.1', noDelay: true })
    const heard = tap()
    socket.on('data', (chunk: Buffer) => {
      heard.asked(chunk)
      onward.write(chunk)
    })
    onward.on('data', (chunk: Buffer) => {
      socket.write(chunk)
      heard.answered(chunk)
    })
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const one of sockets) one.destroy()
    },
  }
}

const FRAMES = { headerBytes: 64 << 10, bodyBytes: 16 << 20 }

/** Of an event socket: each command as the switch answers it. */
export function commandsAnswered(tell: (command: string) => void): () => Tap {
  return () => {
    const waiting: string[] = []
    let rest = ''
    const read = frameReader(FRAMES, ({ headers }) => {
      const type = headers['content-type']
      if (type === 'command/reply' || type === 'api/response') tell(waiting.shift() ?? '')
    })
    return {
      asked(chunk) {
        const commands = (rest + chunk.toString('latin1')).split('\n\n')
        rest = commands.pop() ?? ''
        waiting.push(...commands)
      },
      answered: read,
    }
  }
}
