// Where a phone's calls go instead, or as well: pure. A device's own `call_forward` comes before that of its owner, and
// one that is off, or names no number, is none (Kazoo: users.json and devices.json, call_forward).

import type { Doc } from '../store/store.ts'
import { isObject, text } from './documents.ts'

export interface Forward {
  number: string
  /** The phone itself does not ring. */
  substitute: boolean
  /** Only where the phone cannot be reached. */
  failover: boolean
  /** Not for calls to a group the phone is in. */
  directOnly: boolean
  /** Who answers has to press 1 first. */
  keypress: boolean
  /** The other side sees who calls, not who forwards. */
  keepCallerId: boolean
}

const flag = (value: unknown, otherwise: boolean): boolean =>
  value === true || value === 'true' ? true : value === false || value === 'false' ? false : otherwise

function said(doc: Doc | undefined): Forward | undefined {
  const forward = doc?.['call_forward']
  if (!isObject(forward) || !flag(forward['enabled'], false) || text(forward['number']) === '') return undefined
  return {
    number: text(forward['number']),
    substitute: flag(forward['substitute'], true),
    failover: flag(forward['failover'], false),
    directOnly: flag(forward['direct_calls_only'], false),
    keypress: flag(forward['require_keypress'], false),
    keepCallerId: flag(forward['keep_caller_id'], true),
  }
}

/** `direct`: the call is for this phone or its owner, not for a group. */
export function forwardOf(device: Doc | undefined, user: Doc | undefined, direct: boolean): Forward | undefined {
  const forward = said(device) ?? said(user)
  return forward?.directOnly === true && !direct ? undefined : forward
}

/** What the other side is shown where the caller is not to be seen: a number outside that is the forwarder's. */
export function ownNumber(...layers: readonly (Doc | undefined)[]): string | undefined {
  const shown = layers.map(doc => {
    const id = doc?.['caller_id']
    return isObject(id) && isObject(id['external']) ? text(id['external']['number']) : ''
  })
  return shown.find(number => /^\+?[0-9*#]{1,35}$/.test(number))
}
