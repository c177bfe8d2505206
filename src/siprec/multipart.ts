// A body of several parts (RFC 2046 section 5.1): what goes to a recording server is SDP and metadata together.

export interface Part {
  contentType: string
  disposition?: string
  text: string
}

/** `unique` is hex that stands in no part. */
export function join(parts: readonly Part[], unique: string): { contentType: string; body: Buffer } {
  const boundary = `callrec-${unique}`
  const text = parts.map(
    ({ contentType, disposition, text }) =>
      `--${boundary}\r\nContent-Type: ${contentType}\r\n${disposition === undefined ? '' : `Content-Disposition: ${disposition}\r\n`}\r\n${text}\r\n`,
  )
  return { contentType: `multipart/mixed;boundary=${boundary}`, body: Buffer.from(`${text.join('')}--${boundary}--\r\n`) }
}

/** The text of the first part of a type, of a body that may have one part or several; undefined when there is none. Line ends may be bare. */
export function find(contentType: string, body: Buffer, type: RegExp): string | undefined {
  const text = body.toString('utf8')
  if (type.test(contentType)) return text
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (!/^multipart\//i.test(contentType) || boundary === undefined) return undefined
  for (const part of `\n${text}`.split(`\n--${boundary}`).slice(1)) {
    if (part.startsWith('--')) break
    const own = part.slice(part.indexOf('\n') + 1)
    const blank = /(?:^|\n)\r?\n/.exec(own)
    if (blank !== null && type.test(typeIn(own.slice(0, blank.index)))) return own.slice(blank.index + blank[0].length).replace(/\r?$/, '')
  }
  return undefined
}

function typeIn(headers: string): string {
  const [, type = ''] = /^content-type\s*:(.*)$/im.exec(headers) ?? []
  return type.trim()
}

export const SDP = /^application\/sdp\b/i
export const METADATA = /^application\/rs-metadata(\+xml)?\b/i
