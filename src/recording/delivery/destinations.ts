// Takes a file to its target, whatever kind that is. Whether trying again can help is the error table's word.

import { createHash, randomBytes } from 'node:crypto'
import { AppError, isCode, reasonOf } from '../../errors.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { Cargo, Outcome } from './cargo.ts'
import { type Recording, recordingDbOf } from '../document.ts'
import type { Spool } from '../spool.ts'
import { type Attachment, type Target, targetAt } from '../storage.ts'
import { type Directories, placeIn, takeAway } from './to-directory.ts'
import { type HttpPorts, sendTo } from './to-http.ts'
import { putInto, takeOut } from './to-s3.ts'
import { uploadUrl } from './upload-url.ts'

export interface Shipment {
  recording: Stored<Recording>
  target: Target
  /** In the spool. */
  file: string
  size: number
  /** Hex. */
  sha256: string
}

export interface ShippingPorts extends HttpPorts {
  store: Store
  spool: Spool
  directories: Directories
}

/** Resolves whatever happens, also when it was broken off: then the outcome means nothing. */
export function ship(shipment: Shipment, ports: ShippingPorts, signal: AbortSignal): Promise<Outcome> {
  const { recording, target, file, size, sha256 } = shipment
  if (target.is === 'store') return settled(() => attach(shipment, ports))
  const { _id: id, name, content_type: contentType, pvt_account_id } = recording
  const cargo: Cargo = { id, name, contentType, size, sha256, pieces: (length, from) => ports.spool.pieces(file, length, from) }
  return settled(() => carry(target, pvt_account_id, cargo, url => uploadUrl(url, recording), ports, signal))
}

async function settled(run: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await run()
  } catch (error) {
    const hopeless = error instanceof AppError && !error.retry
    return { is: hopeless ? 'never' : 'later', reason: reasonOf(error) }
  }
}

type Carrying = Pick<ShippingPorts, 'http' | 'now' | 'directories'>

async function carry(
  target: Exclude<Target, { is: 'store' }>,
  accountId: string,
  cargo: Cargo,
  urlOf: (base: string) => string,
  ports: Carrying,
  signal: AbortSignal,
): Promise<Outcome> {
  switch (target.is) {
    case 'http':
      return sendTo(urlOf(target.url), target.method, cargo, ports, signal)
    case 's3':
      return putInto(target.settings, target.folder, cargo, ports, signal)
    case 'directory':
      return placeIn(target, accountId, cargo, ports.directories)
    case 'nowhere':
      return { is: 'never', reason: target.reason }
  }
}

const TRIAL = Buffer.from('callrec was here to see whether it can store files\n')
const TRIAL_SHA256 = createHash('sha256').update(TRIAL).digest('hex')
/** What an upload tells of a recording, where there is none. */
const NO_CALL = { call_id: '', cdr_id: '', interaction_id: '', from: '', to: '', caller_id_name: '', caller_id_number: '', start: 0, duration_ms: 0 }

/** Stores a little file where an account wants its recordings; resolves to what went wrong. Buckets and directories are left as they were. */
export async function tryOut(attachment: Attachment, accountId: string, ports: Carrying, signal: AbortSignal): Promise<string | undefined> {
  const id = randomBytes(8).toString('hex')
  const cargo: Cargo = {
    id,
    name: `callrec_test_${id}.txt`,
    contentType: 'text/plain',
    size: TRIAL.length,
    sha256: TRIAL_SHA256,
    pieces: async function* (size, from) {
      yield TRIAL.subarray(from, from + size)
    },
  }
  const target = targetAt(attachment)
  if (target.is === 'store') return undefined
  const urlOf = (base: string): string => uploadUrl(base, { ...NO_CALL, _id: id, name: cargo.name, pvt_account_id: accountId })
  const outcome = await settled(() => carry(target, accountId, cargo, urlOf, ports, signal))
  if (outcome.is !== 'stored') return outcome.reason
  if (target.is === 'directory') await takeAway(target, accountId, cargo, ports.directories)
  return target.is === 's3' ? takeOut(target.settings, cargo.name, ports, signal).catch(reasonOf) : undefined
}

const ATTACH_TRIES = 5

/** Whoever else writes the document meanwhile (the API, retention) wins the race; then it is attached to what they wrote. */
export async function attach(
  { recording, file, size }: Pick<Shipment, 'recording' | 'file' | 'size'>,
  { store, spool }: Pick<ShippingPorts, 'store' | 'spool'>,
): Promise<Outcome> {
  const db = recordingDbOf({ _id: recording._id, account_id: recording.pvt_account_id })
  let rev = recording._rev
  for (let tries = 1; ; tries++) {
    try {
      await store.putAttachment(db, recording._id, rev, recording.name, { stream: spool.read(file, size), length: size, contentType: recording.content_type })
      return { is: 'stored', location: recording.name }
    } catch (error) {
      if (!isCode(error, 'datastore_conflict') || tries === ATTACH_TRIES) throw error
    }
    const current = await store.get<Recording>(db, recording._id)
    if (current === undefined) return { is: 'never', reason: 'its recording document is gone' }
    rev = current._rev
  }
}
