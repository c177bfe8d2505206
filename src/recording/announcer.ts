// Says to legs that they are recorded, each announcement once to each: however many recordings of a call ask for it, and
// whichever part of one. A call is not held up by it, and never ends of it.

import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { ExecuteResult, Leg, SwitchNode } from '../switch/switch.ts'
import { type Announce, type Notice, saying } from './announce.ts'
import type { Side } from './document.ts'

export interface AnnouncerPorts {
  node: (name: string) => SwitchNode
  clock: Clock
  log: Log
}

export interface Party {
  node: string
  leg: string
  party: Side
}

// Milliseconds of call time.
/** It may have to wait for what its leg hears already. */
const LONGEST = 60_000
/** Times that it is begun when transfers cut it off. */
const OFTEN = 5
/** After its end, until a key that was asked for does not come any more. */
const ANSWER_WITHIN = 10_000

export interface Telling {
  /** The switch was asked to say it: what is asked of the leg from now on is heard after it. */
  sent: Promise<void>
  /** Rejects where the switch was lost, which does not say whether it was heard. */
  notice: Promise<Notice>
}

interface Question {
  keys: readonly string[]
  pressed: (key: string) => void
}

/** The same announcement, whoever asks for it. */
const keyOf = (leg: string, { media, text, optout_key, consent_key }: Announce): string => `${leg} ${JSON.stringify([media, text, optout_key, consent_key])}`

export class Announcer {
  readonly #ports: AnnouncerPorts
  readonly #told = new Map<string, Telling>()
  /** … and has ended. */
  readonly #over = new Map<string, Notice>()
  readonly #asked = new Map<string, Question>()

  constructor(ports: AnnouncerPorts) {
    this.#ports = ports
  }

  tell(to: Party, announce: Announce): Telling {
    const key = keyOf(to.leg, announce)
    const known = this.#told.get(key)
    if (known !== undefined) return known
    let asked = (): void => {}
    const sent = new Promise<void>(resolve => (asked = resolve))
    const notice = this.#tell(to, announce, asked).finally(asked)
    const telling = { sent, notice }
    this.#told.set(key, telling)
    // Who was not told is told by whatever asks next.
    notice.then(
      said => (said.outcome === 'failed' ? this.#told.delete(key) : this.#over.set(key, said)),
      () => this.#told.delete(key),
    )
    return telling
  }

  /** What was said to him, where it was. */
  toldOf(leg: string, announce: Announce): Notice | undefined {
    return this.#over.get(keyOf(leg, announce))
  }

  /** As a recording's document has it. */
  learn(notice: Notice, announce: Announce): void {
    if (notice.outcome === 'failed') return
    const key = keyOf(notice.leg, announce)
    this.#over.set(key, notice)
    this.#told.set(key, { sent: Promise.resolve(), notice: Promise.resolve(notice) })
  }

  /** True for a key that answers what is being said to the leg. */
  pressed({ uuid, otherLeg, variables }: Leg, digit: string): boolean {
    const question = this.#asked.get(uuid)
    if (question === undefined || !question.keys.includes(digit)) return false
    // While it still waits for its turn, a key belongs to what is heard before it.
    const application = variables['current_application']
    if (otherLeg === undefined && application !== undefined && !['playback', 'speak', 'park'].includes(application)) return false
    question.pressed(digit)
    return true
  }

  gone(leg: string): void {
    for (const all of [this.#told, this.#over]) for (const key of all.keys()) if (key.startsWith(`${leg} `)) all.delete(key)
  }

  async #tell({ node: name, leg, party }: Party, announce: Announce, asked: () => void): Promise<Notice> {
    const { clock, log } = this.#ports
    const now = (): string => new Date(clock.now()).toISOString()
    const { media, text, optout_key, consent_key } = announce
    const notice = { leg, party, ...(media === undefined ? {} : { media }), ...(text === undefined ? {} : { text }) }
    const breakOff = new AbortController()
    let at = now()
    let answer: Pick<Notice, 'key' | 'key_at'> = {}
    let answered = (): void => {}
    const heard = new Promise<void>(resolve => (answered = resolve))
    this.#asked.set(leg, {
      keys: [optout_key, consent_key].filter(key => key !== undefined),
      pressed(key) {
        answer = { key, key_at: now() }
        breakOff.abort()
        answered()
      },
    })
    const node = this.#ports.node(name)
    const ended = (outcome: Notice['outcome'], reason?: string): Notice => ({
      ...notice,
      at,
      ended_at: now(),
      outcome,
      ...(reason === undefined ? {} : { reason }),
      ...answer,
    })
    try {
      const [app, argument] = saying(announce, node.status().modules)
      // Else a star would end it.
      await node.setVariables(leg, { playback_terminators: 'none' })
      const say = (): Promise<ExecuteResult> => node.execute(leg, app, argument, { timeoutMs: LONGEST, signal: breakOff.signal })
      const first = say()
      asked()
      let said = await first
      // A transfer is no reason not to hear it where the leg goes on.
      for (let times = 1; said.cutOff && answer.key === undefined && times < OFTEN; times += 1) {
        at = now()
        said = await say()
      }
      await node.setVariables(leg, { playback_terminators: null })
      if (answer.key !== undefined) return ended('broken_off')
      if (said.cutOff) throw new AppError('switch_refused', 'its leg was transferred whenever it was said')
      if (/^(FILE NOT FOUND|PLAYBACK ERROR)/.test(said.response)) throw new AppError('switch_refused', said.response.trim())
      const played = ended('played')
      if (consent_key !== undefined) await Promise.race([heard, new Promise<void>(resolve => clock.after(ANSWER_WITHIN, resolve))])
      return { ...played, ...answer }
    } catch (error) {
      if (isCode(error, 'switch_down')) throw error
      if (isCode(error, 'leg_gone')) return ended('left')
      log.error('announcement_failed', { node: name, leg, reason: reasonOf(error) })
      return ended('failed', reasonOf(error))
    } finally {
      this.#asked.delete(leg)
    }
  }
}
