// The JSON Schemas of couchdb/schemas: what every body is checked against, and what is served at
// /v2/schemas so that a client can know it too. They are read once; a request never names a file.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { packagePath } from '../root.ts'
import { type Fields, isObject, merge, publicFields } from './fields.ts'
import { join as joined, type Problems, refuse } from './problems.ts'
import type { Room, Route } from './route.ts'

export type Schemas = ReadonlyMap<string, Fields>

/** `maxTimeLimit` (seconds) lowers the maximum of every `time_limit`, so that the schema says what holds here. */
export function loadSchemas(maxTimeLimit: number, folder = packagePath('couchdb/schemas')): Schemas {
  const names = readdirSync(folder).filter(name => name.endsWith('.json'))
  return new Map(
    names.sort().map(name => {
      const schema = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Fields
      lowerTimeLimit(schema, maxTimeLimit)
      return [name.slice(0, -'.json'.length), schema] as const
    }),
  )
}

function lowerTimeLimit(schema: Fields, maxTimeLimit: number): void {
  const limit = isObject(schema['properties']) ? schema['properties']['time_limit'] : undefined
  if (isObject(limit) && typeof limit['maximum'] === 'number') limit['maximum'] = Math.min(limit['maximum'], maxTimeLimit)
}

/** What a body of the schema must be beyond it. */
type Checks = Readonly<Record<string, (fields: Fields) => { fields: Fields; problems: Problems }>>

/** `checks` by schema; a body that passes here is one that a PUT takes, unless another document is in its way. */
export const schemaRoutes = ({ schemas, validator }: Pick<Room, 'schemas' | 'validator'>, checks: Checks): Route[] => [
  { method: 'GET', path: '/v2/schemas', access: 'anyone', run: async () => ({ data: [...schemas.keys()] }) },
  {
    method: 'GET',
    path: '/v2/schemas/:schema',
    access: 'anyone',
    run: async ({ param }) => ({ data: { ...known(schemas, param('schema')), id: param('schema') } }),
  },
  {
    method: 'PUT',
    path: '/v2/schemas/:schema/validation',
    access: 'user',
    run: async ({ param, data }) => {
      known(schemas, param('schema'))
      const bySchema = validator.check(param('schema'), merge({}, publicFields(data)))
      const beyond = checks[param('schema')]?.(bySchema.fields) ?? { fields: bySchema.fields, problems: {} }
      refuse(joined(bySchema.problems, beyond.problems))
      return { data: beyond.fields }
    },
  },
]

function known(schemas: Schemas, id: string): Fields {
  const schema = schemas.get(id)
  if (schema === undefined) throw new AppError('bad_identifier', `no schema ${id}`, { cause: id })
  return schema
}
