// What the path of one document takes: to be read, replaced, merged and put away.

import type { Place, Verbs } from './document.ts'
import type { Right } from '../rights/rights.ts'
import type { Answer, Changing, Request, Route } from '../http/route.ts'

type Run = (request: Request) => Promise<Answer>

interface Own {
  /** In place of the plain one. */
  read?: Run
  /** `admin` unless it is said. */
  changing?: Changing
  /** `admin` unless it is said. */
  removing?: Right
  /** In place of putting it away. */
  remove?: Run
}

export function documentRoutes(does: Verbs, path: string, place: (request: Request) => Place, own: Own = {}): Route[] {
  const at =
    (verb: (place: Place, request: Request) => Promise<Answer>): Run =>
    async request =>
      verb(place(request), request)
  const { read = at(does.read), changing = { access: 'admin' }, removing = 'admin', remove = at(does.remove) } = own
  return [
    { method: 'GET', path, access: 'user', run: read },
    { method: 'POST', path, ...changing, run: at(does.replace) },
    { method: 'PATCH', path, ...changing, run: at(does.patch) },
    { method: 'DELETE', path, access: removing, run: remove },
  ]
}
