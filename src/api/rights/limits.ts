// How often somebody may ask. Logins count by address and by account, so that neither one machine with
// many guesses nor many machines with a few get far; everything else counts by token.

import { isIPv6 } from 'node:net'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { AppError } from '../../errors.ts'

/** Crossbar's token bucket, as the envelope tells of it. */
export interface Spent {
  consumed: number
  remaining: number
}

export interface LimitsConfig {
  /** Attempts to log in, and failed ones, that one address has in a minute, and failed ones into one account. */
  loginsPerMinute?: { attempts?: number; failures?: number; ofAccount?: number }
  /** That one token has in ten seconds. */
  requestsPer10s?: number
}

export interface Limits {
  /** Whoever is right spends no failure. Rejects with `too_many_requests` before `login` is run. */
  fromAddress<T>(address: string, login: () => Promise<T>): Promise<T>
  intoAccount<T>(account: string, login: () => Promise<T>): Promise<T>
  request(token: string): Promise<Spent>
}

export const LIMITS = { loginsPerMinute: { attempts: 120, failures: 20, ofAccount: 60 }, requestsPer10s: 5000 }

export function createLimits(config: LimitsConfig): Limits {
  const { attempts, failures, ofAccount } = { ...LIMITS.loginsPerMinute, ...config.loginsPerMinute }
  const tries = new RateLimiterMemory({ points: attempts, duration: 60 })
  const wrongFrom = new RateLimiterMemory({ points: failures, duration: 60 })
  const wrongInto = new RateLimiterMemory({ points: ofAccount, duration: 60 })
  const requests = new RateLimiterMemory({ points: config.requestsPer10s ?? LIMITS.requestsPer10s, duration: 10 })

  /** Spent before it is known to be a mistake, so that many at once are no way around it. */
  async function unlessWrong<T>(mistakes: RateLimiterMemory, key: string, what: string, login: () => Promise<T>): Promise<T> {
    await spend(mistakes, key, what)
    const result = await login()
    await mistakes.reward(key, 1)
    return result
  }

  return {
    async fromAddress(address, login) {
      const network = networkOf(address)
      await spend(tries, network, 'logins from this address')
      return unlessWrong(wrongFrom, network, 'wrong logins from this address', login)
    },
    intoAccount: (account, login) => unlessWrong(wrongInto, account, 'wrong logins to this account', login),
    request: async token => ({ consumed: 1, remaining: await spend(requests, token, 'requests with this token') }),
  }
}

/** One customer of a provider has a whole /64 of IPv6 (RFC 6177), so that is what counts as one address. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? []
  const [front, back] = [head, tail].map(part => (part === '' ? [] : part.split(':'))) as [string[], string[]]
  const groups = address.includes('::') ? [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back] : front
  return groups.slice(0, 4).join(':')
}

/** Answers how many are left. */
async function spend(limiter: RateLimiterMemory, key: string, what: string): Promise<number> {
  try {
    return (await limiter.consume(key)).remainingPoints
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    throw new AppError('too_many_requests', `too many ${what}`, { retry_after: Math.max(1, Math.ceil(refused.msBeforeNext / 1000)) })
  }
}
