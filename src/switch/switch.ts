// The switch as the rest of callrec sees it: legs, commands that settle, and typed events. Adapters:
// connection.ts and pool.ts over modesl; the embedded switch speaks the same wire and needs none.

/** One side of a call (a FreeSWITCH channel) as the last event told of it. */
export interface Leg {
  /** Name of the switch in FREESWITCH_ESL. */
  node: string
  uuid: string
  /** From the switch's view: `inbound` = it called the switch. */
  direction: 'inbound' | 'outbound'
  answered: boolean
  /** The number or user that was dialled; of an originated leg see `variables.callrec_destination`. */
  destination: string
  callerIdName: string
  callerIdNumber: string
  calleeIdName: string
  calleeIdNumber: string
  /** `user@host` of the SIP request; empty where the leg is not SIP. */
  sipFrom: string
  sipTo: string
  sipRequest: string
  sipCallId: string
  /** Unix milliseconds by the switch's clock, where it said. */
  createdAt?: number
  /** … and when it was answered. */
  answeredAt?: number
  /** Hz of the leg's read codec; 0 before there is media. */
  sampleRate: number
  /** The leg it is bridged with, if any. */
  otherLeg?: string
  /** Channel variables callrec may act on: those whose name starts with `callrec_`, and those of `READ_VARIABLES`. */
  variables: Readonly<Record<string, string>>
}

/** Channel variables beside `callrec_*` that events carry into `Leg.variables`. */
export const READ_VARIABLES = [
  'bridge_hangup_cause',
  'originate_disposition',
  'last_bridge_hangup_cause',
  'sip_term_status',
  'sip_invite_failure_status',
  'bypass_media',
  'record_samples',
  'record_seconds',
  'record_ms',
  'RECORD_DISCARDED',
  'playback_terminator_used',
  'silence_hits_exhausted',
  'read_terminator_used',
  // `park` of a leg nobody has taken: the sweep after a connect tells by it which calls wait.
  'current_application',
  // Another one after each transfer of the leg: time, leg and where it went (switch_ivr.c, switch_ivr_session_transfer).
  'transfer_source',
] as const

interface About {
  leg: Leg
  /** Unix milliseconds by the switch's clock (Event-Date-Timestamp). */
  at: number
}

export type SwitchEvent =
  | (About & { name: 'CHANNEL_PARK' })
  | (About & { name: 'CHANNEL_ANSWER' })
  | (About & { name: 'CHANNEL_BRIDGE'; otherLeg: string })
  | (About & { name: 'CHANNEL_UNBRIDGE' })
  | (About & { name: 'CHANNEL_HOLD' })
  | (About & { name: 'CHANNEL_UNHOLD' })
  | (About & { name: 'CHANNEL_HANGUP_COMPLETE'; cause: string })
  | (About & { name: 'CHANNEL_DESTROY' })
  /** A key was pressed by whoever is at the far end of the leg. While a recording is masked it may be part of a card's number: never log it. */
  | (About & { name: 'DTMF'; digit: string })
  | (About & { name: 'RECORD_START'; path: string; variables: Readonly<Record<string, string>> })
  | (About & {
      name: 'RECORD_STOP'
      path: string
      variables: Readonly<Record<string, string>>
      /** Record-Completion-Cause, e.g. `success-silence`, `input-too-short`; FreeSWITCH says `success-maxtime` for any stop. */
      cause?: string
    })
  /** After every (re)connection, once events flow: what happened meanwhile must be asked for. */
  | { name: 'node_up'; node: string }
  | { name: 'node_down'; node: string; reason: string }
  /** Another engine drives it now: all that was known of its calls and recordings is that one's. */
  | { name: 'node_lost'; node: string; owner: string }

/** `standby`: it can be reached, and another engine drives it. */
export type NodeState = 'connecting' | 'up' | 'standby' | 'down' | 'auth_failed'

export interface NodeStatus {
  name: string
  state: NodeState
  address: string
  /** Why it is not up. */
  reason?: string
  /** Where the API of the engine is reached that drives it, or was when it could be asked last, where another one does and says so. */
  askAt?: string
  version?: string
  /** Modules asked for at connect (mod_shout, mod_hash) → loaded. */
  modules: Readonly<Record<string, boolean>>
  /** Of mp3, ogg and wav those it writes and plays. */
  formats: readonly string[]
  /** For the metrics: connections made, events received and dropped, commands and applications under way. */
  counters?: Readonly<Record<'connects' | 'events' | 'dropped' | 'pending', number>>
}

export interface ExecuteResult {
  /** Application-Response of CHANNEL_EXECUTE_COMPLETE. */
  response: string
  /** The leg as it was when the application ended. */
  leg: Leg
  /** It did not end by itself: somebody else transferred the leg, or bridged it with another one. */
  taken: boolean
  /** The same, of a leg that may have been called, and then does not go on in any dialplan. */
  cutOff: boolean
}

export interface RecordOptions {
  /** Whole seconds the switch may record; 0 = until the leg ends. */
  limit: number
  /** Per-recording variables, among them `rec_id`; names `[A-Za-z_]+`, values `[A-Za-z0-9._:-]*`. */
  variables: Readonly<Record<string, string>>
}

export interface MessageOptions {
  /** Seconds, kept by callrec's own timer since the switch's is up to a second late; 0 = until something else ends it. */
  limit: number
  /** Ends it after so many whole seconds in which the mean level of the samples (0 to 32767) stayed below the threshold. */
  silence?: { threshold: number; seconds: number }
  /** Keys that end it, out of `0123456789*#`; empty = none. */
  terminators: string
  /** Breaks it off; what was said until then is kept. */
  signal?: AbortSignal
}

