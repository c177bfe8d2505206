// compose.yaml and the Dockerfile, as far as they can be told without a container engine: whether they
// are well formed, and agree with each other and with what the engine reads.

import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import test from 'ava'
import { NAMES, readConfig } from '../src/config.ts'
import { packagePath } from '../src/root.ts'

interface Service {
  image: string
  build?: string
  command?: string[]
  ports?: string[]
  user?: string
  restart?: string
  environment?: Record<string, string>
  volumes?: string[]
  configs?: { source: string; target: string }[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[]; interval: string; timeout: string; retries: number }
}

interface Compose {
  services: Record<string, Service>
  configs: Record<string, { content: string }>
  volumes: Record<string, unknown>
}

// Comes with the test tools; it is no dependency of callrec's.
const yaml = createRequire(import.meta.url)('js-yaml') as { load(text: string): unknown }

const text = readFileSync(packagePath('compose.yaml'), 'utf8')
const compose = yaml.load(text) as Compose
const services = Object.entries(compose.services)

/** As compose fills it in. */
const filled = (value: string): string =>
  value.replaceAll(/\$\{(\w+):\?[^}]*\}/g, (_, name: string) => (name === 'XML_CURL_SECRET' ? 'a'.repeat(48) : `${name.toLowerCase()}-of-test`))

test('every image that is not built here is pinned to a version', t => {
  for (const [name, { image, build }] of services) t.true(build !== undefined || /^[a-z0-9/.-]+:\d+\.\d+\.\d+$/.test(image), name)
  const from = readFileSync(packagePath('Dockerfile'), 'utf8').match(/^FROM \S+/gm) ?? []
  for (const line of from) t.regex(line, /:\d+\.\d+\.\d+/)
  t.is(new Set(from).size, 1)
})

test('what goes on running is watched and comes back', t => {
  for (const [name, { command, restart, healthcheck }] of services) {
    if (command !== undefined) continue
    t.is(restart, 'unless-stopped', name)
    t.true(healthcheck !== undefined && healthcheck.test.length > 1 && healthcheck.retries > 0, name)
  }
})

test('every volume, configuration and service that is named is there, and what is there is used', t => {
  const mounts = services.flatMap(([, { volumes = [] }]) => volumes.map(one => one.split(':')[0] ?? ''))
  t.deepEqual([...new Set(mounts.filter(one => !one.startsWith('.')))].sort(), Object.keys(compose.volumes).sort())
  for (const one of mounts.filter(mount => mount.startsWith('.'))) t.true(existsSync(packagePath(one)), one)
  const sources = services.flatMap(([, { configs = [] }]) => configs.map(({ source }) => source))
  t.deepEqual(sources.sort(), Object.keys(compose.configs).sort())
  for (const [, { depends_on: others = {} }] of services) for (const other of Object.keys(others)) t.true(other in compose.services, other)
})

test('the engine takes the settings it is given, and finds its spool where the switch writes', t => {
  const { environment = {}, volumes } = compose.services['callrec'] ?? { image: '' }
  for (const name of Object.keys(environment)) t.true(name in NAMES, name)
  const config = readConfig(Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)])), {})
  t.deepEqual(config.warnings, [])
  t.is(config.couchdbUrl, 'http://callrec:couchdb_password-of-test@127.0.0.1:5984')
  t.like(config.switches[0], { name: 'fs1', host: '127.0.0.1', port: 8021, password: 'freeswitch_password-of-test' })
  const spool = `spool:${config.spool.onSwitch}`
  for (const one of [volumes, compose.services['freeswitch']?.volumes, compose.services['spool']?.volumes]) t.true(one?.includes(spool))
})

test('nothing listens for the world, and no password is written down', t => {
  for (const [, { ports = [] }] of services) for (const port of ports) t.true(port.startsWith('127.0.0.1:'), port)
  t.notRegex(text, /ClueCon/)
  for (const [, value] of text.matchAll(/PASSWORD: (.*)/g)) t.regex(value ?? '', /^\$\{\w+_PASSWORD:\?/)
})

test('the secrets of the switch replace the ones it is shipped with', t => {
  const targets = (compose.services['freeswitch']?.configs ?? []).map(({ target }) => target.replace('/etc/freeswitch/', 'freeswitch/conf/'))
  t.true(targets.length > 0)
  for (const target of targets) t.true(existsSync(packagePath(target)), target)
  for (const name of ['event_socket', 'xml_curl']) {
    const shipped = readFileSync(packagePath(`freeswitch/conf/secrets/${name}.xml`), 'utf8')
    const param = /<param name="([^"]+)"/
    t.is(param.exec(compose.configs[name]?.content ?? '')?.[1], param.exec(shipped)?.[1])
  }
})

test('the image holds every folder that callrec reads', t => {
  const dockerfile = readFileSync(packagePath('Dockerfile'), 'utf8')
  const { files } = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { files: string[] }
  for (const folder of files.filter(one => !one.includes('.') && one !== 'LICENSE')) t.true(dockerfile.includes(`/callrec/${folder} ${folder}`), folder)
})
