// What documents of a recording have to be for anything to be done with it. They are the operator's, who may have written one by hand:
// what nobody can read is told, and is in nobody else's way.

import { AppError } from '../errors.ts'
import { isId, isRecordingId } from '../store/modb.ts'
import { isUuid } from '../switch/words.ts'
import { STATES } from './lifecycle.ts'

type Document = { readonly _id: string }

/** It is not the store or the switch that failed. */
export const isUnreadable = (error: unknown): boolean => !(error instanceof AppError) || error.code === 'unsafe_argument'

const isText = (value: unknown): boolean => typeof value === 'string'
const isFields = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
const isState = (value: unknown): boolean => STATES.some(one => one === value)

function must(document: Document, shape: Readonly<Record<string, (value: unknown) => boolean>>): void {
  const wrong = Object.entries(shape).find(([field, is]) => !is((document as unknown as Record<string, unknown>)[field]))
  if (wrong !== undefined) throw new TypeError(`its ${wrong[0]} is none`)
}

/** Throws where its recording could not even be looked for. */
export const assertQueued = (inFlight: Document): void =>
  must(inFlight, { _id: id => isText(id) && isRecordingId(String(id)), account_id: id => isId(String(id)) })

/** … where it could not be watched: of a file. */
export function assertFile(inFlight: Document, recording: Document | undefined): void {
  must(inFlight, { leg: isUuid, state: isState, file: isText, settings: isFields, origins: Array.isArray })
  if (recording !== undefined) assertRecording(recording)
}

export const assertRecording = (recording: Document): void => must(recording, { state: isState, cdr_id: isText, group_id: isText, interaction_id: isText })

/** … of a session with recording servers. */
export function assertSession(inFlight: Document, recording: Document): void {
  must(inFlight, { leg: isUuid, servers: Array.isArray, headers: isFields })
  assertRecording(recording)
}
