// How recordings stand on legs of switches that other engines drive. Only those know: each is asked once, for as long as a
// list may wait, and what none of them says stays null.

import { reasonOf } from '../../errors.ts'
import { HANDED_ON } from '../http/hand-on.ts'
import type { Room } from '../http/room.ts'
import type { Request } from '../http/route.ts'
import { tokenOf } from '../rights/auth.ts'
import { type Fields, isObject } from '../validation/fields.ts'

/** Milliseconds. */
const PATIENCE = 2_000

/** By the uuid of the leg. */
type Told = readonly (readonly [unknown, unknown])[]

export async function toldByOthers(room: Room, request: Request, rows: readonly Fields[]): Promise<readonly Fields[]> {
  const unknown = rows.filter(isUnknown)
  if (unknown.length === 0 || request.headers[HANDED_ON] !== undefined) return rows
  const engines = new Set(unknown.flatMap(({ node }) => room.switches.node(String(node)).status().askAt ?? []))
  const told = new Map((await Promise.all([...engines].map(engine => ask(room, request, engine)))).flat())
  return rows.map(row => (isUnknown(row) ? { ...row, recordings: told.get(row['uuid']) ?? null } : row))
}

const isUnknown = ({ recordings }: Fields): boolean => recordings === null

async function ask({ peers, log }: Room, { account, headers, query, id, address }: Request, engine: string): Promise<Told> {
  const asked = { 'x-auth-token': tokenOf(headers, query) ?? '', 'x-request-id': id, 'x-forwarded-for': address, [HANDED_ON]: 'true' }
  try {
    const { body } = await peers.ask(engine, { method: 'GET', path: `/v2/accounts/${account._id}/channels`, headers: asked, withinMs: PATIENCE })
    const envelope: unknown = JSON.parse(body.toString())
    const rows: unknown = isObject(envelope) ? envelope['data'] : undefined
    return Array.isArray(rows) ? rows.filter(isObject).map(row => [row['uuid'], row['recordings']]) : []
  } catch (error) {
    log.warn('recordings_not_told', { request_id: id, engine, reason: reasonOf(error) })
    return []
  }
}
