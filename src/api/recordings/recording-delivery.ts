// A recording's file: whether it is still what it was, and another try where its delivery was given up.

import { AppError } from '../../errors.ts'
import { amend } from '../../recording/amend.ts'
import { IN_FLIGHT, type InFlight } from '../../recording/document.ts'
import { factOf } from './recording-changes.ts'
import { loadRecording } from './recording-view.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

const ONE = '/v2/accounts/:account/recordings/:recording'

export function recordingDeliveryRoutes({ store, clock, audit, check, deliver }: Room): Route[] {
  /** As if it had just ended: it has 72 h again. */
  async function retry(request: Request): Promise<Answer> {
    const recording = await loadRecording(store, request)
    const refused = new AppError('wrong_state', 'only a delivery that failed or waits can be tried again', {
      state: recording.delivery?.state ?? recording.state,
    })
    const item = await store.get<InFlight>(IN_FLIGHT, recording._id)
    if (!canBeTried(item)) throw refused
    await audit.note(recording, factOf(request, 'changed', { fields: ['delivery'] }))
    const now = clock.now()
    const tried = await amend<InFlight>(store, IN_FLIGHT, recording._id, current => {
      if (!canBeTried(current)) return undefined
      const { last_error: _, since: __, ...delivery } = current.delivery
      return { ...current, delivery: { ...delivery, state: 'due', attempts: 0, next_at: now } }
    })
    if (tried?.delivery?.state !== 'due') throw refused
    deliver()
    return { status: 202, data: { id: recording._id, delivery: { state: 'due', destination: tried.delivery.destination } } }
  }

  return [
    { method: 'PUT', path: `${ONE}/delivery`, access: 'admin', body: 'optional', run: retry },
    { method: 'GET', path: `${ONE}/integrity`, access: 'admin', run: async request => ({ data: { ...(await check(await loadRecording(store, request))) } }) },
  ]
}

const canBeTried = (item: InFlight | undefined): item is InFlight & { delivery: NonNullable<InFlight['delivery']> } =>
  item?.delivery?.state === 'failed' || item?.delivery?.state === 'due'
