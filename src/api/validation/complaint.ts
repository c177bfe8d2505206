// ajv's errors in Crossbar's words: codes and messages are kz_json_schema.erl's, so a client that
// knows Kazoo's finds them here.

import type { ErrorObject } from 'ajv/dist/2020.js'
import { parseServers } from '../../siprec/uri.ts'
import { isObject } from './fields.ts'
import { pathOf, type Problem, problem, type Problems } from './problems.ts'

interface Words {
  code: string
  message: string
  target?: unknown
  format?: string
  /** The key it is about where that is not the value itself: a missing or a strange one. */
  key?: string
}

const limited =
  (code: string, words: (limit: number) => string) =>
  (params: ErrorObject['params']): Words => {
    const target = Number(params['limit'])
    return { code, message: words(target), target }
  }

const fixed = (code: string, message: string) => (): Words => ({ code, message })

const strange =
  (param: string) =>
  (params: ErrorObject['params']): Words => ({
    code: 'additionalProperties',
    message: 'Strict checking of data is enabled; only include schema-defined properties',
    key: String(params[param]),
  })

const NOT_LISTED = 'Value not found in enumerated list of values'

const WORDS: Readonly<Record<string, (params: ErrorObject['params']) => Words>> = {
  required: params => ({ code: 'required', message: 'Field is required but missing', key: String(params['missingProperty']) }),
  type: params => {
    const target = [params['type']].flat().join(',')
    return { code: 'type', message: `Value did not match type(s): ${target}`, target }
  },
  enum: params => ({ code: 'enum', message: NOT_LISTED, target: params['allowedValues'] }),
  const: params => ({ code: 'enum', message: NOT_LISTED, target: [params['allowedValue']] }),
  minimum: limited('minimum', limit => `Value must be at least ${limit}`),
  maximum: limited('maximum', limit => `Value must be at most ${limit}`),
  exclusiveMinimum: limited('minimum', limit => `Value must be greater than ${limit}`),
  exclusiveMaximum: limited('maximum', limit => `Value must be less than ${limit}`),
  minLength: limited('minLength', limit => `String must be at least ${limit} characters`),
  maxLength: limited('maxLength', limit => `String must not be more than ${limit} characters`),
  minItems: limited('minItems', limit => `The list must have at least ${limit} items`),
  maxItems: limited('maxItems', limit => `The list is more than ${limit} items`),
  minProperties: limited('minProperties', limit => `The object must have at least ${limit} keys`),
  maxProperties: limited('maxProperties', limit => `The object must have at most ${limit} keys`),
  uniqueItems: fixed('uniqueItems', 'List of items is not unique'),
  additionalProperties: strange('additionalProperty'),
  unevaluatedProperties: strange('unevaluatedProperty'),
  propertyNames: strange('propertyName'),
  items: fixed('additionalItems', 'Strict checking of data is enabled; only include schema-defined items'),
  contains: fixed('minItems', 'The list holds too few items of a kind it must have'),
  pattern: params => ({ code: 'pattern', message: `Failed to match pattern '${String(params['pattern'])}'`, target: params['pattern'] }),
  format: params => ({ code: 'wrong_format', message: 'Field is not in the correct format', format: String(params['format']) }),
  multipleOf: params => ({ code: 'divisibleBy', message: `Value is not divisible by ${String(params['multipleOf'])}`, target: params['multipleOf'] }),
  dependentRequired: params => ({ code: 'dependencies', message: 'Field is required by another one', key: String(params['missingProperty']) }),
  not: fixed('disallow', 'Value is disallowed'),
  oneOf: fixed('not_one_schema_valid', 'Value does not match exactly one of the schemas'),
  anyOf: fixed('not_one_schema_valid', 'Value does not match any of the schemas'),
  'x-http-url': fixed('error', 'invalid client URL'),
}

/** Each form that is no recording server is told in its own words. */
function serverWords(text: unknown): Words {
  const parsed = parseServers(text)
  return { code: 'error', message: 'fault' in parsed ? parsed.fault : 'not valid' }
}

/** Steps of a JSON pointer (RFC 6901). */
export const stepsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))

/** `at` is where in the body the checked value stands. */
export function complaint(error: ErrorObject, at: readonly string[]): Problems {
  // That a branch of `if` failed says nothing; what failed in it is told by itself.
  if (error.keyword === 'if') return {}
  const { code, key, ...words } = (error.keyword === 'x-siprec-servers' ? serverWords(error.data) : WORDS[error.keyword]?.(error.params)) ?? {
    code: 'error',
    message: error.message ?? 'not valid',
  }
  const path = pathOf([...at, ...stepsOf(error.instancePath), ...(key === undefined ? [] : [key])])
  // Of a missing key the value is the object that lacks it.
  const value = code === 'additionalProperties' && key !== undefined && isObject(error.data) ? error.data[key] : error.data
  // Kazoo says the text twice where it is too short or too long.
  const told: Problem = { ...words, ...(code.endsWith('Length') ? { cause: value } : {}), value }
  return problem(path, code, told)
}
