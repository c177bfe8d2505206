// Everything an operator can set, read once and whole: argument, then environment, then default.
// A bad start names every problem at once, each with the name the operator has to type.

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { isAbsolute, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { AppError, systemCode } from './errors.ts'
import { LEVELS, type Level } from './log.ts'

export interface SwitchAddress {
  name: string
  host: string
  port: number
  password: string
}

export interface Config {
  api: {
    host: string
    port: number
    publicUrl: string
    advertise: string | undefined
    tokenTtl: number
    masterApiKey: string | undefined
    trustedProxies: readonly string[]
  }
  /** Who may ask for phones: with which secret (undefined: one is made, once) and from where. */
  xmlCurl: { secret: string | undefined; networks: readonly string[] }
  dataDir: string
  /** Undefined: the embedded store in `dataDir`. */
  couchdbUrl: string | undefined
  /** Empty: the embedded switch. */
  switches: readonly SwitchAddress[]
  /** FREESWITCH_PASSWORD, for an address that names none. */
  password: string
  /** The SIPREC client's socket, and how others reach it. */
  sip: { bind: HostPort; advertise?: HostPort; identity?: { cert: string; key: string; port: number } }
  spool: { here: string; onSwitch: string; minFree: number; quota: number }
  uploadAllowNetworks: readonly string[]
  /** Where files may be delivered to on this machine: absolute paths by name. */
  deliveryDirectories: Readonly<Record<string, string>>
  /** Seconds between two retention sweeps. */
  retentionSweep: number
  /** Seconds. */
  maxTimeLimit: number
  logLevel: Level
  simulatorSpeed: number
  /** Program that makes mp3 and ogg where the switch does not, or `off`. */
  ffmpeg: string
  /** Program that makes text of speech, or `off`. */
  transcriber: string
  /** What an operator should know though the start goes on. */
  warnings: readonly string[]
}

export interface HostPort {
  host: string
  port: number
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Tells what is wrong with a text by throwing a plain Error; its message follows the name in the list of problems. */
type Parse<T> = (text: string) => T

const integer =
  (min: number, max = Number.MAX_SAFE_INTEGER): Parse<number> =>
  text => {
    const value = Number(text)
    if (!/^-?\d+$/.test(text) || value < min || value > max) throw new Error(`must be a whole number from ${min} to ${max}`)
    return value
  }

const port = integer(0, 65_535)
const path: Parse<string> = text => resolve(text)

const oneOf =
  <T extends string>(allowed: readonly T[]): Parse<T> =>
  text => {
    const value = allowed.find(one => one === text)
    if (value === undefined) throw new Error(`must be one of ${allowed.join(', ')}`)
    return value
  }

const hex64: Parse<string> = text => {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error('must be 64 characters of 0-9 and a-f')
  return text
}

/** It stands in XML and in HTTP's Basic credentials, and is all that keeps phones' digests from strangers. */
const secret: Parse<string> = text => {
  if (!/^[A-Za-z0-9._~+/=-]{16,128}$/.test(text)) throw new Error('must be 16 to 128 letters, digits and . _ ~ + / = -')
  return text
}

const httpUrl: Parse<string> = text => {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error('must be an http:// or https:// URL')
  return text.replace(/\/+$/, '')
}

/** Of another engine; what is longer has no place on the switch. */
const origin: Parse<string> = text => {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/` || url.origin.length > 150) {
    throw new Error('must be http://host:port or https://host:port, in at most 150 characters')
  }
  return url.origin
}

const hostPort: Parse<HostPort> = text => {
  const [, host, digits] = /^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):(\d+)$/.exec(text) ?? []
  if (host === undefined || digits === undefined) throw new Error('must be host:port')
  return { host: host.replace(/^\[|\]$/g, ''), port: port(digits) }
}

/** What is in a file. */
const pem =
  (kind: string): Parse<string> =>
  file => {
    let text: string
    try {
      text = readFileSync(resolve(file), 'utf8')
    } catch (error) {
      throw new Error(`cannot be read (${systemCode(error) ?? 'unknown'})`, { cause: error })
    }
    if (!new RegExp(`-----BEGIN [A-Z ]*${kind}-----`).test(text)) throw new Error(`has no ${kind} in PEM`)
    return text
  }

function isPair(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key })
    return true
  } catch {
    return false
  }
}

const bytes: Parse<number> = text => {
  const found = /^(\d+)\s*(Ki|Mi|Gi|Ti)?B?$/.exec(text)
  if (found === null) throw new Error('must be a size such as 500MiB or 1GiB')
  return Number(found[1]) * 1024 ** ['', 'Ki', 'Mi', 'Gi', 'Ti'].indexOf(found[2] ?? '')
}

const speed: Parse<number> = text => {
  const value = Number(text)
  if (!(value >= 0.1 && value <= 1000)) throw new Error('must be a number from 0.1 to 1000')
  return value
}

const networks: Parse<string[]> = text => {
  const list = text.split(',').map(one => one.trim())
  const wrong = list.find(one => {
    const [, address = '', bits] = /^([^/]*)\/(\d{1,3})$/.exec(one) ?? []
    return isIP(address) === 0 || Number(bits) > (isIP(address) === 4 ? 32 : 128)
  })
  if (wrong !== undefined) throw new Error(`"${wrong}" is not a network such as 10.0.0.0/8 or ::1/128`)
  return list
}

/** `name=/path`, separated by commas. */
const directories: Parse<Record<string, string>> = text =>
  Object.fromEntries(
    text.split(',').map((part, index): [string, string] => {
      const found = /^([A-Za-z0-9_-]{1,64})=(\/.+)$/.exec(part.trim())
      if (found === null) throw new Error(`entry ${index + 1} is not name=/absolute/path`)
      return [found[1] ?? '', resolve(found[2] ?? '')]
    }),
  )

/** The path whitelist of uuid_record: see switch/commands.ts. */
const switchPath: Parse<string> = text => {
  if (!isAbsolute(text) || !/^[A-Za-z0-9._/-]+$/.test(text) || text.split('/').includes('..')) {
    throw new Error('must be an absolute path of letters, digits, ".", "_", "-" and "/" without ".."')
  }
  return text.replace(/\/+$/, '')
}

/** `[name=][:password@]host:port`, separated by commas. */
const switches =
  (password: string): Parse<SwitchAddress[]> =>
  text => {
    const list = text.split(',').map((part, index) => {
      const found = /^(?:([A-Za-z0-9_-]+)=)?(?::(.*)@)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):(\d+)$/.exec(part.trim())
      if (found === null) throw new Error(`entry ${index + 1} is not [name=][:password@]host:port`)
      const host = (found[3] ?? '').replace(/^\[|\]$/g, '')
      return { name: found[1] ?? `fs${index + 1}`, host, port: integer(1, 65_535)(found[4] ?? ''), password: found[2] ?? password }
    })
    const twice = list.find(({ name }, index) => list.findIndex(other => other.name === name) !== index)
    if (twice !== undefined) throw new Error(`the name "${twice.name}" is given twice`)
    return list
  }

/** Every name an operator may set, with what its value means to the README's table. */
export const NAMES = {
  API_HOST: 'address the API listens on',
  API_PORT: 'port of the API; 0 takes a free one',
  API_ADVERTISE: 'where other engines reach the API of this one',
  DATA_DIR: "embedded store, embedded switch's files, credentials",
  COUCHDB_URL: '`http://user:pass@host:5984`; unset = embedded store',
  FREESWITCH_ESL: 'comma list `[name=][:password@]host:port`; unset = embedded switch',
  FREESWITCH_PASSWORD: 'event socket password where the list gives none',
  RECORDING_DIR: 'spool directory as this process sees it',
  SWITCH_RECORDING_DIR: 'the same directory as the switch sees it',
  UPLOAD_ALLOW_NETWORKS: "networks exempt from the block on private addresses in tenants' URLs",
  MAX_TIME_LIMIT: 'seconds; cap on any recording',
  TOKEN_TTL: 'seconds an auth token lives',
  MASTER_API_KEY: '64 hex; API key of the master account',
  PUBLIC_URL: 'how tenants reach the API',
  TRUSTED_PROXIES: 'networks of proxies in front of the API, whose X-Forwarded-For is believed',
  XML_CURL_SECRET: 'what a FreeSWITCH asks for phones with (mod_xml_curl)',
  XML_CURL_ALLOW_NETWORKS: 'networks from which it may ask',
  SIP_BIND: 'address and port of the SIPREC client, UDP and TCP; port 0 takes a free one',
  SIP_ADVERTISE: 'how switches and recording servers reach it, where that is not SIP_BIND',
  SIP_TLS_CERT: 'file with the certificate that the SIPREC client shows by TLS, PEM; read at the start',
  SIP_TLS_KEY: 'file with its key',
  SIP_TLS_PORT: 'where it takes requests by TLS, once there is a certificate; 0 takes a free port',
  SPOOL_QUOTA: 'bytes of undelivered files an account may have in the spool; 0 is no limit',
  SPOOL_MIN_FREE: 'below this much free disk no new recording starts',
  DELIVERY_DIRECTORIES: 'comma list `name=/path` of directories that accounts may name as storage',
  RETENTION_SWEEP: 'seconds between two looks for recordings whose time is over',
  LOG_LEVEL: LEVELS.join(', '),
  FFMPEG: 'program that makes mp3 and ogg where the switch does not; off for none',
  TRANSCRIBER: 'program that makes text of what is said in a recording; off for none',
  SIMULATOR_SPEED: 'clock multiplier of the embedded switch',
} as const
type Name = keyof typeof NAMES

/** Throws `bad_configuration` with one line per problem. `args` has the environment's names. */
export function readConfig(args: Environment = {}, env: Environment = process.env): Config {
  const problems: string[] = []
  const given = (name: Name): string | undefined => {
    const value = args[name] ?? env[name]
    return value === undefined || value === '' ? undefined : value
  }
  const shown = (name: Name, text: string): string => (SECRET.has(name) ? '(not shown)' : JSON.stringify(text))
  const read = <T>(name: Name, parse: Parse<T>, fallback: T): T => {
    const text = given(name)
    if (text === undefined) return fallback
    try {
      return parse(text)
    } catch (error) {
      problems.push(`${name.padEnd(22)} ${shown(name, text)} – ${(error as Error).message}`)
      return fallback
    }
  }

  for (const name of Object.keys(env)) {
    const meant = name in NAMES ? undefined : misspelt(name)
    if (meant !== undefined) problems.push(`${name.padEnd(22)} is not a setting – did you mean ${meant}?`)
  }

  const host = read('API_HOST', text => text, '127.0.0.1')
  const apiPort = read('API_PORT', port, 8000)
  const dataDir = read('DATA_DIR', path, resolve('data'))
  const couchdbUrl = read('COUCHDB_URL', httpUrl, undefined)
  const password = given('FREESWITCH_PASSWORD') ?? DEFAULT_PASSWORD
  const list = read('FREESWITCH_ESL', switches(password), [])
  const here = read('RECORDING_DIR', path, resolve(dataDir, 'recordings'))
  const embedded = couchdbUrl === undefined && list.length === 0
  /** On every machine many engines with an embedded switch may run, so none takes a port that another has. */
  function sipAddress(): Config['sip'] {
    const bind = read('SIP_BIND', hostPort, { host: '127.0.0.1', port: list.length === 0 ? 0 : 5070 })
    const advertise = read('SIP_ADVERTISE', hostPort, undefined)
    if (advertise === undefined && (bind.host === '0.0.0.0' || bind.host === '::')) {
      problems.push(`SIP_ADVERTISE          missing – SIP_BIND is every address, so what others reach it at must be said`)
    }
    const [cert, key] = [read('SIP_TLS_CERT', pem('CERTIFICATE'), undefined), read('SIP_TLS_KEY', pem('PRIVATE KEY'), undefined)]
    const tlsPort = read('SIP_TLS_PORT', port, bind.port === 0 ? 0 : bind.port + 1)
    if ((given('SIP_TLS_CERT') === undefined) !== (given('SIP_TLS_KEY') === undefined)) {
      problems.push(`SIP_TLS_KEY            ${given('SIP_TLS_KEY') === undefined ? 'missing – SIP_TLS_CERT' : 'useless – no SIP_TLS_CERT'} is there`)
    }
    if (cert !== undefined && key !== undefined && !isPair(cert, key)) problems.push(`SIP_TLS_KEY            is not the key of SIP_TLS_CERT`)
    const identity = cert === undefined || key === undefined ? {} : { identity: { cert, key, port: tlsPort } }
    return { bind, ...(advertise === undefined ? {} : { advertise }), ...identity }
  }
  const config: Config = {
    api: {
      host,
      port: apiPort,
      publicUrl: read('PUBLIC_URL', httpUrl, `http://${host.includes(':') ? `[${host}]` : host}:${apiPort}`),
      advertise: read('API_ADVERTISE', origin, undefined),
      tokenTtl: read('TOKEN_TTL', integer(1), 3600),
      masterApiKey: read('MASTER_API_KEY', hex64, undefined),
      trustedProxies: read('TRUSTED_PROXIES', networks, []),
    },
    xmlCurl: {
      secret: read('XML_CURL_SECRET', secret, undefined),
      networks: read('XML_CURL_ALLOW_NETWORKS', networks, [...LOOPBACK]),
    },
    sip: sipAddress(),
    dataDir,
    couchdbUrl,
    switches: list,
    password,
    spool: {
      here,
      onSwitch: read('SWITCH_RECORDING_DIR', switchPath, here),
      minFree: read('SPOOL_MIN_FREE', bytes, 1024 ** 3),
      quota: read('SPOOL_QUOTA', bytes, 0),
    },
    uploadAllowNetworks: read('UPLOAD_ALLOW_NETWORKS', networks, embedded ? [...LOOPBACK] : []),
    maxTimeLimit: read('MAX_TIME_LIMIT', integer(5), 10_800),
    deliveryDirectories: read('DELIVERY_DIRECTORIES', directories, {}),
    retentionSweep: read('RETENTION_SWEEP', integer(1, 86_400), 3600),
    logLevel: read('LOG_LEVEL', oneOf(LEVELS), 'info'),
    simulatorSpeed: read('SIMULATOR_SPEED', speed, 1),
    ffmpeg: read('FFMPEG', text => text, 'ffmpeg'),
    transcriber: read('TRANSCRIBER', text => text, 'pocketsphinx_continuous'),
    warnings: list
      .filter(one => one.password === DEFAULT_PASSWORD && !isLoopback(one.host))
      .map(one => `FREESWITCH_ESL: ${one.name} (${one.host}) has FreeSWITCH's default password; whoever reaches it controls the switch`),
  }
  if (given('SWITCH_RECORDING_DIR') === undefined && !/^[A-Za-z0-9._/-]+$/.test(here)) {
    problems.push(`RECORDING_DIR          ${JSON.stringify(here)} – the switch can only record below paths of letters, digits, ".", "_", "-" and "/"`)
  }
  if (problems.length > 0) throw new AppError('bad_configuration', `cannot start\n${problems.map(line => `  ${line}`).join('\n')}`)
  return config
}

const DEFAULT_PASSWORD = 'ClueCon'
const SECRET: ReadonlySet<Name> = new Set<Name>(['COUCHDB_URL', 'FREESWITCH_ESL', 'FREESWITCH_PASSWORD', 'MASTER_API_KEY', 'XML_CURL_SECRET'])

const LOOPBACK = ['127.0.0.0/8', '::1/128'] as const
const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** The name that was probably meant: at most two letters off. */
const misspelt = (name: string): Name | undefined => (Object.keys(NAMES) as Name[]).find(known => distance(name, known) <= 2)

/** Levenshtein's, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
