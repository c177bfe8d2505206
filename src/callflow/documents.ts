// Reading what documents say. They passed a schema when the API saved them, but may have come to the
// store by another way, and a soft-deleted document is still there.

import type { Flags } from '../recording/settings.ts'
import type { Doc } from '../store/store.ts'

export const text = (value: unknown): string => (typeof value === 'string' ? value : '')

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)

export const isDeleted = (doc: Doc): boolean => doc['pvt_deleted'] === true

/** The document, if it is there, not deleted and of that kind. */
export const live = <T extends Doc>(
  doc: T | undefined,
  type: 'user' | 'device' | 'callflow' | 'group' | 'resource' | 'menu' | 'temporal_rule',
): T | undefined => (doc !== undefined && !isDeleted(doc) && doc['pvt_type'] === type ? doc : undefined)

export const isDisabled = (doc: Doc): boolean => doc['enabled'] === false || doc['enabled'] === 'false'

export const flagsOf = ({ record_call, call_recording }: Doc): Flags => ({ record_call, call_recording })

/** Empty when the device has none. */
export const sipUsername = (device: Doc): string => (isObject(device['sip']) ? text(device['sip']['username']) : '')

/** What a person would call the owner of a phone. */
export function nameOf(device: Doc | undefined, user: Doc | undefined): string {
  const full = user === undefined ? '' : `${text(user['first_name'])} ${text(user['last_name'])}`.trim()
  return full === '' && device !== undefined ? text(device['name']) : full
}
