// callrec as one process, in the order its rooms are opened; they are closed in reverse. No room
// keeps what a restart needs: all of that is in the store or on the switch.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isAllowed, parseNetworks } from './addresses.ts'
import { createApi } from './api/app.ts'
import { firstStart, type Master } from './api/resources/first-start.ts'
import { flowChecker } from './api/validation/flow.ts'
import { listen } from './api/listen.ts'
import { startPhoneCache } from './api/directory/phone-cache.ts'
import { loadSchemas } from './api/validation/schemas.ts'
import { createValidator } from './api/validation/validate.ts'
import { createControl } from './callflow/control.ts'
import { startKeys } from './callflow/metaflows.ts'
import { modules, startExecutor } from './callflow/executor.ts'
import { systemClock } from './clock.ts'
import { type Closable, closeInTurn } from './closing.ts'
import type { Config, SwitchAddress } from './config.ts'
import { keepCredentials, readCredentials } from './credentials.ts'
import { createEvents } from './events.ts'
import { readLevels } from './levels.ts'
import { lastResort } from './last-resort.ts'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { tenantClient } from './net/client.ts'
import { peerClient } from './net/peers.ts'
import { startPreparation } from './preparation.ts'
import { createAudit } from './recording/keeping/audit.ts'
import { startDelivery } from './recording/delivery/delivery.ts'
import { tryOut } from './recording/delivery/destinations.ts'
import { createErasure } from './recording/keeping/erasure.ts'
import { limitedSpool } from './recording/quota.ts'
import { openJournal } from './recording/journal.ts'
import { startOrphans } from './recording/keeping/orphans.ts'
import { findDecoder } from './recording/audio/decoder.ts'
import { findEncoder } from './recording/audio/encoder.ts'
import { startRecorder } from './recording/recorder.ts'
import { createCheck } from './recording/keeping/integrity.ts'
import { startRetention } from './recording/keeping/retention.ts'
import { openSpool } from './recording/spool.ts'
import { findTranscriber } from './recording/transcripts/transcriber.ts'
import { startTranscribing } from './recording/transcripts/transcribing.ts'
import { sightOf } from './recording/sight.ts'
import { packagePath } from './root.ts'
import { openDoor } from './siprec/door.ts'
import { startSiprec } from './siprec/sessions.ts'
import { embeddedSwitch, SIMULATOR } from './simulator/launch.ts'
import { couchStore } from './store/couch.ts'
import { embeddedStore } from './store/embedded.ts'
import { lockDirectory } from './store/lock.ts'
import type { Store } from './store/store.ts'
import { HAND_OVER, ownSwitches } from './switch/owned.ts'
import { connectSwitches } from './switch/pool.ts'
import { type Placing, startPlacing } from './voice/placing.ts'
import { startVoice, type Voice } from './voice/voice.ts'
import { startWebhooks } from './webhooks/webhooks.ts'

export interface Running {
  /** How to reach the API from here. */
  url: string
  /** Known once the store has answered; rejects when the engine is closed before. */
  master: Promise<Master>
  close(): Promise<void>
}

export const VERSION = (JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string }).version

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** Milliseconds for a test file to get where an account wants to keep its recordings. */
const TRIAL_PATIENCE = 20_000

