// One leg of the switch that listens to a call: the switch calls us with its SDP, we answer with where a recording server takes the
// audio. So what it sends never comes here, and what it may send is said here.

import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { within } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { IncomingCall, Session } from '../sip/agent.ts'
import { header } from '../sip/message.ts'
import type { SwitchNode, Tap as Listening } from '../switch/switch.ts'
import type { Door } from './door.ts'
import { find, SDP } from './multipart.ts'
import { type Answered, type Direction, isSilent, legAnswer, type Place, placeOf } from './sdp.ts'

export interface TapPorts {
  door: Door
  node: SwitchNode
  /** The wall's. */
  clock: Clock
  log: Log
}

export interface Tap {
  readonly uuid: string
  /** Where the leg sends from. */
  readonly place: Place
  readonly over: boolean
  /** The leg may send to `there`, or must be silent. False when the switch did not take it. */
  answer(there: Answered, direction: Direction): boolean
  /** Resolves true once the switch confirmed it. */
  redirect(there: Answered, direction: Direction): Promise<boolean>
  /** Ends the leg; nothing is heard of it any more. */
  end(): Promise<void>
}

/** Seconds that the switch tries to reach us; its leg is waited for as long, because a busy switch may be late with it. */
const TRIES_FOR = 30
/** Milliseconds. */
const CONFIRMS_WITHIN = 3000

/** `ended`: the leg is gone though nobody here ended it. Throws in words when there is no such leg to be had. */
export async function openTap({ door, node, clock, log }: TapPorts, what: Pick<Listening, 'target' | 'listens' | 'secure'>, ended: () => void): Promise<Tap> {
  await door.agent()
  const uuid = randomUUID()
  const { address, call: coming, forget } = door.expect(TRIES_FOR * 1000)
  let refused: unknown
  const made = node.tap({ ...what, uuid, address, timeoutSeconds: TRIES_FOR }).catch((error: unknown) => {
    refused = error
    forget()
  })
  const call = await coming
  if (call === undefined) {
    // It may still be on its way.
    void made.then(() => kill())
    throw new Error(refused === undefined ? 'the recording leg of the switch did not come' : reasonOf(refused))
  }
  let place: Place
  try {
    place = placeOf(sdpOf(call))
  } catch (error) {
    call.refuse(488)
    throw error
  }
  let session: Session | undefined
  let over = false
  let version = 1
  let said = ''

  const gone = (): void => {
    if (over) return
    over = true
    ended()
  }
  call.onCancel(gone)

  async function kill(): Promise<void> {
    try {
      await node.hangup(uuid, 'NORMAL_CLEARING')
    } catch (error) {
      if (!isCode(error, 'leg_gone')) log.info('recording_leg_not_ended', { leg: uuid, reason: reasonOf(error) })
    }
  }

  const spell = (there: Answered, direction: Direction): string => {
    said = legAnswer(there, direction, { id: '1', version: version++ })
    return said
  }
  const sdp = (): { headers: [string, string][]; body: Buffer } => ({ headers: [['Content-Type', 'application/sdp']], body: Buffer.from(said) })

  return {
    uuid,
    place,
    get over() {
      return over
    },
    answer(there, direction) {
      spell(there, direction)
      const { headers, body } = sdp()
      session = call.answer(headers, body, {
        // The switch refreshes its session: nothing has changed.
        asked: ({ method }) => (method === 'INVITE' || method === 'UPDATE' ? { status: 200, ...sdp() } : undefined),
        refresh: sdp,
        ended: gone,
      })
      return session !== undefined
    },
    async redirect(there, direction) {
      if (session === undefined || over) return false
      spell(there, direction)
      try {
        const answer = await within(clock, CONFIRMS_WITHIN, session.ask('INVITE', sdp()))
        const text = answer.status < 300 ? find(header(answer, 'content-type') ?? '', answer.body, SDP) : undefined
        return text !== undefined && (direction !== 'inactive' || isSilent(text))
      } catch (error) {
        log.warn('recording_leg_not_changed', { leg: uuid, reason: reasonOf(error) })
        return false
      }
    },
    async end() {
      over = true
      if (session === undefined) call.refuse(480)
      else void session.bye()
      // Audio stops though our BYE is lost.
      await kill()
    },
  }
}

function sdpOf({ request }: IncomingCall): string {
  const text = find(header(request, 'content-type') ?? '', request.body, SDP)
  if (text === undefined) throw new Error('the recording leg of the switch offers nothing')
  return text
}
