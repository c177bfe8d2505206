// Names of the databases every installation has, and what each is for.

import type { Classification } from '../../store/store.ts'

export const ACCOUNTS = 'accounts'
export const SYSTEM_CONFIG = 'system_config'
export const NUMBERS = 'numbers'

export const DATABASES: readonly (readonly [string, Classification])[] = [
  [ACCOUNTS, 'accounts'],
  ['token_auth', 'token_auth'],
  ['recordings_in_flight', 'recordings_in_flight'],
  ['calls_in_progress', 'calls_in_progress'],
  ['webhook_queue', 'webhook_queue'],
  [SYSTEM_CONFIG, 'system_config'],
  [NUMBERS, 'numbers'],
]
