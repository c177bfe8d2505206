// Tokens are 256 random bits. The store knows only their sha256, as the document's id, so a copy of
// the database logs nobody in, and finding one is a read by id: nothing is compared byte by byte.

import { createHash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Doc, Store } from '../../store/store.ts'

export const TOKENS = 'token_auth'

export interface Token extends Doc {
  pvt_type: 'token_auth'
  account_id: string
  owner_id?: string
  method: 'api_auth' | 'user_auth'
  /** Of the secret it was given for (`proofOf`): with another password or API key it is worth nothing. */
  proof: string
  /** Unix milliseconds; key of view `tokens/by_expiry`. */
  created_at: number
  expires_at: number
}

export const tokenId = (token: string): string => createHash('sha256').update(token).digest('hex')

/** Tells one secret from the next of the same user or account, and a thief of the database nothing. */
export const proofOf = (stored: string): string => createHash('sha256').update(stored).digest('hex').slice(0, 16)

/** How many dead tokens a new one takes with it: more than one, so that they become fewer. */
const SWEPT = 20

export async function issueToken(
  ports: { store: Store; clock: Clock; random: (bytes: number) => Buffer; config: { tokenTtl: number } },
  who: Pick<Token, 'account_id' | 'owner_id' | 'method' | 'proof'>,
): Promise<string> {
  const { store, clock, config, random } = ports
  const token = random(32).toString('base64url')
  const now = clock.now()
  await sweep(store, now)
  const doc: Token = { _id: tokenId(token), pvt_type: 'token_auth', ...who, created_at: now, expires_at: now + config.tokenTtl * 1000 }
  await store.put(TOKENS, doc)
  return token
}

async function sweep(store: Store, now: number): Promise<void> {
  const dead = await store.query(TOKENS, 'tokens/by_expiry', { endKey: now, limit: SWEPT })
  for (const { id } of dead) await store.purge(TOKENS, id)
}

const isToken = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text)

/** Undefined where there is none; its time may be over. */
export const findToken = async (store: Store, token: string): Promise<Token | undefined> =>
  isToken(token) ? store.get<Token>(TOKENS, tokenId(token)) : undefined
