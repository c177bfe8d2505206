// The sound of a recording, straight from the store: whole, or the bytes a Range asks for (RFC 9110
// §14). A client that asks for mp3 gets the file there is, under its own name, as Crossbar does.

import { AppError } from '../../errors.ts'
import type { Recording } from '../../recording/document.ts'
import { recordingDb } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { wants, wantsJson } from '../http/accept.ts'
import { checkedAudio } from './checked-audio.ts'
import { noSuch } from '../documents/document.ts'
import type { Answer, Request } from '../http/route.ts'
import type { ApiPorts } from '../http/ports.ts'

const AUDIO = /^audio\/(mpeg|mp3|ogg|x-wav|wav|\*)$/

/** The type that is wanted most; JSON where both are wanted alike. */
export function wantsAudio(accept: string): boolean {
  const [json, audio] = [wantsJson(accept), wants(accept, AUDIO)]
  if (json === 0 && audio === 0) throw new AppError('not_acceptable', 'a recording is JSON or audio')
  return audio > json
}

export const isInline = ({ query }: Pick<Request, 'query'>): boolean => query.get('inline') === 'true'

export const damageReport =
  ({ log, metrics }: Pick<ApiPorts, 'log' | 'metrics'>) =>
  ({ _id: recording_id, pvt_account_id: account_id, sha256 }: Recording, found: string): void => {
    metrics.count('callrec_audio_damaged_total', {})
    log.error('audio_damaged', { account_id, recording_id, sha256, found, todo: 'put it back from a backup; callrec verify finds others' })
  }

/** `damaged` is told the hash of a whole file that is not what it was. */
export async function audioOf(
  store: Store,
  recording: Stored<Recording>,
  { account, query, headers }: Pick<Request, 'account' | 'query' | 'headers'>,
  damaged: (recording: Recording, found: string) => void,
): Promise<Answer> {
  const attachments = recording['_attachments'] as Record<string, { length: number }> | undefined
  const length = attachments?.[recording.name]?.length
  if (length === undefined) throw noSuch('audio of recording', recording._id)
  const tag = `"${recording.sha256 ?? recording._rev}"`
  const range = headers['if-range'] === undefined || headers['if-range'] === tag ? rangeOf(headers.range, length) : undefined
  const sound = await store.getAttachment(recordingDb(account._id, recording._id), recording._id, recording.name, range)
  if (sound === undefined) throw noSuch('audio of recording', recording._id)
  return {
    status: range === undefined ? 200 : 206,
    headers: { etag: tag, 'accept-ranges': 'bytes', ...(range === undefined ? {} : { 'content-range': `bytes ${range.first}-${range.last}/${length}` }) },
    file: {
      body: range === undefined && recording.sha256 !== undefined ? checkedAudio(sound.body, recording.sha256, found => damaged(recording, found)) : sound.body,
      length: range === undefined ? length : range.last - range.first + 1,
      type: recording.content_type,
      name: recording.name,
      inline: isInline({ query }),
    },
  }
}

/** Undefined: the whole. Several ranges, or one that is no range, are answered with the whole (RFC 9110 §14.2). */
export function rangeOf(header: string | undefined, length: number): { first: number; last: number } | undefined {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec((header ?? '').replaceAll(' ', ''))
  const [, from = '', to = ''] = found ?? []
  if (found === null || (from === '' && to === '') || (from !== '' && to !== '' && Number(to) < Number(from))) return undefined
  const first = from === '' ? Math.max(0, length - Number(to)) : Number(from)
  const last = from === '' || to === '' ? length - 1 : Math.min(Number(to), length - 1)
  if (first > last) throw new AppError('range_not_satisfiable', 'the range is beyond the end', { length })
  return { first, last }
}
