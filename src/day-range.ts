// What `callrec verify` and `callrec retry` do with every recording of some days: over the API like everybody
// else, day by day and page by page.

import type { Client } from './client.ts'

export interface Range {
  /** `YYYY-MM-DD`, UTC; both included. */
  from: string
  to: string
  /** Undefined: the token's own and all below it. */
  account?: string
}

interface Recording {
  id: string
  name: string
}

interface Verdict {
  audio: string
  at?: string
  sha256?: string
  found?: string
  trail: string
  broken_at?: number
}

const DAY = 86_400_000

export function* daysOf({ from, to }: Pick<Range, 'from' | 'to'>): Generator<string> {
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY) yield new Date(at).toISOString().slice(0, 10)
}

async function* each(client: Client, range: Range, list: string): AsyncGenerator<{ path: string; recording: Recording }> {
  const below = range.account === undefined ? await client.get<{ id: string }[]>(`accounts/${client.accountId}/descendants?paginate=false`) : []
  for (const account of [range.account ?? client.accountId, ...below.map(({ id }) => id)]) {
    for (const day of daysOf(range)) {
      const recordings = client.list<Recording>(`accounts/${account}/recordings/reconciliation?day=${day}&list=${list}`)
      for await (const recording of recordings) yield { path: `accounts/${account}/recordings/${recording.id}`, recording }
    }
  }
}

/** Says each recording that is not what it was; answers how many these are. */
export async function verify(client: Client, range: Range, say: (line: string) => void): Promise<number> {
  const counts: Record<string, number> = {}
  let wrong = 0
  for await (const { path, recording } of each(client, range, 'recorded')) {
    const { audio, at, sha256, found, trail, broken_at } = await client.get<Verdict>(`${path}/integrity`)
    counts[audio] = (counts[audio] ?? 0) + 1
    if (audio !== 'damaged' && audio !== 'missing' && trail === 'intact') continue
    wrong++
    const sound = audio === 'damaged' ? `sha256 is ${found}, was ${sha256}, in ${at}` : audio === 'missing' ? `not in ${at}` : ''
    const chain = trail === 'intact' ? '' : `its audit trail is broken at entry ${broken_at}`
    say(`${recording.id}  ${audio}  ${[sound, chain].filter(part => part !== '').join('; ')}`)
  }
  const sums = Object.entries(counts).map(([audio, count]) => `${count} ${audio}`)
  say(`${range.from} to ${range.to}: ${sums.length === 0 ? 'no recordings' : sums.join(', ')}`)
  return wrong
}

/** Makes every delivery that was given up due again; answers how many. */
export async function retry(client: Client, range: Range, say: (line: string) => void): Promise<number> {
  let tried = 0
  for await (const { path, recording } of each(client, range, 'undelivered')) {
    const { delivery } = await client.put<{ delivery: { destination: string } }>(`${path}/delivery`, {})
    say(`${recording.id}  due again to ${delivery.destination}`)
    tried++
  }
  say(`${range.from} to ${range.to}: ${tried} due again`)
  return tried
}
