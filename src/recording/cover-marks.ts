// What is to be hidden stands on the leg, in the same write as the command that hides it, until the store has it: so nothing waits for a
// disk, and who comes after an engine that was killed in between finds it there.

import type { Leg } from '../switch/switch.ts'
import type { Asked, CoveredCall, Part } from './covers.ts'

/** Channel variables. */
const NAMES: Readonly<Record<Part, string>> = { mask: 'callrec_mask', pause: 'callrec_pause' }
const PARTS = Object.keys(NAMES) as Part[]

/** `by` and the interaction come from outside, and the switch reads quotes and commas in its own way. */
const written = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27')

export const mark = (part: Part, { interactionId }: Pick<CoveredCall, 'interactionId'>, { at, by }: Asked): Record<string, string> => ({
  [NAMES[part]]: [at, interactionId, by].map(written).join(' '),
})

export const noMark = (part: Part): Record<string, null> => ({ [NAMES[part]]: null })

/** What stands on a leg for that call. One that is on its way elsewhere has its old call's there. */
export function marksOn({ variables }: Pick<Leg, 'variables'>, { interactionId }: Pick<CoveredCall, 'interactionId'>): { part: Part; asked: Asked }[] {
  return PARTS.flatMap(part => {
    const [at = '', of, by] = (variables[NAMES[part]] ?? '').split(' ')
    return of === written(interactionId) && by !== undefined ? [{ part, asked: { at: decodeURIComponent(at), by: decodeURIComponent(by) } }] : []
  })
}