/** A message that was recorded, and what ended it. */
export interface Message {
  /** `interrupted`: by the signal, or by uuid_break from elsewhere. */
  ended: 'key' | 'silence' | 'limit' | 'hangup' | 'interrupted'
  /** Which one, where a key ended it. */
  key?: string
  /** Milliseconds of audio by the switch's count. */
  durationMs: number
}

export interface Originate {
  uuid: string
  /** `user/name@realm`; built by commands.ts, which refuses anything else. */
  endpoint: string
  variables: Readonly<Record<string, string>>
  timeoutSeconds: number
}

/** A leg that listens to another one and says what it hears to whoever answers a SIP address. */
export interface Tap {
  /** Of the leg that is to be made. */
  uuid: string
  /** The leg that is listened to. */
  target: string
  /** What its party says, what its party hears, or both mixed. */
  listens: 'said' | 'heard' | 'both'
  /** `name@host:port`. */
  address: string
  /** With keys for its audio (SDES-SRTP), or not at all. */
  secure: boolean
  timeoutSeconds: number
}

/** What a phone registers with, as it is stored. */
export interface Phone {
  name: string
  realm: string
}

/** A table of the switch's own (mod_hash) that all engines see; it is empty after the switch was started anew. */
export interface Table {
  /** Undefined where there is none. */
  read(key: string): Promise<string | undefined>
  write(key: string, value: string): Promise<void>
  /** False when there is a value already. */
  add(key: string, value: string): Promise<boolean>
  /** False when the value is another one, or there is none. */
  remove(key: string, value: string): Promise<boolean>
}

/**
 * One switch. Every promise settles: `switch_down` (the socket went), `switch_timeout` (no answer),
 * `switch_refused` (-ERR; the text in `data.reply`), `leg_gone` (no such channel), `unsafe_argument` (text that could
 * break out of its place; nothing was sent).
 */
export interface SwitchNode {
  readonly name: string
  readonly table: Table
  status(): NodeStatus
  /** Unix milliseconds by the switch's clock. */
  clock(): Promise<number>
  /** Whether the switch runs API calls that stand in what it expands: then whoever gets text into a dial string runs commands. */
  expandsCommands(): Promise<boolean>
  /** Whether there is a file of that absolute path where the switch is. */
  hasFile(path: string): Promise<boolean>

  exists(uuid: string): Promise<boolean>
  /** All legs there are now, read from uuid_dump; for the sweep after a connect. */
  legs(): Promise<Leg[]>
  /** Undefined when it is gone. */
  leg(uuid: string): Promise<Leg | undefined>

  /**
   * Runs a dialplan application on a leg and resolves when it ended; `leg_gone` when the leg hung up first. An abort breaks it
   * off (uuid_break) and it resolves as it ends; aborted before it was sent, nothing is, and it rejects with the signal's reason.
   */
  execute(uuid: string, app: string, arg?: string, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<ExecuteResult>
  /**
   * Records what the leg says, as a voicemail does, and resolves when that is over, hangup included. RECORD_START and RECORD_STOP
   * tell of it; the verbs for recordings do not reach it. `leg_gone` when the leg went before there was a file: FreeSWITCH also
   * hangs up (DESTINATION_OUT_OF_ORDER) on a path that cannot be written. `wrong_state`: the leg is being recorded there.
   */
  recordMessage(uuid: string, path: string, options: MessageOptions): Promise<Message>
  /** Stops the application that runs on the leg now (uuid_break). */
  interrupt(uuid: string): Promise<void>
  /** The only way outside text (caller names …) may reach a channel. Null unsets. */
  setVariables(uuid: string, variables: Readonly<Record<string, string | null>>): Promise<void>

  record(uuid: string, path: string, options: RecordOptions): Promise<void>
  stopRecording(uuid: string, path: string): Promise<void>
  mask(uuid: string, path: string): Promise<void>
  unmask(uuid: string, path: string): Promise<void>
  pause(uuid: string, path: string): Promise<void>
  resume(uuid: string, path: string): Promise<void>
  /** A tone every so many whole seconds for the leg's own party, and the end of it. `switch_refused` where it beeps so already, or does not. */
  beep(uuid: string, every: number): Promise<void>
  stopBeep(uuid: string, every: number): Promise<void>
  /** Paths that a leg is being recorded to (uuid_buglist). */
  recordings(uuid: string): Promise<string[]>

  /** Rings an endpoint and parks it when it answers; resolves then with its uuid, or is refused with the hangup cause in `data.cause`. */
  originate(what: Originate): Promise<void>
  /** Sends the leg to a number in a context of the dialplan; whoever it talks with is left. */
  transfer(uuid: string, number: string, context: string): Promise<void>
  /** Resolves when whoever is at its address has answered; refused with the hangup cause in `data.cause`. */
  tap(what: Tap): Promise<void>
  /** Packets of audio a leg has sent since it was answered. */
  packetsSent(uuid: string): Promise<number>
  hangup(uuid: string, cause: string): Promise<void>
  /** Takes back the hangup that the dialplan scheduled for a leg nobody serves. */
  cancelScheduledHangup(uuid: string): Promise<void>
  /** Throws away what the switch keeps of the directory it got from callrec: one phone's entry, or all. */
  forgetPhones(phone?: Phone): Promise<void>
}

export interface Switches {
  /** In the order of FREESWITCH_ESL. */
  readonly nodes: readonly SwitchNode[]
  /** By name; `switch_down` when there is none of that name. */
  node(name: string): SwitchNode
  /** Events of all nodes, each node's in order. A listener that throws is logged and goes on. The answer unsubscribes. */
  on(listener: (event: SwitchEvent) => void): () => void
  close(): Promise<void>
}