export async function start(config: Config, log: Log): Promise<Running> {
  // Call time runs as fast as the embedded switch does; documents and retries are the wall's.
  const wall = systemClock()
  const rooms: Closable[] = []
  const neighbours: Closable[] = []
  const own = <T extends Closable>(room: T): T => {
    rooms.push(room)
    return room
  }
  const closeAll = (): Promise<void> => closeInTurn(rooms.splice(0), { clock: wall, log, neighbours: () => neighbours })

  // Files and folders are for this user and the group shared with the switch; nobody else reads recordings.
  process.umask(0o027)
  try {
    for (const warning of config.warnings) log.warn('configuration_warned', { warning })
    const callClock = config.switches.length === 0 ? systemClock(config.simulatorSpeed) : wall

    const looked = Promise.all([findEncoder(config.ffmpeg, log), findDecoder(config.ffmpeg, log)])
    // It loads its models first, and calls do not wait for that.
    const transcriber = findTranscriber(config.transcriber, log)
    const store = own(await openStore(config, own))
    const remembered = (await readCredentials(config.dataDir)).MASTER_API_KEY
    const preparation = own(startPreparation({ attempt: () => master(store, remembered, config), clock: wall, log }))
    // An embedded store that fails will not get better by waiting.
    if (store.kind === 'embedded') await preparation.ready
    const metrics = createMetrics(wall)
    own(lastResort({ log, metrics }))
    const spool = limitedSpool(openSpool(config.spool), { store, clock: wall, log, quota: config.spool.quota })
    const journal = openJournal(spool)
    await spool.check().catch((error: Error) => log.error('spool_unusable', { reason: error.message, todo: 'recordings fail until this is mended' }))
    const [encoder, decoder] = await looked
    const ownership = { engine: await engineId(config), epoch: hex(4), api: config.api.advertise, clock: wall, log }
    const addressed = await addresses(config)
    // Until all rooms listen nothing is waited for any more: a switch tells only once that it is there.
    const switches = own(connectSwitches({ nodes: addressed, clock: callClock, log }))
    const http = own(tenantClient({ allow: config.uploadAllowNetworks, clock: wall }))
    // The embedded store keeps nobody waiting, and a next engine may come as soon as it is closed.
    const peers = own(peerClient({ clock: wall }))
    neighbours.push(http, peers, ...(store.kind === 'embedded' ? [] : [store]))
    const nodes = switches.nodes.map(node => node.name)
    const events = createEvents(log)
    const webhooks = own(startWebhooks({ store, http, clock: wall, log, metrics, random: Math.random, hex }))
    events.on(event => webhooks.tell(event))
    const audit = createAudit({ store, clock: wall, log })
    const driven = own({ ...ownSwitches({ switches, sees: sightOf(spool, hex), ...ownership }), atLeastMs: HAND_OVER + 500 })
    const delivery = own(
      startDelivery({
        store,
        spool,
        http,
        audit,
        clock: wall,
        log,
        metrics,
        random: Math.random,
        events,
        directories: config.deliveryDirectories,
        nodes: () => driven.inCharge(),
        transcribe: recording => transcribing.due(recording),
      }),
    )
    const recorder = own(
      startRecorder({
        store,
        switches: driven,
        spool,
        journal,
        clock: callClock,
        log,
        metrics,
        events,
        random: hex,
        deliver: () => delivery.wake(),
        maxTimeLimit: config.maxTimeLimit,
        encoder,
      }),
    )
    const exempt = parseNetworks(config.uploadAllowNetworks)
    const door = own(openDoor({ ...config.sip, clock: wall, log, random: hex, permits: address => isAllowed(address, exempt) }))
    const siprec = own(startSiprec({ store, switches: driven, recorder, door, clock: callClock, wall, log, metrics, events, random: hex }))
    const erasure = createErasure({
      store,
      spool,
      audit,
      clock: wall,
      metrics,
      nodes: () => driven.inCharge(),
      deliver: () => delivery.wake(),
      forget: id => transcribing.forget(id),
    })
    own(startRetention({ store, erasure, clock: wall, log, every: config.retentionSweep }))
    const adopt = { adopt: (node: string) => recorder.adopt(node), deliver: () => delivery.wake() }
    const orphans = own(
      startOrphans({ store, spool, audit, clock: wall, log, metrics, nodes: () => driven.inCharge(), ...adopt, every: config.retentionSweep }),
    )
    const voice: Voice = own(
      startVoice({
        store,
        switches: driven,
        recorder,
        encoder,
        decoder,
        transcriber,
        events,
        http,
        spool,
        clock: callClock,
        wall,
        log,
        random: hex,
        publicUrl: config.api.publicUrl,
        toldBefore: leg => placing.told(leg),
      }),
    )
    const placing: Placing = own(startPlacing({ store, switches: driven, http, wall, clock: callClock, log, random: hex, begun: leg => voice.begun(leg) }))
    const transcribing = own(
      startTranscribing({
        store,
        transcriber,
        decoder,
        folder: `${config.dataDir}/transcribing`,
        clock: wall,
        log,
        metrics,
        random: Math.random,
        engine: ownership.engine,
        tell: (recording, signal) => voice.transcribed(recording, signal),
      }),
    )
    const checkFlow = flowChecker(createValidator(loadSchemas(config.maxTimeLimit)), modules)
    const executor = own(
      startExecutor({
        switches: driven,
        store,
        recorder,
        siprec,
        clock: callClock,
        wall,
        http,
        voice,
        checkFlow,
        log,
        random: hex,
        config: { maxTimeLimit: config.maxTimeLimit },
      }),
    )
    // Files of a switch that was another engine's wait for us.
    driven.on(event => void (event.name === 'node_up' && delivery.wake()))
    readLevels(metrics, { store, spool, switches: driven, delivery, executor, orphans, transcribing })
    const control = createControl({ switches: driven, store, recorder, siprec, clock: wall, log, config: { maxTimeLimit: config.maxTimeLimit } })
    own(startKeys({ switches: driven, store, recorder, control, clock: callClock, log }))
    const phones = own(startPhoneCache({ switches, clock: wall, log }))
    const api = createApi({
      store,
      switches: driven,
      peers,
      phones,
      voice,
      placing,
      audit,
      erasure,
      check: createCheck({ store, spool, audit, nodes: () => driven.inCharge() }),
      deliver: () => delivery.wake(),
      tryStorage: (accountId, attachment) =>
        tryOut(attachment, accountId, { http, now: () => wall.now(), directories: config.deliveryDirectories }, AbortSignal.timeout(TRIAL_PATIENCE)),
      control,
      events,
      modules,
      clock: wall,
      log,
      random: randomBytes,
      metrics,
      standing: () => ({ prepared: preparation.master() !== undefined, operatorKey: preparation.master()?.apiKey ?? config.api.masterApiKey ?? remembered }),
      config: {
        version: VERSION,
        publicUrl: config.api.publicUrl,
        tokenTtl: config.api.tokenTtl,
        maxTimeLimit: config.maxTimeLimit,
        xmlCurl: { secret: await xmlCurlSecret(config), networks: config.xmlCurl.networks },
        uploadAllowNetworks: config.uploadAllowNetworks,
        trustedProxies: config.api.trustedProxies,
        embedded: { store: config.couchdbUrl === undefined, switch: config.switches.length === 0 },
      },
    })
    const { port } = own(await listen(api, config.api))
    // First of all: while the API ends what it is answering, calls come.
    own({ close: async () => executor.takeNoMore() })
    const url = `http://${config.api.host.includes(':') ? `[${config.api.host}]` : config.api.host}:${port}`
    log.info('callrec_started', { url, version: VERSION, store: store.kind, switches: nodes })
    return { url, master: preparation.ready, close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

/** The embedded store keeps a second engine out by itself. */
async function openStore({ couchdbUrl, dataDir }: Config, own: <T extends Closable>(room: T) => T): Promise<Store> {
  if (couchdbUrl === undefined) return embeddedStore({ dir: `${dataDir}/store` })
  own({ close: await lockDirectory(dataDir) })
  return couchStore({ url: couchdbUrl })
}

async function addresses(config: Config): Promise<readonly SwitchAddress[]> {
  if (config.switches.length > 0) return config.switches
  const { host, port, password } = await embeddedSwitch({ dataDir: config.dataDir, recordingDir: config.spool.onSwitch, speed: config.simulatorSpeed })
  return [{ name: SIMULATOR, host, port, password }]
}

/** The key in DATA_DIR/credentials is the operator's way in; it is written before anybody could need it. */
async function master(store: Store, remembered: string | undefined, { dataDir, api }: Config): Promise<Master> {
  const made = await firstStart(store, { apiKey: api.masterApiKey, remembered, now: Date.now(), random: randomBytes })
  await keepCredentials(dataDir, { MASTER_ACCOUNT_ID: made.accountId, MASTER_API_KEY: made.apiKey })
  return made
}

/** Of this DATA_DIR, which one process uses at a time: what it left on a switch is known to be of a dead one. */
async function engineId({ dataDir }: Config): Promise<string> {
  const known = (await readCredentials(dataDir)).ENGINE_ID
  if (known !== undefined) return known
  const ENGINE_ID = hex(8)
  await keepCredentials(dataDir, { ENGINE_ID })
  return ENGINE_ID
}

/** Made up once, so that no installation ever runs with a secret that others know. */
async function xmlCurlSecret({ dataDir, xmlCurl }: Config): Promise<string> {
  const known = xmlCurl.secret ?? (await readCredentials(dataDir)).XML_CURL_SECRET
  if (known !== undefined) return known
  const XML_CURL_SECRET = hex(32)
  await keepCredentials(dataDir, { XML_CURL_SECRET })
  return XML_CURL_SECRET
}
