// What recording servers ask an account for: its document names a user by the host of the server, as its URI has it. The password stands
// apart from what the API shows.

import type { Credentials } from '../sip/digest.ts'
import { hostText, parseUri } from '../sip/uri.ts'
import type { Doc, Store } from '../store/store.ts'

export interface WithCredentials extends Doc {
  siprec_credentials?: Readonly<Record<string, { username: string }>>
  /** By host, written and never read. */
  pvt_siprec_passwords?: Readonly<Record<string, string>>
}

/** Undefined for a server that the account has none for. */
export async function credentialsOf(store: Store, accountId: string, uri: string): Promise<Credentials | undefined> {
  const host = hostOf(uri)
  const account = host === undefined ? undefined : await store.get<WithCredentials>('accounts', accountId)
  const username = own(account?.siprec_credentials, host)?.username
  const password = own(account?.pvt_siprec_passwords, host)
  return username === undefined || password === undefined ? undefined : { username, password }
}

const own = <T>(record: Readonly<Record<string, T>> = {}, name = ''): T | undefined => (Object.hasOwn(record, name) ? record[name] : undefined)

/** An address in `maddr` is where the request goes, whatever host stands before it. */
function hostOf(uri: string): string | undefined {
  const parsed = parseUri(uri)
  const host = parsed?.params.get('maddr') ?? parsed?.host
  return host && hostText(host).toLowerCase().replace(/\.$/, '')
}
