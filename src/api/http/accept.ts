// What a client wants to be answered with (RFC 9110 §12.5.1), by the Accept header or by the `accept` that
// stands in for it. Errors are JSON whatever is wanted.

import { AppError } from '../../errors.ts'

const JSON_TYPE = /^(application\/(json|x-json|\*)|\*\/\*)$/

/** How much a client wants such a type: 0 not at all, 1 most. */
export function wants(accept: string, type: RegExp): number {
  return Math.max(0, ...parse(accept).flatMap(one => (type.test(one.type) ? [one.q] : [])))
}

export const wantsJson = (accept: string): number => wants(accept, JSON_TYPE)

export function requireJson(accept: string): void {
  if (wantsJson(accept) === 0) throw new AppError('not_acceptable', 'the answer is JSON')
}

interface Wanted {
  type: string
  q: number
}

/** As nearly everybody asks. */
const ANYTHING: readonly Wanted[] = [{ type: '*/*', q: 1 }]

const parse = (text: string): readonly Wanted[] => (text === '*/*' ? ANYTHING : text.split(',').map(wanted))

function wanted(part: string): Wanted {
  const [type = '', ...params] = part
    .toLowerCase()
    .split(';')
    .map(one => one.trim())
  const q = Number(params.find(param => param.startsWith('q='))?.slice(2) ?? 1)
  return { type, q: q >= 0 && q <= 1 ? q : 0 }
}
