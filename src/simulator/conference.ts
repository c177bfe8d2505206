// The application of mod_conference: `name@profile+flags{mute|endconf}`; other
// flags mean nothing here. Who is left when it ends is hung up, unless told otherwise (mod_conference.c, hangup_after_conference).

import { hangup } from './call.ts'
import { type Leg, type Room, variable } from './leg.ts'
import { settle } from './recording.ts'
import type { Run } from './exchange.ts'

export function conference(run: Run): void {
  const { exchange, leg, arg } = run
  const [, name = '', list = ''] = /^([^@+]+)(?:@[^+]*)?(?:\+flags\{([^}]*)\})?$/.exec(arg.trim()) ?? []
  if (name === '') return run.done()
  const flags = new Set(list.split(/[|,]/))
  const room: Room = exchange.rooms.get(name) ?? { members: new Map() }
  exchange.rooms.set(name, room)
  leg.phone.media()

  function leave(): void {
    settle(leg)
    leg.room = undefined
    room.members.delete(leg)
    if (flags.has('endconf')) for (const [other, member] of room.members) dismiss(run, other, member.leave)
    if (room.members.size === 0 && exchange.rooms.get(name) === room) exchange.rooms.delete(name)
    run.done()
  }

  for (const other of room.members.keys()) settle(other)
  settle(leg)
  leg.room = room
  room.members.set(leg, { muted: flags.has('mute'), leave })
  run.onStop = leave
}

function dismiss({ exchange }: Run, leg: Leg, leave: () => void): void {
  if (variable(leg, 'hangup_after_conference') === 'false') leave()
  else hangup(exchange, leg, 'NORMAL_CLEARING')
}
