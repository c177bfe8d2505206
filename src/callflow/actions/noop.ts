// noop: does nothing; a place to hang a child on.

import type { Action } from '../call.ts'
import { next } from '../flow.ts'

export const noop: Action = () => next()
