// Which route a request takes. Clients that cannot send every method name another one, as `verb` in the
// query or in the envelope of a POST; x-http-method-override does nothing, as in Kazoo.

import { AppError } from '../../errors.ts'
import type { Enveloped, Route } from './route.ts'

/** The routes of one path by their method. */
export type Methods<R extends Route = Route> = ReadonlyMap<string, R>

export function byPath<R extends Route>(routes: readonly R[]): Map<string, Methods<R>> {
  const paths = new Map<string, Map<string, R>>()
  for (const route of routes) paths.set(route.path, (paths.get(route.path) ?? new Map<string, R>()).set(route.method, route))
  return paths
}

/** A HEAD is a GET whose body stays here. */
const methodOf = (verb: string): string => (verb.toUpperCase() === 'HEAD' ? 'GET' : verb.toUpperCase())

export const routeOf = <R extends Route>(methods: Methods<R>, verb: string): R | undefined => methods.get(methodOf(verb))

/** Whether some route of the path needs no token. */
export const isAnyones = (methods: Methods<Enveloped>): boolean => [...methods.values()].some(({ access }) => access === 'anyone')

export const allowed = (methods: Methods): string =>
  [...methods.keys()].flatMap(method => (method === 'GET' ? ['HEAD', 'GET'] : [method])).join(', ') + ', OPTIONS'

export function notAllowed(methods: Methods): AppError {
  const allow = allowed(methods)
  return new AppError('invalid_method', `not one of ${allow}`, { allow })
}
