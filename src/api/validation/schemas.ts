// The JSON Schemas of couchdb/schemas: what every body is checked against, and what is served at
// /v2/schemas so that a client can know it too. They are read once; a request never names a file.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packagePath } from '../../root.ts'
import { type Fields, isObject } from './fields.ts'

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
