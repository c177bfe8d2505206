// Why a recording server does not have a call, and whether it may be asked again within it. Pure.

export interface Refusal {
  /** SIP status. */
  code: number
  reason: string
  /** Milliseconds that it wants to be left alone at least; absent where it is for good. */
  again?: number
}

/** Nobody was there, or not able to now: RFC 3261 section 21. What the call, or whoever makes it, is refused for stays what it is. */
const FOR_NOW: ReadonlySet<number> = new Set([408, 480, 500, 503, 504])

/** Who says when he can be called again (Retry-After) means it, whatever he says beside. */
export function refusalOf({ status, reason, retryAfterMs }: { status: number; reason: string; retryAfterMs?: number }): Refusal {
  const again = retryAfterMs ?? (FOR_NOW.has(status) ? 0 : undefined)
  return { code: status, reason, ...(again === undefined ? {} : { again }) }
}
