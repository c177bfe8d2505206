// A recording in the store → its transcript: fetched, made WAV where it is not, and each channel given to the transcriber. What lies on the
// disk meanwhile is in a folder of its own, and gone afterwards.

import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Store, Stored } from '../../store/store.ts'
import { soundOf, takeChannel } from '../audio/channel.ts'
import type { Decoder } from '../audio/decoder.ts'
import { type Recording, recordingDbOf } from '../document.ts'
import { ProgramFailed } from '../audio/program.ts'
import type { Transcriber } from './transcriber.ts'
import { type Sentence, speaks, transcriptOf, type TranscriptionWish } from '../transcript.ts'

export interface TranscribePorts {
  store: Store
  transcriber: Transcriber
  decoder: Decoder
  /** Of this engine alone. */
  folder: string
}

/** Milliseconds for one channel: a slow program on a busy machine, and still not for ever. */
export const limitOf = (durationMs: number): number => 60_000 + 4 * durationMs

/** Whether this engine could do it at all; in words why not. */
export function whyNot(
  { transcriber, decoder }: Pick<TranscribePorts, 'transcriber' | 'decoder'>,
  { media_type, transcription }: Recording,
): string | undefined {
  const { languages, sentiment } = transcriber
  if (languages.length === 0) return 'there is no transcriber'
  if (transcription !== undefined && !speaks(languages, transcription.language)) return `the transcriber does not understand ${transcription.language}`
  if (transcription?.sentiment === true && !sentiment) return 'the transcriber tells no sentiment'
  if (media_type !== 'wav' && !decoder.formats.includes(media_type)) return `there is no ffmpeg that reads ${media_type}`
  return undefined
}

/** Rejects with ProgramFailed where trying again does not help. */
export async function transcribe(
  { store, transcriber, decoder, folder }: TranscribePorts,
  recording: Stored<Recording>,
  wish: TranscriptionWish,
  signal: AbortSignal,
): Promise<Buffer> {
  const { _id: id, pvt_account_id: account_id, pvt_voice, media_type } = recording
  const own = join(folder, id)
  await rm(own, { recursive: true, force: true })
  await mkdir(own, { recursive: true, mode: 0o700 })
  try {
    const kept = join(own, `recording.${media_type}`)
    const found = await store.getAttachment(recordingDbOf({ _id: id, account_id }), id, recording.name)
    if (found === undefined) throw new ProgramFailed('its file is not in the store', '')
    await pipeline(found.body, createWriteStream(kept, { mode: 0o600 }), { signal })
    const wav = media_type === 'wav' ? kept : await decoded(kept, join(own, 'whole.wav'))
    const { channels, durationMs } = await soundOf(wav).catch((cause: unknown) => {
      throw new ProgramFailed('its file is no sound that can be read', String(cause))
    })
    const heard: Sentence[][] = []
    const one = join(own, 'channel.wav')
    for (let nth = 0; nth < channels; nth++) {
      await takeChannel(wav, nth, one)
      heard.push(await transcriber.transcribe(one, { ...wish, within: limitOf(durationMs), signal }))
    }
    return Buffer.from(JSON.stringify(transcriptOf(pvt_voice?.recording_uuid ?? id, wish.language, heard)))
  } finally {
    await rm(own, { recursive: true, force: true })
  }

  async function decoded(from: string, to: string): Promise<string> {
    await decoder.decode(from, to, signal)
    await rm(from)
    return to
  }
}
