// Legal hold: nothing that is held is destroyed, whoever asks and whatever its retention says.

import { AppError, isCode } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { Recording } from '../document.ts'

const VIEW = 'recordings/held'

/** Throws `legal_hold`. */
export function mustNotBeHeld({ _id: id, legal_hold }: Pick<Recording, '_id' | 'legal_hold'>): void {
  if (legal_hold === true) throw new AppError('legal_hold', `recording ${id} is held: an admin has to release it first`, { held: 1 })
}

/** Throws `legal_hold` where recordings are held in any month of an account (`db` is its database), or those of one user of it. */
export async function mustHoldNothing(store: Store, db: string, ownerId?: string): Promise<void> {
  const months = (await store.databases(`${db}-`)).filter(name => /-\d{6}$/.test(name))
  const counts = await Promise.all(months.map(month => store.reduce(month, VIEW, ownerId === undefined ? {} : { key: ownerId }).catch(noneOf)))
  const held = counts.reduce((sum, count) => sum + count, 0)
  if (held > 0) throw new AppError('legal_hold', `${held} of its recordings are held: an admin has to release them first`, { held })
}

/** A month that somebody ended meanwhile. */
function noneOf(error: unknown): number {
  if (isCode(error, 'datastore_missing')) return 0
  throw error
}
