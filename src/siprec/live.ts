// One session as those see it who begin it and bring it what happens.

import type { Consent, Notice } from '../recording/announce.ts'
import type { Cover, State } from '../recording/lifecycle.ts'
import type { Leg } from '../switch/switch.ts'
import type { SiprecInFlight, SiprecRecording } from './document.ts'
import type { Wishes } from './hiding.ts'

export interface Live {
  readonly id: string
  readonly leg: string
  readonly state: State
  readonly reason: string | undefined
  readonly interactionId: string
  readonly required: boolean
  readonly document: Readonly<SiprecRecording>
  readonly inFlight: Readonly<SiprecInFlight>
  /** Writes both documents, before anything is asked of anybody: what happens meanwhile waits for that. */
  write(): Promise<void>
  /** Policy wants it as well: servers it has not are called beside those it has. False where it is over. */
  join(origin: string, servers: readonly string[]): Promise<boolean>
  /** Once all who are there were told, where something is announced. Resolves when the first server took it, or it is known that none will. */
  begin(): Promise<State>
  /** Where something is to be said first: until the switch was asked to say it. */
  asked(): Promise<void>
  /** It waits for nothing but that its parties are told. */
  readonly tells: boolean
  /** Its leg, or the one it talks with, came together with another one, or was answered. */
  met(): Promise<void>
  /** Does that key of that leg say no to it? */
  isNo(leg: string, key: string): boolean
  readonly mayBeRefused: boolean
  refuse(by: NonNullable<Consent['refused']>): Promise<void>
  /** Throws `wrong_state`. */
  cover(what: Cover, by: string): Promise<void>
  talksTo(other: Leg | undefined): Promise<void>
  /** One party has put the other on hold: nobody speaks on any stream until that ends. */
  held(on: boolean): Promise<void>
  end(state: 'stopped' | 'discarded' | 'failed', reason?: string): Promise<void>
  /** The engine goes, or its switch is another's: its dialogs end, its documents are a successor's to write. */
  leave(): Promise<void>
}

export interface SessionEvents {
  /** `saved`: its end is written down. */
  over: (saved: Promise<void>) => void
  /** What its call is to be covered with now, and by whom. */
  wish: () => Wishes
  /** A party said no while it was being told. */
  refused: (notice: Notice) => void
  /** A required announcement was not heard. */
  untold: () => void
}
