// What a recording server is told of the call it records (RFC 7865), always whole: who speaks on which stream, since when, and
// under which id callrec keeps it. Pure. The order of elements is the schema's, and the tests hold every document to it.

/** Ids are base64 of 16 bytes; the same one stays with the same thing for the life of the session. */
export interface Participant {
  id: string
  /** SIP URI. */
  aor: string
  name: string
  /** ISO 8601 in UTC. */
  since: string
  until?: string
}

export interface Stream {
  id: string
  /** As in the offer that goes with it. */
  label: string
  /** Who is heard on it; the others hear it. */
  speakers: readonly string[]
}

export interface Snapshot {
  groupId: string
  sessionId: string
  since: string
  participants: readonly Participant[]
  streams: readonly Stream[]
  /** callrec's own, or the one the callflow gave. */
  recordingId: string
  /** Nothing is sent now: nobody speaks on any stream. */
  paused: boolean
}

export const NAMESPACE = 'urn:callrec:siprec:1'
export const CONTENT_TYPE = 'application/rs-metadata+xml'

export function metadata({ groupId, sessionId, since, participants, streams, recordingId, paused }: Snapshot): string {
  const here = participants.filter(one => one.until === undefined)
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<recording xmlns="urn:ietf:params:xml:ns:recording:1">',
    '<datamode>complete</datamode>',
    `<group group_id="${groupId}"><associate-time>${since}</associate-time></group>`,
    `<session session_id="${sessionId}"><group-ref>${groupId}</group-ref><start-time>${since}</start-time>`,
    `<recordingid xmlns="${NAMESPACE}">${escaped(recordingId)}</recordingid></session>`,
    ...participants.map(person),
    ...streams.map(({ id, label }) => `<stream stream_id="${id}" session_id="${sessionId}"><label>${escaped(label)}</label></stream>`),
    `<sessionrecordingassoc session_id="${sessionId}"><associate-time>${since}</associate-time></sessionrecordingassoc>`,
    ...participants.map(one => `<participantsessionassoc participant_id="${one.id}" session_id="${sessionId}">${times(one)}</participantsessionassoc>`),
    ...here.map(one => `<participantstreamassoc participant_id="${one.id}">${paused ? '' : ways(one, streams)}${times(one)}</participantstreamassoc>`),
    '</recording>',
    '',
  ].join('\r\n')
}

const person = ({ id, aor, name }: Participant): string =>
  `<participant participant_id="${id}"><nameID aor="${escaped(aor)}">${name === '' ? '' : `<name xml:lang="en">${escaped(name)}</name>`}</nameID></participant>`

const times = ({ since, until }: Participant): string =>
  `<associate-time>${since}</associate-time>${until === undefined ? '' : `<disassociate-time>${until}</disassociate-time>`}`

/** All he says first, then all he hears: the schema wants them so. */
function ways({ id }: Participant, streams: readonly Stream[]): string {
  const says = streams.filter(({ speakers }) => speakers.includes(id)).map(one => `<send>${one.id}</send>`)
  const hears = streams.filter(({ speakers }) => !speakers.every(one => one === id)).map(one => `<recv>${one.id}</recv>`)
  return [...says, ...hears].join('')
}

/** What XML 1.0 cannot hold at all is left out. */
export const escaped = (text: string): string =>
  text
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')

/** A SIP URI for whoever has a number or a name, which may hold anything. */
export const aorOf = (user: string, host: string): string =>
  `sip:${user === '' ? 'anonymous' : encodeURIComponent(Buffer.from(user).toString()).replaceAll('%2B', '+')}@${host === '' ? 'anonymous.invalid' : host.replaceAll(/[^A-Za-z0-9.:[\]-]/g, '')}`

/** Whether a request of the server asks for the whole of it again (RFC 7866 section 8.3.4): servers write it with and without prefixes. */
export const asksForSnapshot = (body: string): boolean => /<(?:[\w.-]+:)?requestsnapshot[\s/>]/i.test(body)
