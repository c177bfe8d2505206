// Checks bodies against couchdb/schemas and words the refusal as Crossbar does. The surprise: a string
// that spells a boolean or a number becomes one where the schema wants one, and nobody is told
// (kz_json_schema.erl fix_js_types); other than ajv's own coercion it never turns 5 into "5".

import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import { mayLeadTo, type Networks } from '../../addresses.ts'
import { parseServers } from '../../siprec/uri.ts'
import { complaint, stepsOf } from './complaint.ts'
import { copyOf, type Fields } from './fields.ts'
import { join, pathOf, problem, type Problems } from './problems.ts'
import type { Schemas } from './schemas.ts'

export interface Checked {
  /** A copy with the schema's defaults filled in and lenient scalars made what they spell. */
  fields: Fields
  problems: Problems
}

export interface Validator {
  has(schema: string): boolean
  /** `at` is where in the body the fields stand; paths of problems start there. */
  check(schema: string, fields: Readonly<Fields>, at?: readonly string[]): Checked
}

/** More problems than a person reads make an answer as large as the body that caused them. */
const MOST_PROBLEMS = 100

/** `exempt`: private networks that tenants' URLs may lead to. */
export function createValidator(schemas: Schemas, exempt: Networks = []): Validator {
  // Checking our own schemas against the metaschema takes longer than all else at a start; a test does it.
  const ajv = new Ajv2020({ allErrors: true, verbose: true, useDefaults: true, allowUnionTypes: true, validateSchema: false })
  ajvFormats.default(ajv)
  const validate = (or: true | 's3', url: string): boolean => isClientUrl(url, exempt) || (or === 's3' && BUCKET_URL.test(url))
  ajv.addKeyword({ keyword: 'x-http-url', type: 'string', schemaType: ['boolean', 'string'], validate })
  ajv.addKeyword({ keyword: 'x-siprec-servers', type: 'string', schemaType: 'boolean', validate: isServerList })
  for (const schema of schemas.values()) ajv.addSchema(schema)

  return {
    has: schema => schemas.has(schema),
    check(schema, given, at = []) {
      const fields = copyOf(given)
      const validate = ajv.getSchema(schema)
      if (validate === undefined) return { fields, problems: problem(pathOf(at), 'schema', { message: 'schema not found' }) }
      // Twice: what a scalar turned into may break another rule, as "4" does where 5 is the least.
      const errorsNow = (): ErrorObject[] => (validate(fields) === true ? [] : (validate.errors ?? []))
      const first = errorsNow()
      const errors = mend(fields, first) ? errorsNow() : first
      const problems = errors.slice(0, MOST_PROBLEMS).map(error => complaint(error, at))
      return { fields, problems: join(...problems) }
    },
  }
}

/** Whose credentials are in the account's storage settings. */
const BUCKET_URL = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9._/-]*)?$/

/** Where a tenant's file or request may go; what a name stands for is found out when a connection is made. */
function isClientUrl(text: string, exempt: Networks): boolean {
  return /^https?:\/\/[^/]/i.test(text) && URL.canParse(text) && mayLeadTo(new URL(text), exempt)
}

const isServerList = (_: boolean, text: string): boolean => 'uris' in parseServers(text)

/** Turns strings that spell what the schema wants into it; false when there was none. */
function mend(fields: Fields, errors: readonly ErrorObject[]): boolean {
  let mended = false
  for (const { keyword, params, data, instancePath } of errors) {
    if (keyword !== 'type' || typeof data !== 'string') continue
    const spelled = spelledBy(data, [params['type']].flat() as string[])
    const steps = stepsOf(instancePath)
    const last = steps.pop()
    const parent = steps.reduce<unknown>((value, step) => (typeof value === 'object' && value !== null ? (value as Fields)[step] : undefined), fields)
    if (spelled === undefined || last === undefined || typeof parent !== 'object' || parent === null) continue
    ;(parent as Fields)[last] = spelled
    mended = true
  }
  return mended
}

function spelledBy(text: string, types: readonly string[]): boolean | number | undefined {
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  if (types.includes('integer') && /^-?\d{1,15}$/.test(text)) return Number(text)
  if (types.includes('number') && /^-?\d{1,15}(\.\d{1,15})?$/.test(text)) return Number(text)
  return undefined
}
