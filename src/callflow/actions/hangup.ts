// hangup: ends the call.

import type { Action } from '../call.ts'
import { stop } from '../flow.ts'

export const hangup: Action = () => stop()
