// Who asks. What a token means is kept for five seconds, so that a request costs no read: whatever is
// changed through this engine holds at once, and what another engine changes after those five seconds.

import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../../clock.ts'
import { AppError } from '../../errors.ts'
import { accountDb } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { rightsOf } from './changes.ts'
import { ACCOUNTS } from './databases.ts'
import type { Fields } from '../validation/fields.ts'
import { findToken, proofOf, type Token } from './tokens.ts'
import { type Account, RECORDING_RIGHTS, type User, type Who } from './who.ts'

/** X-Auth-Token, `Authorization: Bearer`, or `?auth_token=`. */
export function tokenOf(headers: IncomingHttpHeaders, query: URLSearchParams): string | undefined {
  const header = headers['x-auth-token']
  if (typeof header === 'string' && header !== '') return header
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? query.get('auth_token') ?? undefined
}

export interface Session {
  token: Token
  who: Who
  account: Stored<Account>
}

export interface Sessions {
  /** Rejects with `invalid_credentials`. */
  of(token: string | undefined): Promise<Session>
  /** Those of an account, of one of its users or of one token are looked up anew. */
  forget(whose: Pick<Who, 'accountId'> & Partial<Pick<Who, 'ownerId' | 'token'>>): void
}

/** Milliseconds. */
const KEPT = 5000
const MOST = 10_000

const refused = (why: string): AppError => new AppError('invalid_credentials', why)

export function createSessions(ports: { store: Store; clock: Clock }): Sessions {
  const { clock } = ports
  const known = new Map<string, { session: Session; until: number }>()
  // What was read before something was forgotten may be what was to be forgotten.
  let forgotten = 0

  function keep(token: string, session: Session): void {
    known.delete(token)
    known.set(token, { session, until: clock.elapsed() + KEPT })
    for (const oldest of known.keys()) {
      if (known.size <= MOST) return
      known.delete(oldest)
    }
  }

  return {
    async of(token) {
      if (token === undefined) throw refused('no token')
      const cached = known.get(token)
      const fresh = cached !== undefined && cached.until > clock.elapsed()
      if (!fresh) known.delete(token)
      const before = forgotten
      const session = fresh ? cached.session : await readSession(ports, token)
      if (session.token.expires_at <= clock.now()) throw refused('the token is too old')
      if (!fresh && before === forgotten) keep(token, session)
      return session
    },
    forget({ accountId, ownerId, token }) {
      forgotten += 1
      const isWhose = (who: Who): boolean =>
        who.accountId === accountId && (ownerId === undefined || who.ownerId === ownerId) && (token === undefined || who.token === token)
      for (const [key, { session }] of known) if (isWhose(session.who)) known.delete(key)
    },
  }
}

async function readSession({ store }: { store: Store }, given: string): Promise<Session> {
  const token = await findToken(store, given)
  if (token === undefined) throw refused('no such token')
  const { account_id: accountId, owner_id: ownerId } = token
  const account = await store.get<Account>(ACCOUNTS, accountId)
  if (account === undefined || account.pvt_deleted === true || account.enabled === false) throw refused('the account is gone or disabled')
  if (ownerId === undefined) {
    if (token.proof !== proofOf(account.pvt_api_key)) throw refused('the API key has changed')
    return { token, account, who: { accountId, token: token._id, level: 'admin', recordingRights: RECORDING_RIGHTS } }
  }
  const user = await store.get<User>(accountDb(accountId), ownerId)
  if (user === undefined || user.pvt_deleted === true || user.enabled === false) throw refused('the user is gone or disabled')
  if (token.proof !== proofOf(user.pvt_credentials?.md5 ?? '')) throw refused('the password has changed')
  const level = user.priv_level === 'admin' ? 'admin' : 'user'
  return { token, account, who: { accountId, ownerId, token: token._id, level, recordingRights: rightsOf(user) } }
}

/** The account a path names: the token's own as it is known already, another one as it is now. */
export async function accountOf({ store }: { store: Store }, { who, account }: Session, id: string): Promise<Stored<Account>> {
  if (id === who.accountId) return account
  const other = await store.get<Account>(ACCOUNTS, id)
  // Of an account outside of his tree nobody learns whether it was deleted.
  if (other === undefined || (other.pvt_deleted === true && other.pvt_tree.includes(who.accountId))) throw noSuchAccount(id)
  return other
}

const noSuchAccount = (id: string): AppError => new AppError('bad_identifier', `no account ${id}`, { cause: id })

/** Of an account, to whoever is logged in to it (crossbar: cb_user_auth.erl, create_auth_token). Without resellers the master account is everybody's. */
export const told = ({ _id, name, pvt_tree: tree, ...account }: Account, user: Fields = {}): Fields => {
  const language = user['language'] ?? account['language']
  return {
    account_id: _id,
    account_name: name,
    is_master_account: tree.length === 0,
    is_reseller: tree.length === 0,
    reseller_id: tree[0] ?? _id,
    ...(language === undefined ? {} : { language }),
  }
}
