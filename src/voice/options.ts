// Readers of the options of an NCCO action: pure. Clients of several languages write numbers and yes or no as
// texts, so a text that spells one is one. What cannot be read answers in words.

/** In words why a value is not what the option takes. */
export class Wrong {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

export type Reader<T> = (value: unknown) => T | Wrong
/** One reader for each option there is. */
export type Readers<T> = { readonly [O in keyof T]-?: Reader<NonNullable<T[O]>> }

export type Fields = Readonly<Record<string, unknown>>
export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const numberIn = (value: unknown): number =>
  typeof value === 'number' ? value : typeof value === 'string' && /^-?\d{1,9}(\.\d{1,6})?$/.test(value) ? Number(value) : Number.NaN

/** Both ends belong to the range. */
export const number =
  (least: number, most: number, why: string): Reader<number> =>
  value => {
    const read = numberIn(value)
    return read >= least && read <= most ? read : new Wrong(why)
  }

export const whole =
  (least: number, most: number, why: string): Reader<number> =>
  value => {
    const read = numberIn(value)
    return Number.isInteger(read) && read >= least && read <= most ? read : new Wrong(why)
  }

/** A number outside of the range becomes its nearest end. */
export const clamped =
  (least: number, most: number): Reader<number> =>
  value => {
    const read = numberIn(value)
    return Number.isNaN(read) ? new Wrong('must be a number') : Math.min(most, Math.max(least, read))
  }

export const flag: Reader<boolean> = value =>
  value === true || value === 'true' ? true : value === false || value === 'false' ? false : new Wrong('must be true or false')

export const text =
  (most: number): Reader<string> =>
  value =>
    typeof value === 'string' && value !== '' && value.length <= most ? value : new Wrong(`must be a text of 1 to ${most} characters`)

export const oneOf =
  <T extends string>(allowed: readonly T[], why = `must be one of ${allowed.join(', ')}`): Reader<T> =>
  value =>
    allowed.find(one => one === value) ?? new Wrong(why)

const isUrl = (value: unknown): value is string => typeof value === 'string' && value.length <= 2000 && /^https?:\/\/[^/]/i.test(value) && URL.canParse(value)

export const url: Reader<string> = value => (isUrl(value) ? value : new Wrong('must be an http or https URL'))

/** An array of one; a URL by itself counts too. */
export const oneUrl: Reader<string> = value => {
  const [only, ...more] = Array.isArray(value) ? (value as unknown[]) : [value]
  return isUrl(only) && more.length === 0 ? only : new Wrong('must be an array with one http or https URL')
}

export const method = oneOf(['GET', 'POST'])

/** An option of the Voice API that does nothing here is refused, unless it asks for nothing. */
export const only =
  <T>(read: Reader<T>, what: T, why: string): Reader<T> =>
  value => {
    const said = read(value)
    return said instanceof Wrong || said === what ? said : new Wrong(why)
  }
export const absent =
  (why = 'is not available'): Reader<never> =>
  () =>
    new Wrong(why)

/** Of an option that means something only where it has something in it. */
export const empty =
  (why: string): Reader<Fields> =>
  value =>
    isObject(value) && Object.keys(value).length === 0 ? value : new Wrong(why)

export interface Fault {
  /** As in `[0].endOnKey`; `ncco` for the whole. */
  path: string
  message: string
}

const isNothing = (value: unknown): boolean => value === null || value === undefined

/** What the options say, and what is wrong with them; null is as good as nothing, and `needs` cannot be that; an option without a reader is refused, never passed over. */
export function read<T>(fields: Fields, readers: Readers<T>, at: string, needs: readonly (keyof T & string)[] = []): { said: Partial<T>; faults: Fault[] } {
  const said: Record<string, unknown> = {}
  const faults: Fault[] = needs.filter(name => isNothing(fields[name])).map(name => ({ path: `${at}.${name}`, message: 'is required' }))
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'action' || isNothing(value)) continue
    const one = Object.hasOwn(readers, name) ? (readers as Readonly<Record<string, Reader<unknown>>>)[name] : undefined
    const found = one === undefined ? new Wrong('is no option here') : one(value)
    if (found instanceof Wrong) faults.push({ path: `${at}.${name}`, message: found.why })
    else said[name] = found
  }
  return { said: said as Partial<T>, faults }
}
