// A small S3 on loopback: it checks every signature by itself (AWS Signature Version 4, "Create a signed AWS API
// request"), the hash of every body against what was signed, and keeps objects that came whole or in parts.

import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Teardown } from './http-sink.ts'

export interface S3Peer {
  host: string
  port: number
  objects: Map<string, { body: Buffer; headers: IncomingMessage['headers'] }>
  /** Method, path and query of every request with a good signature. */
  asked: string[]
  /** Why requests were refused. */
  refused: string[]
  /** Uploads in parts that were neither ended nor taken back. */
  open(): number
  /** What is answered in place of the usual, from now on. */
  script: { answer: ((asked: string) => { status: number; body?: string; headers?: Record<string, string> } | undefined) | undefined }
}

export const KEY = 'AKIAEXAMPLE'
export const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'

export async function s3Peer(
  t: Teardown,
  bucket: string,
  { region = 'us-east-1', now = Date.now }: { region?: string; now?: () => number } = {},
): Promise<S3Peer> {
  const objects: S3Peer['objects'] = new Map()
  const uploads = new Map<string, { path: string; parts: Map<number, Buffer>; headers: IncomingMessage['headers'] }>()
  const asked: string[] = []
  const refused: string[] = []
  const script: S3Peer['script'] = { answer: undefined }

  const server = createServer((request, response) => {
    const say = (status: number, body = '', headers: Record<string, string> = {}): void => void response.writeHead(status, headers).end(body)
    void request.toArray().then(
      (chunks: Buffer[]) => {
        const body = Buffer.concat(chunks)
        const wrong = whatIsWrong(request, body, region, now())
        if (wrong !== undefined) {
          refused.push(wrong)
          return say(403, `<Error><Code>${wrong}</Code></Error>`)
        }
        const line = `${request.method} ${request.url}`
        asked.push(line)
        const scripted = script.answer?.(line)
        if (scripted !== undefined) return say(scripted.status, scripted.body, scripted.headers)
        const url = new URL(request.url ?? '', 'http://x')
        const path = decodeURIComponent(url.pathname)
        if (!path.startsWith(`/${bucket}/`)) return say(404, '<Error><Code>NoSuchBucket</Code></Error>')
        const upload = uploads.get(url.searchParams.get('uploadId') ?? '')
        if (request.method === 'POST' && url.searchParams.has('uploads')) {
          const id = `${randomBytes(8).toString('hex')}+/=&`
          uploads.set(id, { path, parts: new Map(), headers: request.headers })
          return say(200, `<InitiateMultipartUploadResult><UploadId>${id.replaceAll('&', '&amp;')}</UploadId></InitiateMultipartUploadResult>`)
        }
        if (url.searchParams.has('uploadId')) {
          if (upload === undefined) return say(404, '<Error><Code>NoSuchUpload</Code></Error>')
          if (request.method === 'DELETE') {
            uploads.delete(url.searchParams.get('uploadId') ?? '')
            return say(204)
          }
          if (request.method === 'PUT') {
            upload.parts.set(Number(url.searchParams.get('partNumber')), body)
            return say(200, '', { etag: tagOf(body) })
          }
          const named = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>([^<]+)<\/ETag>/g)]
          const parts = named.map(([, number]) => upload.parts.get(Number(number)) ?? Buffer.alloc(0))
          if (named.some(([, , tag], index) => tag !== tagOf(parts[index] ?? Buffer.alloc(0)))) return say(400, '<Error><Code>InvalidPart</Code></Error>')
          objects.set(path, { body: Buffer.concat(parts), headers: upload.headers })
          uploads.delete(url.searchParams.get('uploadId') ?? '')
          return say(200, '<CompleteMultipartUploadResult/>')
        }
        if (request.method === 'DELETE') {
          objects.delete(path)
          return say(204)
        }
        objects.set(path, { body, headers: request.headers })
        say(200, '', { etag: tagOf(body) })
      },
      () => {},
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, objects, asked, refused, open: () => uploads.size, script }
}

const tagOf = (body: Buffer): string => `"${createHash('md5').update(body).digest('hex')}"`
const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const FIFTEEN_MINUTES = 900_000

function whatIsWrong(request: IncomingMessage, body: Buffer, region: string, now: number): string | undefined {
  const found = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
    request.headers.authorization ?? '',
  )
  if (found === null) return 'MissingSecurityHeader'
  const [, key, day = '', named, signedHeaders = '', signature] = found
  if (key !== KEY) return 'InvalidAccessKeyId'
  if (named !== region) return 'AuthorizationHeaderMalformed'
  const at = String(request.headers['x-amz-date'])
  const iso = at.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  if (!at.startsWith(day) || !(Math.abs(Date.parse(iso) - now) < FIFTEEN_MINUTES)) return 'RequestTimeTooSkewed'
  const headers = signedHeaders.split(';')
  if (!headers.includes('host') || !headers.includes('x-amz-content-sha256')) return 'AccessDenied'
  const bodyHash = String(request.headers['x-amz-content-sha256'])
  const url = new URL(request.url ?? '', 'http://x')
  const rfc3986 = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, one => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
  const query = [...url.searchParams]
    .map(([name, value]) => [rfc3986(name), rfc3986(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
  const canonical = [
    request.method,
    decodeURIComponent(url.pathname).split('/').map(rfc3986).join('/'),
    query,
    ...headers.map(name => `${name}:${String(request.headers[name]).trim()}`),
    '',
    signedHeaders,
    bodyHash,
  ].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', at, `${day}/${region}/s3/aws4_request`, sha256(canonical)].join('\n')
  const signing = hmac(hmac(hmac(hmac(`AWS4${SECRET}`, day), region), 's3'), 'aws4_request')
  if (createHmac('sha256', signing).update(toSign).digest('hex') !== signature) return 'SignatureDoesNotMatch'
  return bodyHash === sha256(body) ? undefined : 'XAmzContentSHA256Mismatch'
}
