// Users. Passwords come in as text and stay as what credentials.ts makes of them; since Kazoo's
// digests hold the username, a user who is renamed needs his password again.

import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../errors.ts'
import { mustHoldNothing } from '../../recording/keeping/hold.ts'
import type { Store } from '../../store/store.ts'
import { credentialsOf } from '../rights/credentials.ts'
import { accountResource } from '../documents/account-resource.ts'
import type { Draft, Settled } from '../documents/document.ts'
import { type Fields } from '../validation/fields.ts'
import { type Problem, problem } from '../validation/problems.ts'
import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const userRoutes = (room: Room): Route[] =>
  accountResource(room, {
    name: 'users',
    type: 'user',
    param: 'user',
    metaflows: true,
    settle: draft => settle(room.store, draft),
    removable: ({ db, id }) => mustHoldNothing(room.store, db, id),
    changed: async ({ before, after, account }) => {
      if (before !== undefined && !isDeepStrictEqual(standing(before), standing(after))) room.sessions.forget({ accountId: account._id, ownerId: after._id })
    },
    owner: async ({ param }) => param('user'),
  })

/** What a session is made of (auth.ts). */
const standing = ({ enabled, priv_level: level, recording_rights: rights, pvt_credentials: credentials, pvt_deleted: deleted }: Fields): unknown[] => [
  enabled,
  level,
  rights,
  credentials,
  deleted,
]

async function settle(store: Store, draft: Draft): Promise<Settled> {
  const { password, ...rest } = draft.fields
  const username = typeof rest['username'] === 'string' ? rest['username'].toLowerCase() : undefined
  const fields: Fields = username === undefined ? rest : { ...rest, username }
  if (username !== undefined && username !== draft.before?.['username']) await mustBeFree(store, draft, username)
  return { fields, pvt: { ...(await secrets(draft, username, password)) } }
}

async function mustBeFree(store: Store, { db, id }: Draft, username: string): Promise<void> {
  const rows = await store.query(db, 'users/listing_by_username', { key: username, limit: 2 })
  if (rows.some(row => row.id !== id)) throw refused('username', 'unique', { message: 'Username must be unique within account', cause: username })
}

/** Undefined values take a login away that a user had. */
async function secrets({ account, before }: Draft, username: string | undefined, password: unknown): Promise<Fields> {
  if (typeof password === 'string') {
    if (username === undefined) throw refused('username', 'required', { message: 'Field is required but missing', value: {} })
    return { ...(await credentialsOf(account._id, username, password)) }
  }
  if (username === undefined) return { pvt_credentials: undefined, pvt_auth_hints: undefined }
  if (username === before?.['username'] && before?.['pvt_credentials'] !== undefined) return {}
  throw refused('password', 'required', { message: 'Field is required but missing', value: {} })
}

const refused = (path: string, code: string, what: Problem): AppError => new AppError('validation error', what.message, problem(path, code, what))
