// `conversation`: rooms in which several callers talk, by their names. Who is in a room is known here: everybody enters it
// by an action. A room belongs to an application (or an account, without one), and to one switch.

import { createHash } from 'node:crypto'
import { isCode, reasonOf } from '../errors.ts'
import { conferenceArgument } from '../switch/commands.ts'
import { aborted, type VoiceCall, type VoicePorts } from './call.ts'
import type { ConversationAction, RecordAction } from './ncco.ts'
import type { About, Begun, Parts, Recordings } from './recording.ts'
import type { Report } from './report.ts'
import { withSound } from './sound.ts'

export interface Entering extends Parts {
  call: VoiceCall
  about: About
  report: Report
  mp3: boolean
  /** Aborted when other actions take the place of this one. */
  signal: AbortSignal
}

interface Member extends Entering {
  action: ConversationAction
}

interface Room {
  /** In the order they entered. */
  members: Member[]
  /** Somebody is in it for whom the others wait. */
  started: boolean
  /** Those who wait. */
  waiting: Set<() => void>
  /** The recording of the conversation, on the leg of one of them; it begins, where it has no begun yet. */
  recorded?: { of: Member; begun?: Begun }
}

export interface Conversations {
  /** Resolves when the caller is no longer in it; rejects when he is gone. */
  enter(entering: Entering, action: ConversationAction): Promise<void>
}

/** As the switch is told it: what an application names its rooms may be anything. */
function roomOf({ call: { accountId, node }, about: { applicationId = '' } }: Entering, { name }: ConversationAction): { key: string; room: string } {
  const room = `room-${createHash('sha256')
    .update(JSON.stringify([accountId, applicationId, name]))
    .digest('hex')
    .slice(0, 32)}`
  return { key: `${node.name} ${room}`, room }
}

export function createConversations(ports: VoicePorts, recordings: Recordings): Conversations {
  const rooms = new Map<string, Room>()

  async function enter(entering: Entering, action: ConversationAction): Promise<void> {
    const { key, room: name } = roomOf(entering, action)
    const room = rooms.get(key) ?? { members: [], started: false, waiting: new Set() }
    rooms.set(key, room)
    const member = { ...entering, action }
    if (!action.startOnEnter && !room.started) await waits(member, room, key)
    if (entering.signal.aborted) return
    // It may have come to its end while he waited.
    rooms.set(key, room)
    for (const other of room.members) {
      recordings.meets(other.call.uuid, entering.call.uuid)
      recordings.meets(entering.call.uuid, other.call.uuid)
    }
    room.members.push(member)
    begins(room)
    // What is recorded goes on under the next engine, as they do.
    let isLost = false
    try {
      await goesOn(room, member)
      if (action.record && room.recorded === undefined) await record(room, member)
      await entering.call.set({ hangup_after_conference: 'false' })
      await entering.call.execute('conference', conferenceArgument(name, { muted: action.mute, ends: action.endOnExit }))
    } catch (error) {
      isLost = isCode(error, 'switch_down')
      throw error
    } finally {
      await left(member, room, key, isLost)
    }
  }

  function begins(room: Room): void {
    if (!room.members.some(({ action }) => action.startOnEnter)) return
    room.started = true
    for (const wake of room.waiting) wake()
  }

  /** He hears music, or nothing, until somebody comes who starts it. */
  async function waits({ call, signal, mp3, action: { musicOnHoldUrl } }: Member, room: Room, key: string): Promise<void> {
    const over = new AbortController()
    const wake = (): void => over.abort()
    const ends = AbortSignal.any([over.signal, signal, call.signal])
    room.waiting.add(wake)
    try {
      if (musicOnHoldUrl === undefined) await aborted(ends)
      else
        await withSound(ports, call.node.name, musicOnHoldUrl, mp3, async path => {
          over.signal.addEventListener('abort', () => {
            call.node.interrupt(call.uuid).catch((error: unknown) => call.log.warn('music_not_ended', { why: reasonOf(error) }))
          })
          while (!ends.aborted) await call.execute('playback', path)
        })
    } finally {
      room.waiting.delete(wake)
      if (room.members.length === 0 && room.waiting.size === 0 && rooms.get(key) === room) rooms.delete(key)
    }
    call.signal.throwIfAborted()
  }

  /** What runs on his leg since before his engine went is the room's, and what has begun since he is away is not wanted. */
  async function goesOn(room: Room, member: Member): Promise<void> {
    const begun = member.goesOn === undefined ? undefined : await recordings.running(member.call, member.goesOn)
    if (begun === undefined) return
    const { recorded } = room
    room.recorded = { of: member, begun }
    if (recorded?.begun !== undefined) await recordings.stop(recorded.begun.id).catch(lost(recorded.of))
  }

  async function record(room: Room, member: Member, groupId?: string): Promise<void> {
    const { call, report, about } = member
    const { eventUrl, eventMethod } = member.action
    const action: RecordAction = { action: 'record', channels: 1, beepStart: false, eventMethod, ...(eventUrl === undefined ? {} : { eventUrl }) }
    const recorded: Room['recorded'] = { of: member }
    room.recorded = recorded
    const begun = await recordings.begin(call, action, report, about, groupId)
    if (begun !== undefined) {
      recorded.begun = begun
      return member.begun(begun.id)
    }
    // Somebody else's may begin.
    if (room.recorded === recorded) delete room.recorded
  }

  async function left(member: Member, room: Room, key: string, isLost: boolean): Promise<void> {
    room.members = room.members.filter(one => one !== member)
    const { recorded } = room
    const [next] = room.members
    if (recorded?.of === member) delete room.recorded
    if (next === undefined || member.action.endOnExit) {
      room.started = false
      if (room.waiting.size === 0 && rooms.get(key) === room) rooms.delete(key)
    }
    if (isLost || recorded?.of !== member || recorded.begun === undefined) return
    // What is recorded of the conversation goes on with who is left, begun before the other part ends.
    if (next !== undefined && !member.action.endOnExit) await record(room, next, recorded.begun.groupId).catch(lost(next))
    await recordings.stop(recorded.begun.id).catch(lost(member))
  }

  const lost =
    ({ call }: Member) =>
    (error: unknown): void => {
      if (!isCode(error, 'leg_gone')) call.log.warn('conversation_recording_lost', { why: reasonOf(error) })
    }

  return { enter }
}
