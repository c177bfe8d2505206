// Telephone numbers of the whole world, as `+` and digits (ITU-T E.164). A national form means another
// number in every country and is never guessed at.

/** At most 15 digits (E.164 §6); the shortest in use, country code included, have seven. */
const INTERNATIONAL = /^(?:\+|00)([1-9]\d{6,14})$/

/** `+49…` or `0049…`; undefined for everything else. */
export function international(text: string): string | undefined {
  const digits = INTERNATIONAL.exec(text)?.[1]
  return digits === undefined ? undefined : `+${digits}`
}

/**
 * What a carrier dialled. Many leave the plus away, so bare digits are taken for an international number; one zero in front
 * marks a national one (a country's own prefix), which is undefined. What follows a `;` are parameters (RFC 4694, `;npdi`).
 */
export function fromTrunk(destination: string): string | undefined {
  const [number = ''] = destination.split(';')
  return international(number) ?? international(`+${number}`)
}
