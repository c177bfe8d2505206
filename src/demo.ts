// The first minute with callrec: an account with two people and their phones, a document that says
// "record", a call, and the file where it was to go. Every step is told in a line. Run again, it
// finds what it made before.

import { readdir, readFile } from 'node:fs/promises'
import type { Client } from './client.ts'
import { AppError } from './errors.ts'
import { packagePath } from './root.ts'

export interface Demo {
  accountId: string
  userId: string
  deviceId: string
}

interface Ports {
  client: Client
  /** The account of an earlier run, if there was one. */
  accountId: string | undefined
  /** Where recordings of the demo are PUT to. */
  receiverUrl: string
  say: (line: string) => void
  /** Milliseconds to wait for the file. */
  patience: number
}

interface Listed {
  id: string
  name?: string
  username?: string
  numbers?: string[]
}

interface Recording {
  id: string
  interaction_id: string
  state: string
  reason?: string
  name: string
  duration_ms: number
  delivery?: { state: string; last_error?: string }
}

const PEOPLE = [
  { username: 'alice', first_name: 'Alice', last_name: 'Caller', number: '2001' },
  { username: 'bob', first_name: 'Bob', last_name: 'Recorded', number: '2002' },
] as const

/** Rejects with what did not work, in words. */
export async function runDemo({ client, accountId, receiverUrl, say, patience }: Ports): Promise<Demo> {
  const account = await demoAccount(client, accountId)
  const at = `accounts/${account.id}`
  say(`account   ${account.id} – "demo" is ${account.made ? 'a new tenant' : 'there from an earlier run'}`)

  const users = await Promise.all(PEOPLE.map(person => found(client, `${at}/users`, one => one.username === person.username, userOf(person))))
  const [alice, bob] = users as [Listed, Listed]
  const devices = await Promise.all(
    PEOPLE.map((person, index) =>
      found(client, `${at}/devices`, one => one.name === `${person.username}-phone`, deviceOf(person.username, users[index]?.id ?? '')),
    ),
  )
  const [phone] = devices as [Listed, Listed]
  say(`people    Alice and Bob, each with a phone`)

  const people = { alice: alice.id, bob: bob.id, 'alice-phone': phone.id, 'bob-phone': devices[1]?.id ?? '' }
  const numbers = await callflows(client, at, people, await parts(client, at))
  say(`callflows ${numbers.join(', ')} – what each does: callflows/README.md`)

  await client.patch(`${at}/users/${bob.id}`, { record_call: { url: receiverUrl } })
  say(`PATCH     /v2/${at}/users/${bob.id} {"data":{"record_call":{"url":"${receiverUrl}"}}} – calls to and from Bob are recorded from now on`)

  const { interaction_id } = await client.put<{ interaction_id: string }>(`${at}/devices/${phone.id}/quickcall/2002`, {})
  say(`call      Alice's phone rings, she answers and calls 2002; Bob answers and they talk for five seconds`)

  const recording = await delivered(client, at, interaction_id, patience)
  say(`recorded  ${recording.id} – ${(recording.duration_ms / 1000).toFixed(1)} s, stereo: the caller on the left (440 Hz), Bob on the right (1000 Hz)`)
  return { accountId: account.id, userId: bob.id, deviceId: phone.id }
}

const userOf = ({ username, first_name, last_name }: (typeof PEOPLE)[number]): object => ({ username, password: username, first_name, last_name })

const deviceOf = (person: string, ownerId: string): object => ({
  name: `${person}-phone`,
  owner_id: ownerId,
  sip: { username: person, password: `${person}-secret` },
})

async function demoAccount(client: Client, known: string | undefined): Promise<{ id: string; made: boolean }> {
  if (known !== undefined) {
    const account = await client.get<{ id: string }>(`accounts/${known}`).catch(absent)
    if (account !== undefined) return { id: account.id, made: false }
  }
  const { id } = await client.put<{ id: string }>(`accounts/${client.accountId}`, { name: 'demo', allow_parent_audio: true })
  return { id, made: true }
}

/** The API's 404 is an answer here, not a failure. */
function absent(error: unknown): undefined {
  if (error instanceof AppError && error.data.status === 404) return undefined
  throw error
}

