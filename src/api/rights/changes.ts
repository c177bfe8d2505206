// Which fields of a document a change may touch, where the right to change the document is not enough.
// Documents are compared, not requests: sending back what is there already changes nothing.

import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../errors.ts'
import type { Fields } from '../validation/fields.ts'
import { type Asked, standingOf, USUAL_RIGHTS } from './rights.ts'
import { withoutPasswords } from '../validation/secrets.ts'
import { RECORDING_RIGHTS } from './who.ts'

/** Nobody switches off the recording of his own calls, unless his account lets its users. */
const RECORDING = ['record_call', 'call_recording', 'metaflows', 'retention', 'retention_days', 'siprec_server']

const HABITS = ['call_forward', 'call_waiting', 'contact_list', 'do_not_disturb', 'language', 'music_on_hold', 'ringtones', 'timezone', 'ui_metadata']

/** What of his own documents a user changes; a list of what he may, so that what a later version adds is not his by accident. */
const PERSONAL: Readonly<Record<string, readonly string[]>> = {
  users: ['first_name', 'last_name', 'email', 'password', 'voicemail', 'vm_to_email_enabled', 'ui_help', ...HABITS],
  devices: ['name', ...HABITS],
}

/** The fields to be written. `before` is absent for a new document; throws `forbidden` naming the fields. */
export function permitted(resource: string, before: Fields | undefined, after: Fields, asked: Asked): Fields {
  const fields = standingOf(asked) === 'user' ? unmasked(before ?? {}, after) : after
  const touched = [...new Set([...Object.keys(before ?? {}), ...Object.keys(fields)])].filter(key => !isDeepStrictEqual(before?.[key], fields[key]))
  const refused = [...impersonal(resource, touched, asked), ...notHis(resource, before, fields, touched, asked), ...beyondHis(resource, fields, asked)]
  if (refused.length > 0) throw new AppError('forbidden', `may not change ${refused.join(', ')}`, { cause: refused })
  return fields
}

/** He is shown URLs without their passwords, so he may send them back like that. */
const unmasked = (before: Fields, after: Fields): Fields =>
  Object.fromEntries(
    Object.entries(after).map(([key, value]) => [key, key in before && isDeepStrictEqual(withoutPasswords(before[key]), value) ? before[key] : value]),
  )

function impersonal(resource: string, touched: readonly string[], asked: Asked): string[] {
  if (standingOf(asked) !== 'user') return []
  const his = [...(PERSONAL[resource] ?? []), ...(asked.account.allow_user_recording_settings === true ? RECORDING : [])]
  return touched.filter(key => !his.includes(key))
}

/** Whether an account works is decided above it; whether those above hear its recordings, by itself or at its birth. */
function notHis(resource: string, before: Fields | undefined, after: Fields, touched: readonly string[], asked: Asked): string[] {
  if (resource !== 'accounts' || before === undefined) return []
  const above = standingOf(asked) === 'above'
  const opened = above && after['allow_parent_audio'] === true ? ['allow_parent_audio'] : []
  // Not saying it is saying yes, and is answered as that.
  const switched = !above && (before['enabled'] !== false) !== (after['enabled'] !== false) ? ['enabled'] : []
  const quota = above ? [] : ['max_calls'].filter(key => touched.includes(key))
  return [...opened.filter(key => touched.includes(key)), ...switched, ...quota]
}

/** Nobody hands out, or resets the password of, what has more rights than he has. */
function beyondHis(resource: string, after: Fields, asked: Asked): string[] {
  if (resource !== 'users' || standingOf(asked) === 'user') return []
  const { who } = asked
  const given = rightsOf(after)
  return RECORDING_RIGHTS.some(right => given.includes(right) && !who.recordingRights.includes(right)) ? ['recording_rights'] : []
}

/** Of a user, by his document. */
export function rightsOf({ recording_rights: rights, priv_level: level }: Fields): readonly (typeof RECORDING_RIGHTS)[number][] {
  const usual = USUAL_RIGHTS[level === 'admin' ? 'admin' : 'user']
  return Array.isArray(rights) ? RECORDING_RIGHTS.filter(right => rights.includes(right)) : usual
}
