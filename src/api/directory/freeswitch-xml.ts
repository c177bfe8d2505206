// POST /freeswitch/xml, where a FreeSWITCH asks for its phones (mod_xml_curl). XML in the answer whatever
// happens, never an envelope. Who gets in here learns what passwords are compared with, so it takes the
// right address and a shared secret.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { BlockList, isIPv6 } from 'node:net'
import { reasonOf } from '../../errors.ts'
import { readAll } from '../http/body.ts'
import { type Asked, entryXml, findPhone, NOT_FOUND } from './directory.ts'
import { asAppError } from '../http/envelope.ts'
import type { ApiPorts } from '../http/ports.ts'

export const XML_PATH = '/freeswitch/xml'

export interface XmlAnswer {
  status: number
  headers: Readonly<Record<string, string>>
  xml: string
}

const answer = (status: number, xml = NOT_FOUND, headers: Record<string, string> = {}): XmlAnswer => ({
  status,
  xml,
  headers: { 'content-type': 'text/xml; charset=utf-8', 'cache-control': 'no-store', ...headers },
})

type Ports = Pick<ApiPorts, 'store' | 'log' | 'config'>

export function freeswitchXml({ store, log, config: { xmlCurl } }: Ports): (message: IncomingMessage) => Promise<XmlAnswer> {
  const allowed = networks(xmlCurl.networks)

  function refusal({ headers, method, socket }: IncomingMessage): XmlAnswer | undefined {
    const { remoteAddress: address = '' } = socket
    const why = notFrom(allowed, address, headers)
    if (why !== undefined) {
      log.warn('xml_curl_refused', { address, why, todo: 'XML_CURL_ALLOW_NETWORKS names who may ask' })
      return answer(403)
    }
    if (method !== 'POST') return answer(405, NOT_FOUND, { allow: 'POST' })
    if (isSecret(headers.authorization, xmlCurl.secret)) return undefined
    log.warn('xml_curl_refused', { address, why: 'wrong secret', todo: 'gateway-credentials of xml_curl.conf must be freeswitch:XML_CURL_SECRET' })
    return answer(401, NOT_FOUND, { 'www-authenticate': 'Basic realm="callrec"' })
  }

  return async message => {
    try {
      const no = refusal(message)
      if (no !== undefined) return no
      const form = new URLSearchParams((await readAll(message)).toString())
      const asked = askedFor(form)
      if (asked === undefined) {
        log.debug('directory_ignored', { section: form.get('section'), purpose: form.get('purpose'), action: form.get('action') })
        return answer(200)
      }
      const found = await findPhone(store, asked)
      if (!('refused' in found)) return answer(200, entryXml(asked, found))
      log.info('phone_refused', { ...shortened(asked), why: found.refused, action: form.get('action'), phone_address: form.get('ip') })
      return answer(200)
    } catch (error) {
      const { status } = asAppError(error)
      log.error('directory_failed', { reason: reasonOf(error) })
      return answer(status)
    }
  }
}

function networks(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/')
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4')
  }
  return list
}

/** Behind a proxy on this machine everybody seems to be on this machine, so what a proxy passed on is not from here. */
function notFrom(allowed: BlockList, address: string, headers: IncomingHttpHeaders): string | undefined {
  const via = ['forwarded', 'x-forwarded-for', 'via'].find(name => name in headers)
  if (via !== undefined) return `it came through a proxy (${via})`
  return allowed.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') ? undefined : 'not an allowed network'
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The name in the credentials is of no interest. */
function isSecret(authorization: string | undefined, secret: string): boolean {
  const [, encoded = ''] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '') ?? []
  const credentials = Buffer.from(encoded, 'base64').toString()
  return timingSafeEqual(sha256(credentials.slice(credentials.indexOf(':') + 1)), sha256(secret))
}

/**
 * One phone of one realm (switch_xml.c, switch_xml_locate_user), or something else that callrec does not have. FreeSWITCH puts
 * `key_value` into the form as it came from the phone, `&` and all (mod_xml_curl.c), so a field that stands there twice is a forged one.
 */
function askedFor(form: URLSearchParams): Asked | undefined {
  const only = (name: string): string => {
    const [value = '', ...more] = form.getAll(name)
    return more.length === 0 ? value : ''
  }
  const [name, realm] = [only('user'), only('domain')]
  const forUser = only('section') === 'directory' && only('tag_name') === 'domain' && only('key_name') === 'name' && only('key') === 'id'
  return forUser && name !== '' && realm !== '' ? { name, realm } : undefined
}

/** What phones send ends up in the log, so not all of it. */
const shortened = ({ name, realm }: Asked): Asked => ({ name: name.slice(0, 64), realm: realm.slice(0, 128) })
