// Passwords. Kazoo's clients never send one: they send md5 or sha1 of `username:password`, and no
// username. So what is kept is argon2id over each digest, and to find the user without trying every
// one of the account, a hint: one byte of sha256(account id + digest). It leaves one user in 256 to
// try and tells a thief of the database 8 bits of a digest he would have to guess through argon2.

import { createHash } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

export const METHODS = ['md5', 'sha'] as const
export type Method = (typeof METHODS)[number]

export interface Credentials {
  /** Method → argon2id of the digest. */
  pvt_credentials: Record<Method, string>
  /** Keys of view `users/listing_by_hint`. */
  pvt_auth_hints: string[]
}

const ALGORITHM: Readonly<Record<Method, string>> = { md5: 'md5', sha: 'sha1' }

/** What a client sends for `credentials`. */
export const digest = (method: Method, username: string, password: string): string =>
  createHash(ALGORITHM[method]).update(`${username}:${password}`).digest('hex')

export const hint = (accountId: string, method: Method, digest: string): string =>
  `${method}${createHash('sha256')
    .update(accountId + digest)
    .digest('hex')
    .slice(0, 2)}`

export async function credentialsOf(accountId: string, username: string, password: string): Promise<Credentials> {
  const digests = METHODS.map(method => [method, digest(method, username, password)] as const)
  const hashes = await Promise.all(digests.map(async ([method, text]) => [method, await hash(text)] as const))
  return {
    pvt_credentials: Object.fromEntries(hashes) as Record<Method, string>,
    pvt_auth_hints: digests.map(([method, text]) => hint(accountId, method, text)),
  }
}

/** Of nobody's digest: checked where there is nobody to check, so that the answer takes as long. */
let nobodys: Promise<string> | undefined

/** The first of `candidates` whose digest this is. */
export async function whoseDigest<T>(text: string, candidates: readonly (readonly [T, string])[]): Promise<T | undefined> {
  if (candidates.length === 0) {
    nobodys ??= hash('nobody')
    await verify(await nobodys, text)
  }
  for (const [candidate, hashed] of candidates) if (await verify(hashed, text)) return candidate
  return undefined
}
