// What is played to a caller: files from elsewhere, brought to the spool where the switch can read them, and speech.

import { symlink, writeFile } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { AppError, systemCode } from '../errors.ts'
import type { TenantClient } from '../net/client.ts'
import type { Spool } from '../recording/spool.ts'

interface SoundPorts {
  http: TenantClient
  spool: Spool
  wall: Clock
  random(bytes: number): string
}

/** Milliseconds, and bytes: ten minutes of 16 kHz. */
const PATIENCE = 30_000
const MOST_BYTES = 20 * 1024 * 1024

/** The bytes tell what it is; a server's Content-Type often does not. */
export function kindOf(bytes: Buffer): 'wav' | 'mp3' | undefined {
  if (bytes.subarray(0, 4).toString('latin1') === 'RIFF' && bytes.subarray(8, 12).toString('latin1') === 'WAVE') return 'wav'
  if (bytes.subarray(0, 3).toString('latin1') === 'ID3') return 'mp3'
  return bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0 ? 'mp3' : undefined
}

/** Runs `play` with the path that the switch reads it at; afterwards it is gone. */
export async function withSound(ports: SoundPorts, node: string, url: string, mp3: boolean, play: (path: string) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const cancel = ports.wall.after(PATIENCE, () => stop.abort())
  const { host } = new URL(url)
  const refused = (why: string): AppError => new AppError('upload_rejected', `${host}: ${why}`)
  const { status, body, complete } = await ports.http.request({ method: 'GET', url, maxBytes: MOST_BYTES, signal: stop.signal }).finally(cancel)
  if (status < 200 || status > 299) throw refused(`answered ${status}`)
  if (!complete) throw refused(`its file broke off or is larger than ${MOST_BYTES} bytes`)
  const kind = kindOf(body)
  if (kind === undefined) throw refused('its file is neither WAV nor MP3')
  if (kind === 'mp3' && !mp3) throw refused('its file is an MP3, which the switch of this call cannot play (mod_shout)')
  const file = `${node}/voice/${ports.random(16)}.${kind}`
  await ports.spool.makeReady(file)
  await writeFile(ports.spool.here(file), body)
  try {
    await play(ports.spool.onSwitch(file))
  } finally {
    await ports.spool.remove(file)
  }
}

/**
 * A file that keeps nothing, for a `record` application that only listens for silence and keys (seen on 1.11.2: it works as it
 * does with any other file).
 */
export async function nowhere(spool: Spool, node: string): Promise<string> {
  const file = `${node}/voice/nobody.wav`
  const path = spool.here(file)
  await spool.makeReady(file)
  await symlink('/dev/null', path).catch((error: unknown) => {
    if (systemCode(error) !== 'EEXIST') throw error
  })
  return spool.onSwitch(file)
}
