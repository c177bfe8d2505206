// A SIP phone that can lie: just enough of RFC 3261 over UDP to register, call, cancel and hang up, with every header in
// the test's hands. It offers audio and sends none.

import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export interface Credentials {
  name: string
  realm: string
  password: string
}

export interface SipAnswer {
  status: number
  headers: Readonly<Record<string, string>>
}

export interface SipCall {
  /** The final answer to the INVITE. */
  answered: Promise<SipAnswer>
  /** Statuses so far, provisional ones too. */
  statuses: readonly number[]
  cancel(): void
  bye(): void
}

export interface CallOptions {
  /** Answers a challenge with these; without them the challenge is the final answer. */
  as?: Credentials
  /** From; the realm of the challenge comes from it. */
  from: { name: string; realm: string; display?: string }
  /** After the number in the request URI, e.g. `;gw=trunk`. */
  uriParams?: string
  headers?: Readonly<Record<string, string>>
}

export interface SipPhone {
  port: number
  /** Final status of a REGISTER; `to` is whose registration it asks for, `contact` the SIP URI that is to be rung instead of this phone. */
  register(as: Credentials, options?: { to?: { name: string; realm: string }; from?: { name: string; realm: string }; contact?: string }): Promise<SipAnswer>
  call(number: string, options: CallOptions): SipCall
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex')
const tag = (): string => randomBytes(6).toString('hex')

function digest(challenge: string, method: string, uri: string, { name, realm, password }: Credentials): string {
  const nonce = /nonce="([^"]*)"/.exec(challenge)?.[1] ?? ''
  const cnonce = tag()
  const response = md5(`${md5(`${name}:${realm}:${password}`)}:${nonce}:00000001:${cnonce}:auth:${md5(`${method}:${uri}`)}`)
  return (
    `Digest username="${name}", realm="${realm}", nonce="${nonce}", uri="${uri}", ` +
    `response="${response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="${cnonce}"`
  )
}

function parse(text: string): SipAnswer & { cseq: string; callId: string } {
  const [first = '', ...lines] = text.split('\r\n\r\n')[0]?.split('\r\n') ?? []
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(/^SIP\/2\.0 (\d+)/.exec(first)?.[1] ?? 0), headers, cseq: headers['cseq'] ?? '', callId: headers['call-id'] ?? '' }
}

export async function sipPhone(t: { teardown(run: () => unknown): void }, server: { host: string; port: number }): Promise<SipPhone> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const { port } = socket.address()

  const dialogs = new Map<string, (answer: SipAnswer & { cseq: string }) => void>()
  socket.on('message', data => {
    const message = parse(data.toString())
    // Requests of the switch (BYE, OPTIONS) are answered so that it does not wait for us.
    if (message.status > 0) return dialogs.get(message.callId)?.(message)
    const kept = ['via', 'from', 'to', 'call-id', 'cseq'].map(name => `${name}: ${message.headers[name] ?? ''}`)
    send(['SIP/2.0 200 OK', ...kept, 'content-length: 0'])
  })
  const send = (lines: readonly string[], body = ''): void => socket.send(`${lines.join('\r\n')}\r\n\r\n${body}`, server.port, server.host)

  interface Request {
    method: string
    uri: string
    to: string
    from: string
    callId: string
    cseq: number
    headers?: readonly string[]
    body?: string
    branch?: string
  }
  const write = ({ method, uri, to, from, callId, cseq, headers = [], body = '', branch = tag() }: Request): void =>
    send(
      [
        `${method} ${uri} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${port};rport;branch=z9hG4bK${branch}`,
        'Max-Forwards: 70',
        `From: ${from}`,
        `To: ${to}`,
        `Call-ID: ${callId}`,
        `CSeq: ${cseq} ${method}`,
        ...headers,
        ...(body ? ['Content-Type: application/sdp'] : []),
        `Content-Length: ${Buffer.byteLength(body)}`,
      ],
      body,
    )

  return {
    port,

    register(as, { to = as, from = to, contact = `sip:${to.name}@127.0.0.1:${port}` } = {}) {
      const callId = tag()
      const uri = `sip:${to.realm}`
      const request = (cseq: number, headers: readonly string[] = []): void =>
        write({
          method: 'REGISTER',
          uri,
          from: `<sip:${from.name}@${from.realm}>;tag=${callId}`,
          to: `<sip:${to.name}@${to.realm}>`,
          callId,
          cseq,
          headers: [`Contact: <${contact}>`, 'Expires: 300', ...headers],
        })
      return new Promise(resolve => {
        dialogs.set(callId, answer => {
          if (answer.status < 200) return
          if (answer.status === 401 && answer.cseq.startsWith('1 '))
            return request(2, [`Authorization: ${digest(answer.headers['www-authenticate'] ?? '', 'REGISTER', uri, as)}`])
          dialogs.delete(callId)
          resolve(answer)
        })
        request(1)
      })
    },

    call(number, { as, from, uriParams = '', headers = {} }) {
      const callId = tag()
      const uri = `sip:${number}@${from.realm}${uriParams}`
      const display = from.display === undefined ? '' : `"${from.display}" `
      const fromHeader = `${display}<sip:${from.name}@${from.realm}>;tag=${callId}`
      const to = `<sip:${number}@${from.realm}>`
      const statuses: number[] = []
      const sdp = `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port + 1} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n`
      const contact = `Contact: <sip:${from.name}@127.0.0.1:${port}>`
      const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
      let cseq = 1
      let branch = tag()
      let toTag = to
      const invite = (auth: readonly string[] = []): void =>
        write({ method: 'INVITE', uri, from: fromHeader, to, callId, cseq, branch, headers: [contact, ...extra, ...auth], body: sdp })
      const answered = new Promise<SipAnswer>(resolve => {
        dialogs.set(callId, answer => {
          if (!answer.cseq.endsWith('INVITE')) return
          statuses.push(answer.status)
          if (answer.status < 200) return
          toTag = answer.headers['to'] ?? to
          // The ACK of a refusal belongs to the INVITE's transaction, that of a 2xx is one of its own (RFC 3261 §17.1.1.3).
          write({ method: 'ACK', uri, from: fromHeader, to: toTag, callId, cseq, ...(answer.status < 300 ? {} : { branch }) })
          if (answer.status === 407 && as && cseq === 1) {
            cseq = 2
            branch = tag()
            return invite([`Proxy-Authorization: ${digest(answer.headers['proxy-authenticate'] ?? '', 'INVITE', uri, as)}`])
          }
          resolve(answer)
        })
      })
      invite()
      return {
        answered,
        statuses,
        cancel: () => write({ method: 'CANCEL', uri, from: fromHeader, to, callId, cseq, branch }),
        bye: () => write({ method: 'BYE', uri, from: fromHeader, to: toTag, callId, cseq: cseq + 1 }),
      }
    },
  }
}
