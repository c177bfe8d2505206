// The schemas as clients see them, and a body checked without saving it.

import { AppError } from '../../errors.ts'
import { type Fields, merge, publicFields } from '../validation/fields.ts'
import { join as joined, type Problems, refuse } from '../validation/problems.ts'
import type { Route } from '../http/route.ts'
import type { Schemas } from '../validation/schemas.ts'
import type { Room } from '../http/room.ts'

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
