// Between an engine and its switch: passes every byte on, and knows which reply belongs to which command, so that what the switch
// has confirmed is seen from outside of both.

import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { frameReader } from '../src/switch/frames.ts'

export interface Relay {
  port: number
  /** Called with each command that the switch has answered. */
  answered: (command: string) => void
  close(): void
}

const FRAMES = { headerBytes: 64 << 10, bodyBytes: 16 << 20 }

export async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    const onward = connect({ port: to, host: '127.0.0.1', noDelay: true })
    const asked: string[] = []
    let rest = ''
    const read = frameReader(FRAMES, ({ headers }) => {
      const type = headers['content-type']
      if (type === 'command/reply' || type === 'api/response') relay.answered(asked.shift() ?? '')
    })
    socket.on('data', (chunk: Buffer) => {
      onward.write(chunk)
      const commands = (rest + chunk.toString('latin1')).split('\n\n')
      rest = commands.pop() ?? ''
      asked.push(...commands)
    })
    onward.on('data', (chunk: Buffer) => {
      socket.write(chunk)
      read(chunk)
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
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    answered: () => {},
    close() {
      server.close()
      for (const one of sockets) one.destroy()
    },
  }
  return relay
}
