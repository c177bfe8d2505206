// What a voice application is given that wants another format than the embedded switch writes.

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEngine } from '../helpers/engine.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { onPath } from '../helpers/real.ts'
import { until } from '../helpers/wait.ts'

interface Listed {
  id: string
  name: string
  media_type: string
  content_type: string
  duration_ms: number
  warnings?: string[]
}

async function recorded(t: ExecutionContext, FFMPEG: string, formats: readonly (string | undefined)[]) {
  const app = await httpSink(t, [204])
  const engine = await startEngine(t, { FFMPEG })
  const { client, url } = engine
  const at = `accounts/${client.accountId}`
  const { id } = await client.put<{ id: string }>(`${at}/devices`, { name: 'phone', sip: { username: 'phone', password: 'a-long-secret' } })
  const ncco = formats.map(format => ({ action: 'record', timeOut: 3, ...(format === undefined ? {} : { format }) }))
  await client.put(`${at}/callflows`, { numbers: ['3100'], flow: { module: 'ncco', data: { ncco, event_url: app.url } } })
  await client.put(`${at}/devices/${id}/quickcall/3100`, { seconds: 600 })
  const told = (): Record<string, unknown>[] => app.received.filter(one => one.whole).map(one => JSON.parse(one.body.toString()) as Record<string, unknown>)
  return {
    told,
    over: () => until('the end', () => told().some(({ status }) => status === 'completed')),
    recordings: async () => (await client.get<Listed[]>(`${at}/recordings`)).toSorted((a, b) => a.name.length - b.name.length || (a.name < b.name ? -1 : 1)),
    file: async ({ id: recording }: Listed) => {
      const response = await fetch(`${url}/v2/${at}/recordings/${recording}`, { headers: { 'x-auth-token': client.token, accept: 'audio/*' } })
      return { type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer()) }
    },
  }
}

test('without ffmpeg a format that the switch does not write is refused before the first action, and mp3 is what nobody has to ask for', async t => {
  const { over, told, recordings } = await recorded(t, 'off', [undefined, 'ogg'])
  await over()
  t.true(
    told().some(({ detail }) => JSON.stringify(detail ?? '').includes('[1].format ogg is not available: neither the switch of this call nor ffmpeg makes it')),
  )
  t.deepEqual(await recordings(), [])
})

const withFfmpeg = onPath('ffmpeg') ? test : (): void => {}
withFfmpeg('ffmpeg makes what the switch does not write, and mp3 where nobody says', async t => {
  const { over, told, recordings, file } = await recorded(t, 'ffmpeg', [undefined, 'ogg', 'wav'])
  await over()
  const all = await recordings()
  t.deepEqual(
    all.map(({ media_type, content_type, name }) => [media_type, content_type, name.split('.').pop()]),
    [
      ['mp3', 'audio/mpeg', 'mp3'],
      ['ogg', 'audio/ogg', 'ogg'],
      ['wav', 'audio/x-wav', 'wav'],
    ],
  )
  const kinds = await Promise.all(all.map(file))
  t.deepEqual(
    kinds.map(({ type }) => type),
    ['audio/mpeg', 'audio/ogg', 'audio/x-wav'],
  )
  t.is(kinds[1]?.bytes.toString('latin1', 0, 4), 'OggS')
  t.deepEqual(
    told().flatMap(one => (typeof one['size'] === 'number' ? [one['size']] : [])),
    kinds.map(({ bytes }) => bytes.length),
  )
  for (const { warnings } of all) t.is(warnings, undefined)
})

test('what cannot be made after all stays WAV, with the reason, and is told of as ever', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'callrec-ffmpeg-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const program = join(dir, 'ffmpeg')
  writeFileSync(program, '#!/bin/sh\ncase "$*" in *-encoders*) echo " A....D libvorbis  a"; exit 0;; esac\necho "no room" >&2; exit 1\n')
  chmodSync(program, 0o755)
  const { over, told, recordings, file } = await recorded(t, program, ['ogg'])
  await over()
  const [one] = await recordings()
  t.like(one, { media_type: 'wav', content_type: 'audio/x-wav' })
  t.regex(one?.name ?? '', /\.wav$/)
  t.regex(one?.warnings?.[0] ?? '', /could not be made ogg, and stays wav: ffmpeg could not make ogg: no room/)
  t.is((await file(one as Listed)).bytes.toString('latin1', 0, 4), 'RIFF')
  t.true(told().some(event => typeof event['recording_url'] === 'string'))
})
