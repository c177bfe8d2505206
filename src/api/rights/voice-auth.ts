// Who asks the Voice API's routes: an application, known by the JWT its private key has signed (RS256). Whatever is
// wrong with a token is 401 in the same words.

import { decodeJwt, importSPKI, jwtVerify } from 'jose'
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../../clock.ts'
import { AppError } from '../../errors.ts'
import type { Store, Stored } from '../../store/store.ts'
import { type ApplicationDoc, partsOf, readApplication } from '../../voice/application.ts'
import type { Account } from './who.ts'

export interface Applicant {
  application: Stored<ApplicationDoc>
  account: Stored<Account>
}

/** Seconds that clocks may differ, and that a token without an end is good for (the SDKs give theirs 15 minutes). */
const TOLERANCE = 60
const LONGEST = 86_400

export async function applicantOf({ store, clock }: { store: Store; clock: Clock }, { authorization }: IncomingHttpHeaders): Promise<Applicant> {
  const [, token = ''] = /^Bearer +([A-Za-z0-9_.-]{1,8192})$/i.exec(authorization ?? '') ?? []
  const parts = partsOf(claimed(token))
  if (parts === undefined) throw unknown()
  const account = await store.get<Account>('accounts', parts.accountId)
  if (account === undefined || account.pvt_deleted === true || account.enabled === false) throw unknown()
  const application = await readApplication(store, parts.accountId, parts.documentId)
  if (application?.public_key === undefined) throw unknown()
  try {
    const { payload } = await jwtVerify(token, await importSPKI(application.public_key, 'RS256'), {
      algorithms: ['RS256'],
      currentDate: new Date(clock.now()),
      clockTolerance: TOLERANCE,
      maxTokenAge: LONGEST,
      requiredClaims: ['iat', 'jti', 'application_id'],
    })
    // One that is good for some paths only must not be taken for one that is good for all.
    if ('acl' in payload) throw unknown()
  } catch (cause) {
    throw unknown(cause)
  }
  return { application, account }
}

const unknown = (cause?: unknown): AppError =>
  new AppError('invalid_credentials', 'the application or its token is not known', {}, cause === undefined ? {} : { cause })

/** What a token says of itself, before it is known to be true. */
function claimed(token: string): string {
  try {
    const id = decodeJwt(token)['application_id']
    return typeof id === 'string' ? id : ''
  } catch {
    return ''
  }
}
