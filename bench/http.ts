// One kept connection to an API, and requests that are bytes before they are sent: nothing of a client is in what they take.

import { once } from 'node:events'
import { connect } from 'node:net'

export interface Http {
  /** One at a time; resolves when the whole answer is there, rejects where it is not 200. */
  send(request: string): Promise<void>
  close(): void
}

export const postOf = (path: string, token: string, body: object): string => {
  const json = JSON.stringify(body)
  const headers = ['host: 127.0.0.1', `x-auth-token: ${token}`, 'content-type: application/json', `content-length: ${Buffer.byteLength(json)}`]
  return [`POST ${path} HTTP/1.1`, ...headers, '', json].join('\r\n')
}

export async function openHttp(port: number): Promise<Http> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return {
    async send(request) {
      socket.write(request)
      for (let answer = Buffer.alloc(0); ; ) {
        const [chunk] = (await once(socket, 'data')) as [Buffer]
        answer = Buffer.concat([answer, chunk])
        const head = answer.indexOf('\r\n\r\n')
        const length = /content-length: (\d+)/i.exec(answer.toString('latin1', 0, head))?.[1]
        if (head < 0 || length === undefined || answer.length < head + 4 + Number(length)) continue
        if (!answer.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error(answer.toString())
        return
      }
    },
    close: () => void socket.destroy(),
  }
}
