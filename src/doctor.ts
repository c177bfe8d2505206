// `callrec doctor`: looks at every neighbour the way the engine will use it, and says what to do about
// what it finds. It changes nothing that stays: a scratch database and one second of silence come and go.

import { randomBytes } from 'node:crypto'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { reasonOf } from './errors.ts'
import { examineCouch } from './examine-couch.ts'
import { examineOrphans } from './examine-orphans.ts'
import { examineSwitches } from './examine-switch.ts'
import { fail, type Finding, ok, type Tools } from './finding.ts'
import { silent } from './log.ts'
import { findEncoder } from './recording/audio/encoder.ts'
import { openSpool } from './recording/spool.ts'
import { findTranscriber } from './recording/transcripts/transcriber.ts'

const TOOLS: Tools = { clock: systemClock(), random: bytes => randomBytes(bytes).toString('hex') }

export async function examine(config: Config, tools: Tools = TOOLS): Promise<Finding[]> {
  const spool = await examineSpool(config)
  return [
    ...(await examineStore(config, tools)),
    spool,
    await examineEncoder(config),
    await examineTranscriber(config),
    ...(await examineSwitches(config, tools)),
    ...(await examineOrphans(config, tools)),
  ]
}

async function examineStore({ couchdbUrl, dataDir }: Config, tools: Tools): Promise<Finding[]> {
  if (couchdbUrl !== undefined) return examineCouch(couchdbUrl, tools)
  return [ok(`store: embedded, in ${dataDir}/store (set COUCHDB_URL for CouchDB)`)]
}

/** Nothing needs one: what cannot be made is refused, or stays WAV. */
async function examineEncoder({ ffmpeg }: Config): Promise<Finding> {
  const { formats } = await findEncoder(ffmpeg, silent)
  if (formats.length > 0) return ok(`ffmpeg: ${ffmpeg} makes ${formats.join(' and ')} where the switch does not`)
  return ok(`ffmpeg: ${ffmpeg === 'off' ? 'none is wanted' : 'there is none'}, so recordings are what the switch writes (FFMPEG)`)
}

/** Nobody needs one who asks for no transcripts. */
async function examineTranscriber({ transcriber }: Config): Promise<Finding> {
  const { languages, sentiment } = await findTranscriber(transcriber, silent)
  const known = languages.includes('*') ? 'any language' : languages.join(', ')
  if (languages.length > 0) return ok(`transcriber: ${transcriber} understands ${known}${sentiment ? ', and tells sentiment' : ''}`)
  return ok(`transcriber: ${transcriber === 'off' ? 'none is wanted' : 'there is none'}, so a recording with \`transcription\` is refused (TRANSCRIBER)`)
}

async function examineSpool({ spool: where }: Config): Promise<Finding> {
  const spool = openSpool(where)
  try {
    await spool.check()
    return ok(`spool: ${where.here} can be written, ${((await spool.free()) / 1024 ** 3).toFixed(1)} GiB are free`)
  } catch (error) {
    const todo = reasonOf(error).includes('SPOOL_MIN_FREE')
      ? `make room on the disk of ${where.here}, or lower SPOOL_MIN_FREE`
      : `make ${where.here} writable for this user and for FreeSWITCH's (a shared group, mode 2770), or name another RECORDING_DIR`
    return fail(`spool: ${reasonOf(error)}`, todo)
  }
}
