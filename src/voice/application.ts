// Voice applications as documents of an account: what holds for every call they serve, and how an application and
// callrec know each other: it signs with its private key, callrec with a secret they share.

import { createHash, createPublicKey } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Clock } from '../clock.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store, Stored } from '../store/store.ts'
import type { Address, Signer } from './ask.ts'
import type { Fields } from './options.ts'

type Method = 'GET' | 'POST'

/** Schema: couchdb/schemas/applications.json. */
export interface ApplicationDoc extends Doc {
  pvt_type: 'application'
  pvt_account_id: string
  pvt_deleted?: boolean
  name: string
  public_key?: string
  signature_secret?: string
  answer_url?: string
  answer_method?: Method
  fallback_answer_url?: string
  fallback_method?: Method
  event_url?: string
  event_method?: Method
}

/** What an application calls itself in its JWTs: it names the account too, so that one read finds it. */
export const applicationId = ({ pvt_account_id, _id }: Pick<ApplicationDoc, 'pvt_account_id' | '_id'>): string => `${pvt_account_id}-${_id}`

export function partsOf(id: string): { accountId: string; documentId: string } | undefined {
  const [, accountId = '', documentId = ''] = /^([0-9a-f]{32})-([0-9a-f]{32})$/.exec(id) ?? []
  return accountId === '' ? undefined : { accountId, documentId }
}

export async function readApplication(store: Store, account: string, id: string): Promise<Stored<ApplicationDoc> | undefined> {
  const doc = isId(id) ? await store.get<ApplicationDoc>(accountDb(account), id) : undefined
  return doc?.pvt_type === 'application' && doc.pvt_deleted !== true ? doc : undefined
}

const address = (url: string | undefined, method: Method): Address | undefined => (url === undefined ? undefined : { url, method })

export const answerOf = ({ answer_url, answer_method = 'GET' }: ApplicationDoc): Address | undefined => address(answer_url, answer_method)
export const fallbackOf = ({ fallback_answer_url, fallback_method = 'GET' }: ApplicationDoc): Address | undefined =>
  address(fallback_answer_url, fallback_method)
export const eventOf = ({ event_url, event_method = 'POST' }: ApplicationDoc): Address | undefined => address(event_url, event_method)

/** Why a key is none that an application can be known by. */
export function keyProblem(pem: string): string | undefined {
  try {
    const key = createPublicKey({ key: pem, format: 'pem' })
    if (pem.includes('PRIVATE')) return 'it is a private key: keep that, and give the public one'
    if (key.asymmetricKeyType !== 'rsa') return 'not an RSA key'
    return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? undefined : 'an RSA key must have 2048 bits or more'
  } catch {
    return 'not a public key in PEM'
  }
}

/** Of what is told long after the call: the secret is the one that the application has now. */
export async function signerFor(
  { store, wall, random }: { store: Store; wall: Pick<Clock, 'now'>; random: (bytes: number) => string },
  accountId: string,
  applicationId: string | undefined,
): Promise<Signer | undefined> {
  const application = applicationId === undefined ? undefined : await readApplication(store, accountId, applicationId)
  return signerOf(application, () => wall.now(), random)
}

/** As the Voice API signs webhooks; `now` is unix milliseconds, `random` makes the token's id. */
export function signerOf(application: ApplicationDoc | undefined, now: () => number, random: (bytes: number) => string): Signer | undefined {
  const secret = application?.signature_secret
  if (application === undefined || secret === undefined) return undefined
  return async body => {
    const payload_hash = body === undefined ? undefined : createHash('sha256').update(body).digest('hex')
    const claims = { api_key: application.pvt_account_id, application_id: applicationId(application), ...(payload_hash === undefined ? {} : { payload_hash }) }
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer('Vonage')
      .setIssuedAt(Math.floor(now() / 1000))
      .setJti(random(16))
      .sign(new TextEncoder().encode(secret))
    return `Bearer ${token}`
  }
}

/** Where an application is told of a call: what the call says comes before what the application's document says. */
export async function eventUrlOf(
  { store, now, random }: { store: Store; now: () => number; random: (bytes: number) => string },
  { pvt_account_id, application_id, data }: { pvt_account_id: string; application_id: string; data: Fields },
): Promise<Address | undefined> {
  const application = await readApplication(store, pvt_account_id, application_id)
  const { event_url: url, event_method: method = 'POST' } = data as { event_url?: string; event_method?: Method }
  const event = address(url, method) ?? (application === undefined ? undefined : eventOf(application))
  const sign = signerOf(application, now, random)
  return event === undefined || sign === undefined ? event : { ...event, sign }
}
