// A leg that calls a SIP address for real, which is how FreeSWITCH's recording legs reach callrec: SIP over UDP on loopback, audio as
// rtp.ts says it. Everything else the embedded switch rings is a phone of its own.

import { randomBytes } from 'node:crypto'
import { parse } from 'sdp-transform'
import { systemClock } from '../clock.ts'
import { type Agent, createAgent, type Session } from '../sip/agent.ts'
import { systemDns } from '../sip/resolve.ts'
import { openSockets, type Sockets } from '../sip/sockets.ts'
import { answer, createLeg, hangup, ring } from './call.ts'
import { type Cause, causeOf } from './causes.ts'
import type { Exchange, SipLegs } from './exchange.ts'
import { isUp, type Leg, variable } from './leg.ts'
import { SILENCE } from './media.ts'
import { heard } from './recording.ts'
import { type Codec, type Destination, openRtp, type RtpSender } from './rtp.ts'
import { isTrue, takeVariables } from './words.ts'

interface Media {
  rtp: RtpSender
  target: Leg | undefined
  /** Where the far side listens; undefined while it does not. */
  place: Destination | undefined
  listening: boolean
}

const ADDRESS = /^sofia\/[\w.-]+\/([\w.+*#-]+@[\w.-]+:\d{1,5})$/

/** Whether a dial string is for here. */
export const isSipAddress = (dialString: string): boolean => ADDRESS.test(takeVariables(dialString, '{').rest.trim())

/** One alone is parsed to a number. */
const codecsOf = (payloads: string | number | undefined): Codec[] =>
  String(payloads ?? '')
    .split(' ')
    .map(Number)
    .filter(one => one === 0 || one === 8)

export function createSipLegs(exchange: Exchange): SipLegs {
  // SIP's timers are the wall's, however fast calls run.
  const clock = systemClock()
  const media = new Map<Leg, Media>()
  let opened: Promise<{ agent: Agent; sockets: Sockets }> | undefined

  async function open(): Promise<{ agent: Agent; sockets: Sockets }> {
    const sockets = await openSockets({ host: '127.0.0.1', port: 0, clock, log: exchange.log })
    const agent = createAgent({
      transport: sockets,
      clock,
      log: exchange.log,
      random: bytes => randomBytes(bytes).toString('hex'),
      dns: systemDns,
      advertised: { host: '127.0.0.1', port: sockets.port },
      name: 'callrec simulator',
      onCall: call => call.refuse(404),
    })
    return { agent, sockets }
  }

  const sdp = (port: number, direction: string, version: number, codecs: readonly Codec[]): Buffer =>
    Buffer.from(
      [
        'v=0',
        `o=simulator 1 ${version} IN IP4 127.0.0.1`,
        's=simulator',
        'c=IN IP4 127.0.0.1',
        't=0 0',
        `m=audio ${port} RTP/AVP ${codecs.join(' ')} 101 13`,
        ...codecs.map(one => `a=rtpmap:${one} ${one === 8 ? 'PCMA' : 'PCMU'}/8000`),
        'a=rtpmap:101 telephone-event/8000',
        'a=rtpmap:13 CN/8000',
        'a=ptime:20',
        `a=${direction}`,
        '',
      ].join('\r\n'),
    )

  function hears(one: Media, body: Buffer): boolean {
    const { media: streams, connection, direction } = parse(body.toString())
    const stream = streams[0]
    const address = stream?.connection?.ip ?? connection?.ip
    const way = stream?.direction ?? direction ?? 'sendrecv'
    if (stream === undefined || address === undefined) return false
    const [codec = 0] = codecsOf(stream.payloads)
    one.place = { address, port: stream.port, codec }
    one.listening = way === 'recvonly' || way === 'sendrecv'
    says(one)
    return one.listening
  }

  function says(one: Media): void {
    one.rtp.to(one.listening && one.target !== undefined ? one.place : undefined)
  }

  async function dial(dialString: string, timeout: number): Promise<Leg | Cause> {
    const { variables, rest } = takeVariables(dialString, '{')
    const [, address = ''] = ADDRESS.exec(rest.trim()) ?? []
    opened ??= open()
    const { agent } = await opened
    const leg = createLeg(exchange, {
      direction: 'outbound',
      user: address.split('@')[0] ?? '',
      realm: address.split('@')[1] ?? '',
      nobody: true,
      name: rest.trim(),
      destination: address.split('@')[0] ?? '',
      callerIdName: '',
      callerIdNumber: '0000000000',
      variables,
    })
    // Without a wish it has what a leg of FreeSWITCH has by default.
    const wish = (variable(leg, 'absolute_codec_string') ?? 'PCMU,PCMA').split(',')
    const codecs = ([0, 8] as const).filter(one => wish.includes(one === 8 ? 'PCMA' : 'PCMU'))
    let version = 1
    let session: Session | undefined
    const one: Media = { rtp: await openRtp(exchange.timeline, () => sourcesOf(leg, one)), target: undefined, place: undefined, listening: false }
    media.set(leg, one)
    const type: [string, string] = ['Content-Type', 'application/sdp']
    const calling = agent.invite({
      uri: `sip:${address}`,
      from: 'sip:0000000000@127.0.0.1',
      headers: [type],
      body: sdp(one.rtp.port, 'sendrecv', version++, codecs),
      patience: timeout * 1000,
      events: {
        asked({ method, body }) {
          if (method !== 'INVITE' && method !== 'UPDATE') return undefined
          return { status: 200, headers: [type], body: sdp(one.rtp.port, hears(one, body) ? 'sendonly' : 'inactive', version++, codecs) }
        },
        refresh: () => ({ headers: [type], body: sdp(one.rtp.port, 'sendonly', version++, codecs) }),
        ended: () => hangup(exchange, leg, 'NORMAL_CLEARING'),
      },
    })
    leg.onGone = () => {
      media.delete(leg)
      calling.cancel()
      one.rtp.close()
      void session?.bye()
    }
    ring(exchange, leg)
    const outcome = await calling.outcome
    if (!outcome.taken) {
      const cause = outcome.status === 486 ? 'USER_BUSY' : outcome.status === 408 || outcome.status === 487 ? 'NO_ANSWER' : 'NORMAL_TEMPORARY_FAILURE'
      hangup(exchange, leg, causeOf(cause))
      return causeOf(cause)
    }
    session = outcome.session
    if (!isUp(leg)) {
      void session.bye()
      return leg.cause ?? 'NORMAL_CLEARING'
    }
    hears(one, outcome.response.body)
    answer(exchange, leg)
    return leg
  }

  /** The leg's own variables say what it listens to; without one, both sides. */
  function sourcesOf(leg: Leg, { target }: Media): readonly [Leg['says'], Leg['says']] {
    if (target === undefined || !isUp(target)) return [SILENCE, SILENCE]
    const [said, other] = [isTrue(variable(leg, 'eavesdrop_bridge_aleg')), isTrue(variable(leg, 'eavesdrop_bridge_bleg'))]
    return [said || !other ? target.says : SILENCE, other || !said ? heard(target) : SILENCE]
  }

  return {
    dial,
    eavesdrop(leg, target) {
      const [one, listenedTo] = [media.get(leg), exchange.legs.get(target)]
      if (one === undefined || listenedTo === undefined) return false
      one.target = listenedTo
      says(one)
      return true
    },
    targetGone(target) {
      for (const [leg, one] of media) if (one.target === target) hangup(exchange, leg, 'NORMAL_CLEARING')
    },
    packetsSent: leg => media.get(leg)?.rtp.sent ?? 0,
    async close() {
      const last = await opened?.catch(() => undefined)
      await last?.agent.close()
      await last?.sockets.close()
    },
  }
}
