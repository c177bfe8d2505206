// Is a recording still what it was when it ended? Its audio is read where callrec has it and its hash compared
// with the one in the document, and its audit trail is walked.

import { createHash } from 'node:crypto'
import type { Store, Stored } from '../../store/store.ts'
import type { Audit } from './audit.ts'
import { IN_FLIGHT, type InFlight, type Recording, recordingDbOf, STORE } from '../document.ts'
import type { Spool } from '../spool.ts'

/** `elsewhere`: delivered, or in the spool of a switch that another engine drives. `none`: there never was any, or none yet. */
export type AudioIs = 'intact' | 'damaged' | 'missing' | 'elsewhere' | 'none'

export interface Verdict {
  audio: AudioIs
  /** Hex, as the document has it. */
  sha256?: string
  /** Of what was read, where that is not the same. */
  found?: string
  /** Where the audio was read, or should be. */
  at?: string
  trail: 'intact' | 'broken'
  broken_at?: number
}

export interface IntegrityPorts {
  store: Store
  spool: Pick<Spool, 'read' | 'size'>
  audit: Pick<Audit, 'read'>
  /** Switches whose spool this engine sees. */
  nodes: () => readonly string[]
}

/** Reads all of a recording's audio. */
export type Check = (recording: Stored<Recording>) => Promise<Verdict>

export function createCheck({ store, spool, audit, nodes }: IntegrityPorts): Check {
  async function soundOf(recording: Stored<Recording>): Promise<Omit<Verdict, 'trail' | 'broken_at'>> {
    const { sha256, delivery } = recording
    const attached = await storedHash(recording)
    if (attached !== undefined) return compared(STORE, attached, sha256)
    if (delivery?.state === 'stored' && delivery.destination !== STORE) return { audio: 'elsewhere', at: delivery.location ?? delivery.destination }
    const item = await store.get<InFlight>(IN_FLIGHT, recording._id)
    if (recording.state !== 'stopped' || sha256 === undefined) return { audio: 'none' }
    if (item === undefined) return { audio: 'missing', sha256, at: STORE }
    const at = `the spool of ${item.node}`
    if (!nodes().includes(item.node)) return { audio: 'elsewhere', at }
    const size = await spool.size(item.file)
    return size === undefined ? { audio: 'missing', sha256, at } : compared(at, await hashOf(spool.read(item.file, size)), sha256)
  }

  async function storedHash(recording: Stored<Recording>): Promise<string | undefined> {
    if (recording['_attachments'] === undefined) return undefined
    const db = recordingDbOf({ _id: recording._id, account_id: recording.pvt_account_id })
    const found = await store.getAttachment(db, recording._id, recording.name)
    return found === undefined ? undefined : hashOf(found.body)
  }

  return async recording => {
    const sound = await soundOf(recording)
    const { broken_at } = await audit.read(recording.pvt_account_id, recording._id)
    return { ...sound, trail: broken_at === undefined ? 'intact' : 'broken', ...(broken_at === undefined ? {} : { broken_at }) }
  }
}

function compared(at: string, found: string, sha256: string | undefined): Omit<Verdict, 'trail'> {
  if (sha256 === undefined) return { audio: 'none', found, at }
  return found === sha256 ? { audio: 'intact', sha256, at } : { audio: 'damaged', sha256, found, at }
}

async function hashOf(body: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of body) hash.update(piece)
  return hash.digest('hex')
}