async function found(client: Client, path: string, isIt: (one: Listed) => boolean, otherwise: object): Promise<Listed> {
  const there = (await client.get<Listed[]>(path)).find(isIt)
  return there ?? client.put<Listed>(path, otherwise)
}

/** Documents that callflows refer to (callflows/parts), made once; their ids by their names. */
async function parts(client: Client, at: string): Promise<Record<string, string>> {
  const folder = packagePath('callflows/parts')
  const ids: Record<string, string> = {}
  for (const file of (await readdir(folder)).filter(name => name.endsWith('.json'))) {
    const resource = file.replace('.json', '')
    const documents = JSON.parse(await readFile(`${folder}/${file}`, 'utf8')) as Record<string, object>
    for (const [name, document] of Object.entries(documents)) {
      ids[name] = (await found(client, `${at}/${resource}`, one => one.name === name, document)).id
    }
  }
  return ids
}

/**
 * The documents of callflows/. Their ids are names until an account has given its own: of people, of phones, and of files that come
 * before them in the alphabet.
 */
async function callflows(client: Client, at: string, people: Readonly<Record<string, string>>, parts: Readonly<Record<string, string>>): Promise<string[]> {
  const ids = new Map(Object.entries(people))
  const folder = packagePath('callflows')
  const files = (await readdir(folder)).filter(file => file.endsWith('.json')).sort()
  const numbers: string[] = []
  for (const file of files) {
    const named = await readFile(`${folder}/${file}`, 'utf8')
    // The id of a temporal rule is the key of a child as well.
    const text = Object.entries(parts).reduce((done, [name, id]) => done.replaceAll(`"${name}"`, `"${id}"`), named)
    const document = JSON.parse(text, (key, value: unknown) => (key === 'id' && typeof value === 'string' ? (ids.get(value) ?? value) : value)) as Listed
    const number = document.numbers?.[0] ?? ''
    const { id } = await found(client, `${at}/callflows`, one => one.numbers?.includes(number) === true, document)
    ids.set(file.replace('.json', ''), id)
    numbers.push(number)
  }
  return numbers.sort()
}

async function delivered(client: Client, at: string, interaction: string, patience: number): Promise<Recording> {
  for (const until = performance.now() + patience; performance.now() < until; ) {
    const list = await client.get<Recording[]>(`${at}/recordings`)
    const mine = list.find(one => one.interaction_id === interaction)
    if (mine?.state === 'failed') throw new AppError('unspecified_fault', `the recording failed: ${mine.reason ?? ''}`)
    if (mine?.delivery?.state === 'stored') return mine
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  throw new AppError('unspecified_fault', `no recording of the call was delivered in ${patience / 1000} s`)
}

interface Left {
  url: string
  token: string
  demo: Demo
  /** The file, as the shell is to read it. */
  credentials: string
}

/** Lines that work as they stand, printed when the demo call is done. */
export function nextSteps({ url, token, demo, credentials }: Left): string {
  const at = `${url}/v2/accounts/${demo.accountId}`
  const curl = (rest: string): string => `  curl -s -H 'X-Auth-Token: ${token}' ${rest}`
  return [
    '',
    'callrec stays up until you press Ctrl-C. Things to try from another shell (the token lives for an hour):',
    '',
    "Bob's recordings:",
    curl(`${at}/users/${demo.userId}/recordings`),
    'Keep his recordings in the store from now on, instead of sending them away:',
    curl(`-X PATCH -H 'Content-Type: application/json' -d '{"data":{"record_call":{"url":null}}}' ${at}/users/${demo.userId}`),
    "Another call; Alice's phone calls Bob:",
    curl(`-X PUT ${at}/devices/${demo.deviceId}/quickcall/2002`),
    'Do not record Bob any more:',
    curl(`-X PATCH -H 'Content-Type: application/json' -d '{"data":{"record_call":false}}' ${at}/users/${demo.userId}`),
    'A callflow that records only its middle part (callflows/record-part.json):',
    curl(`-X PUT ${at}/devices/${demo.deviceId}/quickcall/3001`),
    '',
    `Keys and ids are in ${credentials}; README.md goes on from here.`,
  ].join('\n')
}
