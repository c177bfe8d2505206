// What may stand in a path where a route has a `:name`. The router hands params over decoded, so
// `%2e%2e%2f` arrives as `../`: whatever is not on a list here is refused before anything is read.

import { AppError } from '../../errors.ts'
import { isId, isRecordingId } from '../../store/modb.ts'

const isLeg = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/.test(text)

const PARAMS = {
  account: isId,
  user: isId,
  device: isId,
  callflow: isId,
  temporal_rule: isId,
  menu: isId,
  resource: isId,
  group: isId,
  webhook: isId,
  application: isId,
  recording: isRecordingId,
  /** The month, and the uuid of the call's first leg. */
  cdr: (text: string): boolean => /^[0-9]{4}(0[1-9]|1[0-2])-[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/.test(text),
  /** A leg's uuid; a switch may be told to take the Call-ID of SIP for it. */
  channel: isLeg,
  /** That of its leg. */
  call: isLeg,
  /** The uuid under which a voice application was told of a file, with its time in it: years 1970 to 9999. */
  file: (text: string): boolean => /^(?!e6[89a-f]|e[7-9a-f]|f)[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text),
  /** What a phone may dial. */
  number: (text: string): boolean => /^[0-9*#+]{1,36}$/.test(text),
  schema: (text: string): boolean => /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/.test(text) && text.length <= 64,
} satisfies Record<string, (text: string) => boolean>

export type Param = keyof typeof PARAMS

export const isParam = (name: string): name is Param => Object.hasOwn(PARAMS, name)

/** Every param of a path, or `bad_identifier`. */
export function checkedParams(params: Readonly<Record<string, string | undefined>>): (name: Param) => string {
  for (const [name, text] of Object.entries(params)) {
    if (text !== undefined && isParam(name) && PARAMS[name](text)) continue
    // Crossbar answers a recording id without a month in a shape of its own (crossbar_util response_bad_identifier).
    throw new AppError('bad_identifier', `not an id: ${name}`, name === 'recording' ? { ids: [text] } : { cause: text })
  }
  return name => {
    const text = params[name]
    if (text === undefined) throw new AppError('unspecified_fault', `the route has no :${name}`)
    return text
  }
}
