// How far a call is in its actions, for the engine that has it next: what there is to do stands in a document, and on the leg
// which of it is being done. A call of which that cannot be kept goes on all the same.

import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg, Switches } from '../switch/switch.ts'
import { isUuid } from '../switch/words.ts'
import type { NccoAction } from './ncco.ts'

/** In `calls_in_progress` while an application runs the call. */
interface PlaceDoc extends Doc {
  pvt_type: 'voice_place'
  node: string
  leg: string
  /** Where its callflow is: whoever runs that can read it. */
  flow: unknown
  actions: readonly NccoAction[]
  /** How often other actions have taken their place. */
  turn: number
}

export interface Place extends Pick<PlaceDoc, 'flow' | 'actions' | 'turn'> {
  /** The action that was being done, or that comes next. */
  at: number
  /** The recording that a blocking `record` there has begun, or that of a `conversation` on this leg. */
  recording?: string
}

export interface Places {
  /** Never rejects. */
  keep(leg: Pick<Leg, 'node' | 'uuid'>, place: Pick<Place, 'flow' | 'actions' | 'turn'>, log: Log): Promise<void>
  /** Undefined where none is known. */
  of(leg: Leg): Promise<Place | undefined>
  forget(leg: string): Promise<void>
  /** Those of legs that are gone are no place any more. */
  sweep(node: string): Promise<void>
}

const OPEN = 'calls_in_progress'
/** `turn.action` or `turn.action.recording`. */
export const PLACE = 'callrec_ncco'

const placeId = (leg: string): string => `place:${leg}`

export const placeText = ({ turn, at, recording }: Pick<Place, 'turn' | 'at' | 'recording'>): string =>
  [turn, at, ...(recording === undefined ? [] : [recording])].join('.')

/** Actions that have taken the place of others before the leg said so begin with the first. */
function placeIn({ flow, actions, turn }: PlaceDoc, { variables }: Leg): Place | undefined {
  const [, on = '', at = '', recording] = /^(\d+)\.(\d+)(?:\.([0-9a-f-]+))?$/.exec(variables[PLACE] ?? '') ?? []
  if (on === '' || Number(on) > turn) return undefined
  if (Number(on) < turn) return { flow, actions, turn, at: 0 }
  // It talks and rings no more, or nobody would ask.
  const over = actions[Number(at)]?.action === 'connect' && variables['originate_disposition'] !== undefined
  return { flow, actions, turn, at: Number(at) + (over ? 1 : 0), ...(recording === undefined ? {} : { recording }) }
}

export function createPlaces({ store, switches }: { store: Store; switches: Switches }): Places {
  return {
    async keep({ node, uuid: leg }, place, log) {
      const doc: PlaceDoc = { _id: placeId(leg), pvt_type: 'voice_place', node, leg, ...place }
      try {
        await store.put(OPEN, doc).catch(async (error: unknown) => {
          if (!isCode(error, 'datastore_conflict')) throw error
          const before = await store.get(OPEN, doc._id)
          await store.put(OPEN, { ...doc, ...(before === undefined ? {} : { _rev: before._rev }) })
        })
      } catch (error) {
        log.warn('voice_place_not_kept', { reason: reasonOf(error) })
      }
    },
    async of(leg) {
      const doc = leg.variables[PLACE] === undefined ? undefined : await store.get<PlaceDoc>(OPEN, placeId(leg.uuid))
      return doc === undefined ? undefined : placeIn(doc, leg)
    },
    forget: leg => store.purge(OPEN, placeId(leg)),
    async sweep(node) {
      for (const { id, value } of await store.query<string>(OPEN, 'voice_lives/places_by_node', { key: node })) {
        if (!isUuid(value) || !(await switches.node(node).exists(value))) await store.purge(OPEN, id)
      }
    },
  }
}
