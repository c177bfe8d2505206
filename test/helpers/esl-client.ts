// Says one API command to an event socket and gives the answer; for what the port has no verb for.

import { connect } from 'node:net'

export function eslApi(port: number, password: string, api: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setEncoding('utf8')
    socket.on('error', reject)
    socket.on('end', () => reject(new Error(`the event socket ended after ${JSON.stringify(received)}`)))
    socket.on('data', chunk => {
      received += chunk
      const answer = /Content-Type: api\/response\nContent-Length: (\d+)\n\n/.exec(received)
      const body = answer === null ? undefined : received.slice(answer.index + answer[0].length)
      if (answer === null || body === undefined || Buffer.byteLength(body) < Number(answer[1])) return
      socket.destroy()
      resolve(body)
    })
    socket.write(`auth ${password}\n\napi ${api}\n\n`)
  })
}
