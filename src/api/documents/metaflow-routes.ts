// Metaflows have paths of their own, but are a field of the account, user, device or callflow they belong to
// (cb_metaflows.erl), so its revision is theirs.

import type { Place, Verbs } from './document.ts'
import type { Fields } from '../validation/fields.ts'
import { checkMetaflows } from '../validation/metaflows.ts'
import { join, refuse } from '../validation/problems.ts'
import type { Answer, Changing, Request, Route } from '../http/route.ts'
import type { Validator } from '../validation/validate.ts'

/** Of the documents at `one`. */
export function metaflowRoutes(
  validator: Validator,
  does: Verbs,
  one: string,
  place: (request: Request) => Place,
  changing: Changing = { access: 'admin' },
): Route[] {
  const path = `${one}/metaflows`
  const only = ({ data, ...answer }: Answer): Answer => ({ ...answer, data: (data as Fields)['metaflows'] ?? {} })

  async function set(request: Request): Promise<Answer> {
    const { fields, problems } = validator.check('metaflows', request.data)
    refuse(join(problems, checkMetaflows(validator, fields, []).problems))
    return only(await does.change(place(request), request, before => ({ ...before, metaflows: request.data })))
  }

  const drop = async (request: Request): Promise<Answer> => only(await does.change(place(request), request, before => ({ ...before, metaflows: null })))

  return [
    { method: 'GET', path, access: 'user', run: async request => only(await does.read(place(request), request)) },
    { method: 'POST', path, ...changing, run: set },
    { method: 'DELETE', path, ...changing, run: drop },
  ]
}
