// Where an account's recordings are kept (Kazoo's cb_storage): one document for each account. What it says is
// tried out before it is kept, with a little file, and its secrets are written and never read again.

import type { Attachment } from '../../recording/storage.ts'
import { STORAGE, withSecrets } from '../../recording/storage.ts'
import { AppError } from '../../errors.ts'
import { accountDb } from '../../store/modb.ts'
import { type Draft, type Place, type Resource, type Settled, verbs } from '../documents/document.ts'
import { type Fields, isObject } from '../validation/fields.ts'
import { requireMatch } from '../http/preconditions.ts'
import { join, pathOf, problem, type Problems, refuse } from '../validation/problems.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

const PATH = '/v2/accounts/:account/storage'

export const HANDLERS = ['http', 's3', 'directory'] as const
const isHandler = (value: unknown): value is (typeof HANDLERS)[number] => HANDLERS.some(handler => handler === value)

/** The settings that nobody reads: of `http` a user part of the URL, of `s3` the secret. */
type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>

const USER_PART = /^(https?:\/\/)([^/?#\s]*)@/i
const MASK = '***'

export function storageRoutes(room: Room): Route[] {
  const { store, validator } = room
  const does = (request: Request) => verbs(room, resourceFor(request))
  const place = ({ account }: Request): Place => ({ db: accountDb(account._id), id: STORAGE })

  const resourceFor = ({ query }: Request): Resource => ({
    name: 'storage',
    type: 'storage',
    check: checkAttachments,
    settle: draft => settle(draft, query.get('validate_settings') !== 'false'),
  })

  /** Each by the schema of its handler, and that the plan names one of them. */
  function checkAttachments(fields: Fields): { fields: Fields; problems: Problems } {
    const attachments = isObject(fields['attachments']) ? fields['attachments'] : {}
    const checked: Fields = {}
    const problems: Problems[] = []
    for (const [id, attachment] of Object.entries(attachments)) {
      const at = ['attachments', id]
      const handler = isObject(attachment) ? attachment['handler'] : undefined
      if (!isObject(attachment) || !isHandler(handler)) {
        problems.push(
          problem(pathOf([...at, 'handler']), 'enum', { message: 'Value not found in enumerated list of values', target: HANDLERS, value: handler }),
        )
        continue
      }
      const one = validator.check(`storage.attachment.${handler}`, attachment, at)
      checked[id] = one.fields
      problems.push(one.problems)
    }
    return {
      fields: { ...fields, ...('attachments' in fields ? { attachments: checked } : {}) },
      problems: join(...problems, planProblems(fields, attachments)),
    }
  }

  async function settle({ fields, before, account }: Draft, isTried: boolean): Promise<Settled> {
    const attachments = (fields['attachments'] ?? {}) as Readonly<Record<string, Attachment>>
    const { open, secrets, problems } = apart(attachments, (before?.['pvt_secrets'] ?? {}) as Secrets)
    refuse(problems)
    if (isTried) {
      const trials = Object.entries(open).map(async ([id, attachment]) => {
        const reason = await room.tryStorage(account._id, withSecrets(attachment, secrets[id]))
        return reason === undefined ? {} : problem(pathOf(['attachments', id]), 'invalid', { message: `a test file could not be stored: ${reason}` })
      })
      refuse(join(...(await Promise.all(trials))))
    }
    return { fields: { ...fields, ...('attachments' in fields ? { attachments: open } : {}) }, pvt: { pvt_secrets: secrets } }
  }

  /** One that was put away is no obstacle: it is written over. */
  async function create(request: Request): Promise<Answer> {
    const { db, id } = place(request)
    const old = await store.get(db, id)
    if (old !== undefined && old['pvt_deleted'] !== true) {
      requireMatch(request.headers['if-match'], old._rev)
      throw new AppError('datastore_conflict', 'the account has storage settings: PATCH or POST them', { id })
    }
    const birth = { pvt_account_id: request.account._id, ...(old === undefined ? {} : { _rev: old._rev }) }
    return does(request).create({ db, id }, request, PATH.replace(':account', request.account._id), birth)
  }

  return [
    { method: 'GET', path: PATH, access: 'admin', run: request => does(request).read(place(request), request) },
    { method: 'PUT', path: PATH, access: 'admin', run: create },
    { method: 'POST', path: PATH, access: 'admin', run: request => does(request).replace(place(request), request) },
    { method: 'PATCH', path: PATH, access: 'admin', run: request => does(request).patch(place(request), request) },
    { method: 'DELETE', path: PATH, access: 'admin', run: request => does(request).remove(place(request), request) },
  ]
}

const PLAN = ['plan', 'modb', 'types', 'call_recording', 'attachments', 'handler']

function planProblems(fields: Fields, attachments: Fields): Problems {
  const named = PLAN.reduce<unknown>((value, step) => (isObject(value) ? value[step] : undefined), fields)
  if (named === undefined || (typeof named === 'string' && Object.hasOwn(attachments, named))) return {}
  return problem(pathOf(PLAN), 'not_found', { message: 'The plan names no attachment of this document', cause: named })
}

/** What is shown and what is not. A secret that is left out, or sent back as it was shown, stays the one there was. */
function apart(attachments: Readonly<Record<string, Attachment>>, before: Secrets): { open: Record<string, Attachment>; secrets: Secrets; problems: Problems } {
  const open: Record<string, Attachment> = {}
  const secrets: Record<string, Record<string, string>> = {}
  const problems: Problems[] = []
  for (const [id, attachment] of Object.entries(attachments)) {
    const known = before[id] ?? {}
    if (attachment.handler === 's3') {
      const { secret = known['secret'], ...settings } = attachment.settings
      open[id] = { ...attachment, settings }
      if (secret === undefined)
        problems.push(problem(pathOf(['attachments', id, 'settings', 'secret']), 'required', { message: 'Field is required but missing' }))
      else secrets[id] = { secret }
    } else if (attachment.handler === 'http') {
      const { url } = attachment.settings
      const [, scheme = '', user] = USER_PART.exec(url) ?? []
      const masked = user === undefined ? url : url.replace(USER_PART, `${scheme}${MASK}@`)
      open[id] = { ...attachment, settings: { ...attachment.settings, url: masked } }
      if (user === undefined) continue
      const whole = user === MASK ? known['url'] : url
      // With another address a password would go to somebody it was not given for.
      if (whole === undefined || whole.replace(USER_PART, `$1${MASK}@`) !== masked)
        problems.push(problem(pathOf(['attachments', id, 'settings', 'url']), 'error', { message: 'with another URL the password has to be given again' }))
      else secrets[id] = { url: whole }
    } else open[id] = attachment
  }
  return { open, secrets, problems: join(...problems) }
}
