// set_variables: gives the call variables that expressions can ask for as `{{vars.name}}`. They are callrec's
// own and never FreeSWITCH's, some of which are commands (`api_on_answer`).

import type { Action } from '../call.ts'
import { isObject } from '../documents.ts'
import { next } from '../flow.ts'
import { setVariables } from '../scope.ts'

export const set_variables: Action = async ({ custom_application_vars: vars, export: exported }, call) => {
  if (isObject(vars)) await setVariables(call, vars, exported === true)
  else call.log.warn('variable_not_set', { why: 'data.custom_application_vars is no object' })
  return next()
}
