// Who asks, and the documents that say what he may: his account and, where he is one of its users, his own.

import type { Doc } from '../../store/store.ts'
import type { Credentials } from './credentials.ts'

/** What may be done with the sound of a recording, each by itself; a user's `recording_rights`. */
export const RECORDING_RIGHTS = ['listen', 'download', 'delete'] as const
export type RecordingRight = (typeof RECORDING_RIGHTS)[number]

export interface Account extends Doc {
  pvt_type: 'account'
  /** Ancestors, root first; empty for the master account. */
  pvt_tree: string[]
  pvt_api_key: string
  /** What it is found by. */
  pvt_api_key_digest: string
  /** The name's letters and digits in lower case: what `account_name` of a login is compared with. */
  pvt_alphanum_name: string
  name: string
  realm: string
  /** False: nobody logs in, and no token of it is worth anything. */
  enabled?: boolean
  allow_parent_audio?: boolean
  allow_user_recording_settings?: boolean
  pvt_deleted?: boolean
}

export interface User extends Doc, Partial<Credentials> {
  pvt_type: 'user'
  pvt_deleted?: boolean
  enabled?: boolean
  priv_level?: 'user' | 'admin'
  recording_rights?: RecordingRight[]
  username?: string
}

/** Who asks, as the token tells. */
export interface Who {
  accountId: string
  /** The user that logged in; absent for an API key. */
  ownerId?: string
  /** Id of the token's document. */
  token: string
  level: 'user' | 'admin'
  recordingRights: readonly RecordingRight[]
}
