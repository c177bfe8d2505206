// What the API is built on: the other rooms as it needs them, and its part of the configuration.

import type { CallControl } from '../../callflow/control.ts'
import type { Clock } from '../../clock.ts'
import type { Events } from '../../events.ts'
import type { Log } from '../../log.ts'
import type { Meters } from '../../metrics.ts'
import type { Peers } from '../../net/peers.ts'
import type { Audit } from '../../recording/keeping/audit.ts'
import type { Erasure } from '../../recording/keeping/erasure.ts'
import type { Check } from '../../recording/keeping/integrity.ts'
import type { Attachment } from '../../recording/storage.ts'
import type { Store } from '../../store/store.ts'
import type { Phone, Switches } from '../../switch/switch.ts'
import type { Placing } from '../../voice/placing.ts'
import type { Voice } from '../../voice/voice.ts'
import type { LimitsConfig } from '../rights/limits.ts'

export interface PhoneCache {
  /** Of all switches that are up; all phones unless one is given. Resolves when they have, and never rejects. */
  forget(phone?: Phone): Promise<void>
}

export interface ApiPorts {
  store: Store
  switches: Switches
  /** Calls of voice applications: those that run, and those that are to be made. */
  voice: Pick<Voice, 'transfer'>
  placing: Pick<Placing, 'place'>
  /** What is done to calls that run. */
  control: CallControl
  /** What happens to recordings. */
  events: Pick<Events, 'on'>
  /** Other engines, for what only they can do. */
  peers: Pick<Peers, 'ask'>
  /** Told when what a phone registers with has changed. */
  phones: PhoneCache
  audit: Audit
  erasure: Erasure
  check: Check
  /** Something in the queue of deliveries is due. */
  deliver: () => void
  /** Stores a little file where an account wants to keep its recordings; resolves to what went wrong. */
  tryStorage: (accountId: string, attachment: Attachment) => Promise<string | undefined>
  /** Callflow modules the executor can run. */
  modules: readonly string[]
  clock: Clock
  log: Log
  random: (bytes: number) => Buffer
  metrics: Meters
  /** How far the start has got; the store may be away for long. */
  standing: () => Standing
  config: ApiConfig
}

export interface Standing {
  /** The databases every installation has are there. */
  prepared: boolean
  /** API key of the master account, as far as it is known without the store. */
  operatorKey: string | undefined
}

export interface ApiConfig extends LimitsConfig {
  version: string
  /** Where tenants reach the API, with no slash at its end. */
  publicUrl: string
  /** Seconds a token lives. */
  tokenTtl: number
  /** Seconds; the cap on any recording. */
  maxTimeLimit: number
  embedded: { store: boolean; switch: boolean }
  /** What a switch asks for phones with, and CIDRs from where. */
  xmlCurl: { secret: string; networks: readonly string[] }
  /** CIDRs of private networks that tenants' URLs may lead to. */
  uploadAllowNetworks?: readonly string[]
  /** CIDRs of the proxies whose X-Forwarded-For is believed. */
  trustedProxies?: readonly string[]
}
