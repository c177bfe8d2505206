// Files of the spool that no document names, and recordings that nobody finishes. An engine that runs puts right what can
// be (recording/orphans.ts); this only says what there is.

import { access } from 'node:fs/promises'
import type { Config } from './config.ts'
import { isCode, reasonOf } from './errors.ts'
import { type Finding, ok, type Tools, warn } from './finding.ts'
import { findOrphans, type Orphan } from './recording/keeping/orphans.ts'
import { foldersOf } from './recording/keeping/orphan-files.ts'
import { IN_FLIGHT } from './recording/document.ts'
import { openSpool } from './recording/spool.ts'
import { SIMULATOR } from './simulator/launch.ts'
import { couchStore } from './store/couch.ts'
import { embeddedStore } from './store/embedded.ts'
import type { Store } from './store/store.ts'

/** Named in a finding; the log of an engine has all. */
const SHOWN = 3

export async function examineOrphans(config: Config, tools: Tools): Promise<Finding[]> {
  const nodes = config.switches.length === 0 ? [SIMULATOR] : config.switches.map(({ name }) => name)
  let strange: string[]
  try {
    strange = (await foldersOf(config.spool.here)).filter(name => !nodes.includes(name))
  } catch {
    // The spool's own finding says it.
    return []
  }
  const folders = strange.map(name =>
    warn(
      `spool: ${config.spool.here}/${name} is of a switch that is not in FREESWITCH_ESL`,
      'name the switch there again until its files are delivered, or keep them elsewhere',
    ),
  )
  return [...folders, ...(await inStore(config, tools, nodes))]
}

async function inStore(config: Config, tools: Tools, nodes: readonly string[]): Promise<Finding[]> {
  let store: Store | undefined
  try {
    store = await open(config)
    if (store === undefined) return []
    const found: Orphan[] = []
    for await (const one of findOrphans({ store, spool: openSpool(config.spool), clock: tools.clock }, nodes)) if (!isKept(one)) found.push(one)
    return [...(await waiting(store, nodes)), ...summed(found)]
  } catch (error) {
    if (config.couchdbUrl === undefined && isCode(error, 'bad_configuration'))
      return [ok('orphans: the engine that runs looks for them itself; see callrec_orphans in its /metrics')]
    // Nothing was ever recorded with this store.
    if (isCode(error, 'datastore_missing')) return []
    // What is wrong with the store is said where the store is examined.
    return [warn(`orphans: could not be looked for (${reasonOf(error)})`, 'mend the store first')]
  } finally {
    await store?.close()
  }
}

async function open({ couchdbUrl, dataDir }: Config): Promise<Store | undefined> {
  if (couchdbUrl !== undefined) return couchStore({ url: couchdbUrl })
  const dir = `${dataDir}/store`
  const isThere = await access(dir).then(
    () => true,
    () => false,
  )
  return isThere ? embeddedStore({ dir }) : undefined
}

const isKept = (one: Orphan): boolean => one.is === 'file' && one.fate.is === 'kept'

/** The engine that runs mends it by itself. */
const MENDED = 'an engine that drives the switch puts it right within RETENTION_SWEEP seconds; if it stays, its log says why (orphan_not_adopted)'

const SAID: Readonly<Record<Orphan['is'], { what: string; todo: string }>> = {
  foreign: { what: 'files in the spool that callrec did not write', todo: 'move them out of RECORDING_DIR' },
  unknown: { what: 'recorded files of which no account has a document', todo: 'was the store restored from an older backup? Keep the files elsewhere' },
  file: { what: 'recorded files that nothing is queued for', todo: MENDED },
  document: { what: 'recordings that are to be finished or delivered and are not queued', todo: MENDED },
}

function summed(found: readonly Orphan[]): Finding[] {
  if (found.length === 0) return [ok('orphans: none')]
  return (Object.keys(SAID) as Orphan['is'][]).flatMap(is => {
    const some = found.filter(one => one.is === is)
    const named = some.slice(0, SHOWN).map(one => ('file' in one ? one.file : one.recording._id))
    const more = some.length > SHOWN ? ` and ${some.length - SHOWN} more` : ''
    return some.length === 0 ? [] : [warn(`orphans: ${some.length} ${SAID[is].what}: ${named.join(', ')}${more}`, SAID[is].todo)]
  })
}

/** Recordings of a switch that this engine does not know; another one may. */
async function waiting(store: Store, nodes: readonly string[]): Promise<Finding[]> {
  const rows = await store.query(IN_FLIGHT, 'in_flight/by_node', {})
  const others = rows.flatMap(({ key }) => (Array.isArray(key) && typeof key[0] === 'string' && !nodes.includes(key[0]) ? [key[0]] : []))
  return [...new Set(others)].map(name =>
    warn(
      `orphans: ${others.filter(one => one === name).length} recordings wait for switch ${name}, which is not in FREESWITCH_ESL here`,
      `they are finished and delivered by an engine that has ${name}; if there is none, name it again`,
    ),
  )
}
