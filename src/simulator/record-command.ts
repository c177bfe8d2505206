// `uuid_record` and `uuid_buglist`, with the answers of transcripts 10, 11 and 60. Only `.wav` can be written: like a
// switch without mod_shout and mod_native_file, anything else "Cannot record session".

import { isAbsolute, join } from 'node:path'

import { reasonOf } from '../errors.ts'
import { preAnswer } from './call.ts'
import { urlDecode } from './event.ts'
import type { Exchange } from './exchange.ts'
import { hasMedia, type Leg, type Recording, setVariable } from './leg.ts'
import { startRecording } from './recording.ts'
import { splitWords, takeVariables } from './words.ts'

const USAGE = '-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n'
const OK = '+OK Success\n'
/** NAME_MAX of the file systems there are. */
const LONGEST_NAME = 255

const CHANGES: Readonly<Record<string, { failure: string; apply: (recording: Recording) => void }>> = {
  mask: { failure: 'mask recording', apply: recording => recording.mask(true) },
  unmask: { failure: 'unmask recording', apply: recording => recording.mask(false) },
  pause: { failure: 'pause recording', apply: recording => recording.pause(true) },
  resume: { failure: 'resume recording', apply: recording => recording.pause(false) },
}

export function uuidRecord(exchange: Exchange, args: string): string {
  const [uuid, action, path, limit, variables] = splitWords(args, 5)
  if (!uuid || !action || !path) return USAGE
  const leg = exchange.legs.get(uuid)
  if (!leg) return '-ERR Cannot locate session!\n'
  const verb = action.toLowerCase()
  if (verb === 'start') return start(exchange, leg, path, Number.parseInt(limit ?? '0', 10) || 0, variables)
  if (verb === 'stop') return stop(leg, path)
  const change = Object.hasOwn(CHANGES, verb) ? CHANGES[verb] : undefined
  if (!change) return USAGE
  const recording = leg.recordings.find(one => one.path === path)
  if (!recording) return `-ERR Cannot ${change.failure} session!\n`
  change.apply(recording)
  return OK
}

function start(exchange: Exchange, leg: Leg, path: string, limit: number, variables: string | undefined): string {
  const refused = (reason: string): string => {
    exchange.log.warn('simulator_record_refused', { leg: leg.uuid, path, reason })
    return '-ERR Cannot record session!\n'
  }
  if (!hasMedia(leg)) {
    if (leg.direction === 'outbound') return refused('no media yet')
    preAnswer(exchange, leg)
  }
  const whole = isAbsolute(path) ? path : join(exchange.recordingDir, path)
  if (leg.recordings.some(one => one.path === whole)) {
    exchange.log.warn('simulator_already_recording', { leg: leg.uuid, path: whole })
    return OK
  }
  const name = whole.slice(whole.lastIndexOf('/') + 1)
  try {
    if (!name.endsWith('.wav') || path.includes('://') || Buffer.byteLength(name) > LONGEST_NAME) throw new Error('no such file format, or no such name')
    startRecording(exchange, leg, whole, limit, takeVariables(urlDecode(variables ?? ''), '{').variables)
    return OK
  } catch (error) {
    setVariable(leg, 'record_completion_cause', 'uri-failure')
    return refused(reasonOf(error))
  }
}

function stop(leg: Leg, path: string): string {
  const wanted = path === 'all' ? [...leg.recordings] : leg.recordings.filter(one => one.path === path)
  if (wanted.length === 0) return '-ERR Cannot stop record session!\n'
  for (const recording of wanted) recording.stop()
  return OK
}

export function uuidBuglist(exchange: Exchange, args: string): string {
  const [uuid] = splitWords(args, 2)
  if (!uuid) return '-USAGE: <uuid>\n'
  const leg = exchange.legs.get(uuid)
  // FreeSWITCH prints nothing at all for a leg that is gone.
  if (!leg) return ''
  const bug = (what: string, target: string): string =>
    ` <media-bug>\n  <function>${what}</function>\n  <target>${target}</target>\n  <thread-locked>0</thread-locked>\n </media-bug>\n`
  const bugs = [...leg.recordings.map(({ path }) => bug('session_record', path)), ...leg.displaced.map(({ target }) => bug('displace', target))]
  return `<media-bugs>\n${bugs.join('')}</media-bugs>\n`
}
