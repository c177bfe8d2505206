// What every resource gets: the ports, and what the room itself makes of them once.

import type { Networks } from '../../addresses.ts'
import type { Sessions } from '../rights/auth.ts'
import type { Limits } from '../rights/limits.ts'
import type { ApiPorts } from './ports.ts'
import type { Schemas } from '../validation/schemas.ts'
import type { Validator } from '../validation/validate.ts'

export interface Room extends ApiPorts {
  schemas: Schemas
  validator: Validator
  sessions: Sessions
  limits: Limits
  trustedProxies: Networks
  /** Runs one after the other what has the same key. */
  inTurn: <T>(key: string, run: () => Promise<T>) => Promise<T>
}
