import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { AppError } from '../src/errors.ts'
import { type Config, readConfig as read } from '../src/config.ts'
import { packagePath } from '../src/root.ts'

type Names = Record<string, string>
const readConfig = (env: Names, args: Names = {}): Config => read(args, env)

const refusal = (env: Record<string, string>): string => {
  try {
    readConfig(env)
  } catch (error) {
    return error instanceof AppError && error.code === 'bad_configuration' ? error.message : ''
  }
  return ''
}

test('with nothing set both neighbours are embedded, on loopback, and loopback uploads are allowed', t => {
  const config = readConfig({})
  t.is(config.couchdbUrl, undefined)
  t.deepEqual(config.switches, [])
  t.deepEqual([config.api.host, config.api.port], ['127.0.0.1', 8000])
  t.deepEqual(config.uploadAllowNetworks, ['127.0.0.0/8', '::1/128'])
  t.deepEqual(config.api.trustedProxies, [])
  t.true(config.spool.here.endsWith('/data/recordings'))
  t.is(config.spool.onSwitch, config.spool.here)
})

test('as soon as one neighbour is real, no private network is open to tenant URLs', t => {
  t.deepEqual(readConfig({ FREESWITCH_ESL: '127.0.0.1:8021' }).uploadAllowNetworks, [])
  t.deepEqual(readConfig({ COUCHDB_URL: 'http://127.0.0.1:5984' }).uploadAllowNetworks, [])
})

test('an argument beats the environment, which beats the default, and zero is a value', t => {
  t.is(readConfig({ API_PORT: '9000' }, { API_PORT: '0' }).api.port, 0)
  t.is(readConfig({ API_PORT: '9000' }).api.port, 9000)
  t.is(readConfig({ SPOOL_MIN_FREE: '0' }).spool.minFree, 0)
  t.is(readConfig({ API_PORT: '' }).api.port, 8000)
})

test('every problem is named in one message', t => {
  const message = refusal({
    API_PORT: '80a',
    MAX_TIME_LIMIT: '2',
    LOG_LEVEL: 'loud',
    SIMULATOR_SPEED: 'fast',
    UPLOAD_ALLOW_NETWORKS: 'home',
    TRUSTED_PROXIES: '10.0.0.1',
  })
  for (const name of ['API_PORT', 'MAX_TIME_LIMIT', 'LOG_LEVEL', 'SIMULATOR_SPEED', 'UPLOAD_ALLOW_NETWORKS', 'TRUSTED_PROXIES'])
    t.true(message.includes(name), name)
  t.is(message.split('\n').length, 7)
})

test('the SIP socket takes a free port beside the embedded switch, its own beside others, and must say where it is reached when it is everywhere', t => {
  t.deepEqual(readConfig({}, {}).sip, { bind: { host: '127.0.0.1', port: 0 } })
  t.deepEqual(readConfig({ FREESWITCH_ESL: ':x@127.0.0.1:8021' }, {}).sip, { bind: { host: '127.0.0.1', port: 5070 } })
  const everywhere = { SIP_BIND: '0.0.0.0:5070', SIP_ADVERTISE: 'pbx.example.com:5071' }
  t.deepEqual(readConfig(everywhere, {}).sip, { bind: { host: '0.0.0.0', port: 5070 }, advertise: { host: 'pbx.example.com', port: 5071 } })
  t.deepEqual(readConfig({ SIP_BIND: '[::1]:5070' }, {}).sip.bind, { host: '::1', port: 5070 })
  t.regex(refusal({ SIP_BIND: '0.0.0.0:5070' }), /SIP_ADVERTISE .*missing/)
  t.regex(refusal({ SIP_BIND: 'everywhere' }), /SIP_BIND .*host:port/)
})

