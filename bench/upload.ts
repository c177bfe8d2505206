// One large file to a server on this machine: by `curl -T`, and by what delivery sends with. The server is a process
// of its own that throws away what it reads; each is measured in turn, some times over, and the best of each counts.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import { tenantClient } from '../src/net/client.ts'
import { openSpool } from '../src/recording/spool.ts'
import { sendTo } from '../src/recording/delivery/to-http.ts'
import { type Row, times } from './row.ts'

const MIB = 1024 * 1024
const SIZE = 1024 * MIB
const ROUNDS = 5
const FILE = 'sink/large.wav'

/** What the child process of this file does. */
function serve(): void {
  const server = createServer((request, response) => {
    request.on('data', () => {})
    request.on('end', () => response.writeHead(201).end())
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port))
  process.on('disconnect', () => process.exit())
}

export async function uploadRows(): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-bench-'))
  const sink = spawn(process.execPath, [import.meta.filename, 'serve'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [port] = (await once(sink, 'message')) as [number]
  const url = `http://127.0.0.1:${port}/`
  const spool = openSpool({ here: dir, onSwitch: dir, minFree: 0 })
  const http = tenantClient({ allow: ['127.0.0.0/8'], clock: systemClock() })
  try {
    await spool.makeReady(FILE)
    const sha256 = await fill(spool.here(FILE))
    const cargo = {
      id: 'x',
      name: 'large.wav',
      contentType: 'audio/x-wav',
      size: SIZE,
      sha256,
      pieces: (size: number, from: number) => spool.pieces(FILE, size, from),
    }
    const never = new AbortController().signal
    const ports = { http, now: () => Date.now() }
    const ours: number[] = []
    const theirs: number[] = []
    let least = Number.POSITIVE_INFINITY
    let most = 0
    for (let round = 0; round < ROUNDS; round++) {
      theirs.push(await timed(() => curl(spool.here(FILE), url)))
      const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20)
      least = Math.min(least, process.memoryUsage.rss())
      ours.push(
        await timed(async () => {
          const { is } = await sendTo(url, 'PUT', cargo, ports, never)
          if (is !== 'stored') throw new Error(`the upload is ${is}`)
        }),
      )
      clearInterval(watch)
    }
    const speed = (seconds: readonly number[]): number => SIZE / MIB / Math.min(...seconds)
    return [
      {
        what: `upload of 1 GB, best of ${ROUNDS}`,
        measured: `${speed(ours).toFixed(0)} MiB/s`,
        floor: `${speed(theirs).toFixed(0)} MiB/s (curl -T)`,
        ratio: times(speed(ours), speed(theirs)),
        budget: '≥ 0.9×',
      },
      { what: 'memory while it uploads, grown by', measured: `${((most - least) / MIB).toFixed(0)} MiB`, budget: '≤ 32 MiB' },
    ]
  } finally {
    sink.disconnect()
    await http.close()
    await rm(dir, { recursive: true, force: true })
  }
}

async function fill(path: string): Promise<string> {
  const hash = createHash('sha256')
  const piece = Buffer.alloc(MIB, 'callrec ')
  const file = await open(path, 'w')
  for (let at = 0; at < SIZE; at += MIB) {
    hash.update(piece)
    await file.write(piece)
  }
  await file.close()
  return hash.digest('hex')
}

async function curl(path: string, url: string): Promise<void> {
  const child = spawn('curl', ['-s', '-f', '-H', 'Expect:', '-T', path, url], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`curl ended with ${code}`)
}

/** Seconds. */
async function timed(run: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await run()
  return (performance.now() - began) / 1000
}

if (process.argv[2] === 'serve') serve()
