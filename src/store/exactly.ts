// A body of known length on its way into a store: passes it on, and fails when it ends early, runs
// over or stops arriving. Whoever stores it then throws away what came.

import type { Readable } from 'node:stream'
import { AppError } from '../errors.ts'

/** Milliseconds without a byte after which a body counts as dead. */
export const STALLED = 30_000

export interface ExactBody {
  stream: Readable
  /** Bytes. */
  length: number
}

/**
 * To be said of a body as soon as it is taken: a stream that fails before anybody reads it would end the process. Whoever reads it
 * later is told all the same.
 */
export function heed({ stream }: Pick<ExactBody, 'stream'>): void {
  stream.on('error', () => {})
}

/** `unread` runs when it is the reader of this body who stopped. */
export async function* exactly({ stream, length }: ExactBody, ms = STALLED, unread: () => void = () => {}): AsyncGenerator<Buffer> {
  let received = 0
  let reading = false
  const timer = setTimeout(() => {
    if (reading) unread()
    else stream.destroy(new AppError('length_mismatch', `body stood still for ${ms} ms`, { length, received }))
  }, ms)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer | string>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      received += bytes.length
      if (received > length) break
      timer.refresh()
      reading = true
      yield bytes
      reading = false
      timer.refresh()
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('length_mismatch', `body broke off after ${received} of ${length} bytes`, { length, received }, { cause })
  } finally {
    clearTimeout(timer)
    stream.destroy()
  }
  if (received !== length) {
    throw new AppError('length_mismatch', `body is ${received > length ? 'longer' : 'shorter'} than the ${length} bytes announced`, { length, received })
  }
}
