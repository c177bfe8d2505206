// `uuid_displace … mux`: a sound over what a leg is sent, whatever the leg is busy with. What recorded the leg before does
// not have it in its file, what begins later has (measured on FreeSWITCH 1.11.2).

import { preAnswer } from './call.ts'
import type { Exchange } from './exchange.ts'
import { hasMedia, type Leg } from './leg.ts'
import { SILENCE, type Source } from './media.ts'
import { parseSound, type Sound } from './playback.ts'
import { settle } from './recording.ts'
import { splitWords } from './words.ts'

const OK = '+OK Success\n'

export function uuidDisplace(exchange: Exchange, args: string): string {
  const [uuid, action, path, , flags = ''] = splitWords(args, 5)
  if (!uuid || !action || !path) return '-USAGE: <uuid> [start|stop] <path> [<limit>] [mux]\n'
  const leg = exchange.legs.get(uuid)
  if (!leg) return '-ERR Cannot locate session!\n'
  const running = leg.displaced.find(one => one.target === path)
  if (action === 'stop') {
    if (running === undefined) return '-ERR Cannot stop displace session!\n'
    running.stop()
    return OK
  }
  if (action !== 'start') return '-USAGE: <uuid> [start|stop] <path> [<limit>] [mux]\n'
  if (!hasMedia(leg) && leg.direction === 'inbound') preAnswer(exchange, leg)
  const sound = parseSound(path, exchange.recordingDir)
  // Without mux it takes the place of all that is heard, which is not imitated.
  if (!hasMedia(leg) || running !== undefined || sound === undefined || !flags.includes('m')) return '-ERR Cannot displace session!\n'
  displace(exchange, leg, path, sound)
  return OK
}

function displace(exchange: Exchange, leg: Leg, target: string, sound: Sound): void {
  let cancel = (): void => {}
  const displaced = {
    target,
    source: SILENCE,
    stop(): void {
      cancel()
      settle(leg)
      leg.displaced = leg.displaced.filter(one => one !== displaced)
    },
  }
  const become = (source: Source): void => {
    settle(leg)
    displaced.source = source
  }
  leg.displaced = [...leg.displaced, displaced]
  let [loop, index] = [0, 0]
  function next(): void {
    const stretch = sound.stretches[index]
    if (stretch === undefined) return displaced.stop()
    become(stretch.source(exchange.timeline.now()))
    index++
    if (index >= sound.stretches.length && ++loop < sound.loops) index = 0
    if (stretch.ms < Number.POSITIVE_INFINITY) cancel = exchange.timeline.after(stretch.ms, next)
  }
  next()
}
