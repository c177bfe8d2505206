// Bytes of an ESL client → commands, as mod_event_socket reads them: line feeds in front are skipped, an empty line ends
// the command, the lines after the first are headers, Content-Length bytes follow. So LF LF inside an argument starts a
// second command (transcript 40), here as there.

export interface Command {
  line: string
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>
  body: string
}

/** A command longer than this is an attack or a mistake; FreeSWITCH cuts it off here, too. */
const LONGEST = 10 * 1024 * 1024

const [LF, CR] = [10, 13]

/** Feed it whatever arrives; it answers with the commands that are complete. Throws when one is too long. */
export function createCommandReader(): (chunk: Buffer) => Command[] {
  let rest: Buffer = Buffer.alloc(0)
  return chunk => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const commands: Command[] = []
    for (let taken = take(rest); taken; taken = take(rest)) {
      commands.push(taken.command)
      rest = rest.subarray(taken.bytes)
    }
    if (rest.length > LONGEST) throw new Error(`command of more than ${LONGEST} bytes`)
    return commands
  }
}

function take(buffer: Buffer): { command: Command; bytes: number } | undefined {
  let start = 0
  while (buffer[start] === LF || buffer[start] === CR) start++
  const end = endOfHead(buffer, start)
  if (end < 0) return undefined
  const [line = '', ...lines] = buffer
    .toString('utf8', start, end)
    .split(/[\r\n]+/)
    .filter(one => one !== '')
  const headers = new Map<string, string>()
  for (const one of lines) {
    const colon = one.indexOf(':')
    if (colon > 0) headers.set(one.slice(0, colon).toLowerCase(), one.slice(colon + 1).replace(/^ +/, ''))
  }
  const length = Math.max(0, Number.parseInt(headers.get('content-length') ?? '0', 10) || 0)
  if (length > LONGEST) throw new Error(`Content-Length ${length}`)
  if (buffer.length < end + length) return undefined
  return { command: { line, headers, body: buffer.toString('utf8', end, end + length) }, bytes: end + length }
}

/** Index behind the empty line; carriage returns between the line feeds do not count. */
function endOfHead(buffer: Buffer, start: number): number {
  for (let at = buffer.indexOf(LF, start); at >= 0; at = buffer.indexOf(LF, at + 1)) {
    let next = at + 1
    while (buffer[next] === CR) next++
    if (buffer[next] === LF) return next + 1
  }
  return -1
}