test('the certificate of the SIP socket is read at the start, with its key, and what is wrong with either is told', t => {
  const [cert, key] = ['cert', 'key'].map(name => packagePath(`test/fixtures/tls/${name}.pem`))
  const good = { SIP_TLS_CERT: cert ?? '', SIP_TLS_KEY: key ?? '' }
  t.regex(readConfig(good, {}).sip.identity?.key ?? '', /PRIVATE KEY/)
  t.is(readConfig({ ...good, SIP_BIND: '127.0.0.1:5070' }, {}).sip.identity?.port, 5071)
  t.is(readConfig({ ...good, SIP_TLS_PORT: '5061' }, {}).sip.identity?.port, 5061)
  t.regex(refusal({ SIP_TLS_CERT: cert ?? '' }), /SIP_TLS_KEY +missing/)
  t.regex(refusal({ SIP_TLS_KEY: key ?? '' }), /SIP_TLS_KEY +useless/)
  t.regex(refusal({ ...good, SIP_TLS_KEY: '/nowhere/key.pem' }), /SIP_TLS_KEY .*cannot be read \(ENOENT\)/)
  t.regex(refusal({ ...good, SIP_TLS_KEY: cert ?? '' }), /SIP_TLS_KEY .*no PRIVATE KEY/)
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const folder = mkdtempSync(join(tmpdir(), 'callrec-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'key.pem'), privateKey)
  t.regex(refusal({ ...good, SIP_TLS_KEY: join(folder, 'key.pem') }), /SIP_TLS_KEY +is not the key of SIP_TLS_CERT/)
  t.notRegex(refusal({ ...good, SIP_TLS_PORT: 'x' }), /PRIVATE/)
})

test('a misspelt name is hinted at, a foreign one is not', t => {
  t.regex(refusal({ COUCH_DB_URL: 'http://x' }), /COUCH_DB_URL .*did you mean COUCHDB_URL\?/)
  t.regex(refusal({ MAX_TIMELIMIT: '60' }), /did you mean MAX_TIME_LIMIT\?/)
  t.is(refusal({ PATH: '/bin', HOME: '/root', SHELL: 'sh', API_TOKEN_OF_OTHERS: 'x' }), '')
})

test('a list of switches gives names, passwords and addresses, IPv6 too', t => {
  const { switches } = readConfig({ FREESWITCH_ESL: 'a=:se:c@ret@10.0.0.1:8021, [::1]:8022', FREESWITCH_PASSWORD: 'other' })
  t.deepEqual(switches, [
    { name: 'a', host: '10.0.0.1', port: 8021, password: 'se:c@ret' },
    { name: 'fs2', host: '::1', port: 8022, password: 'other' },
  ])
  t.regex(refusal({ FREESWITCH_ESL: 'fs1' }), /entry 1 is not/)
  t.regex(refusal({ FREESWITCH_ESL: 'a=h:1,a=h:2' }), /"a" is given twice/)
  t.regex(refusal({ FREESWITCH_ESL: 'h:99999' }), /whole number from 1 to 65535/)
})

test('a refusal never shows a secret', t => {
  const message = refusal({ FREESWITCH_ESL: ':hunter2@nowhere', MASTER_API_KEY: 'hunter2', COUCHDB_URL: 'ftp://u:hunter2@h' })
  t.is(message.split('\n').length, 4)
  t.false(message.includes('hunter2'))
})

test("FreeSWITCH's default password is a warning unless the switch is on loopback", t => {
  t.deepEqual(readConfig({ FREESWITCH_ESL: '127.0.0.1:8021' }).warnings, [])
  t.is(readConfig({ FREESWITCH_ESL: '10.0.0.1:8021,:other@10.0.0.2:8021' }).warnings.length, 1)
})

test('a spool path the switch cannot be told is refused at the start', t => {
  t.regex(refusal({ RECORDING_DIR: '/tmp/my recordings' }), /RECORDING_DIR/)
  t.regex(refusal({ SWITCH_RECORDING_DIR: '/a/../b' }), /SWITCH_RECORDING_DIR/)
  t.is(readConfig({ RECORDING_DIR: '/tmp/my recordings', SWITCH_RECORDING_DIR: '/spool/' }).spool.onSwitch, '/spool')
})

test('phones are asked for from loopback, and the secret for it is long and fit for XML', t => {
  t.deepEqual(readConfig({}).xmlCurl, { secret: undefined, networks: ['127.0.0.0/8', '::1/128'] })
  const own = { XML_CURL_SECRET: 'only-for-the-two-of-us', XML_CURL_ALLOW_NETWORKS: '10.1.2.3/32' }
  t.deepEqual(readConfig(own).xmlCurl, { secret: 'only-for-the-two-of-us', networks: ['10.1.2.3/32'] })
  for (const secret of ['short', 'x'.repeat(200), 'with "quotes" in it', 'with\na line feed in it']) {
    const message = refusal({ XML_CURL_SECRET: secret })
    t.regex(message, /XML_CURL_SECRET .*must be 16 to 128/)
    t.false(message.includes(secret))
  }
  for (const network of ['10.0.0.0/33', '::1/129', '10.0.0/8', '10.0.0.256/8', '/8'])
    t.regex(refusal({ XML_CURL_ALLOW_NETWORKS: network }), /is not a network/, network)
})

test('sizes are read with their unit', t => {
  t.is(readConfig({ SPOOL_MIN_FREE: '500MiB' }).spool.minFree, 500 * 1024 ** 2)
  t.is(readConfig({ SPOOL_MIN_FREE: '2Gi' }).spool.minFree, 2 * 1024 ** 3)
  t.regex(refusal({ SPOOL_MIN_FREE: 'plenty' }), /SPOOL_MIN_FREE/)
})

test('other values of each kind are accepted', t => {
  const key = 'ab'.repeat(32)
  const config = readConfig({
    MASTER_API_KEY: key,
    PUBLIC_URL: 'https://pbx.example/',
    API_HOST: '::1',
    UPLOAD_ALLOW_NETWORKS: '10.0.0.0/8, fd00::/8',
    TRUSTED_PROXIES: '10.0.0.1/32',
  })
  t.is(config.api.masterApiKey, key)
  t.is(config.api.publicUrl, 'https://pbx.example')
  t.deepEqual(config.uploadAllowNetworks, ['10.0.0.0/8', 'fd00::/8'])
  t.deepEqual(config.api.trustedProxies, ['10.0.0.1/32'])
  t.is(readConfig({ API_HOST: '::1' }).api.publicUrl, 'http://[::1]:8000')
})

test('where other engines reach the API is an origin that has a place on the switch', t => {
  t.is(readConfig({}).api.advertise, undefined)
  t.is(readConfig({ API_ADVERTISE: 'HTTP://10.0.0.1:80/' }).api.advertise, 'http://10.0.0.1')
  t.is(readConfig({ API_ADVERTISE: 'https://[fd00::1]:8443' }).api.advertise, 'https://[fd00::1]:8443')
  for (const wrong of ['10.0.0.1:8000', 'ftp://a', 'http://u:p@a:1', 'http://a/api', 'http://a?b', 'http://a#b', `http://${'a'.repeat(150)}`])
    t.regex(refusal({ API_ADVERTISE: wrong }), /API_ADVERTISE .*must be http:\/\/host:port/, wrong)
})
