import test from 'ava'
import { IN_FLIGHT, type InFlight, type Recording } from '../../src/recording/document.ts'
import { Papers } from '../../src/recording/papers.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import { manualClock } from '../helpers/clock.ts'

test('what changes while the documents are being written is in what is written next', async t => {
  const id = `202605-${'a'.repeat(32)}`
  const written: Doc[] = []
  const held: (() => void)[] = []
  const store = {
    async put(db: string, doc: Doc) {
      written.push({ ...doc, db })
      await new Promise<void>(resolve => held.push(resolve))
      return `${written.length}-0`
    },
  } as Partial<Store> as Store
  const papers = new Papers(store, manualClock(), { _id: id, account_id: 'b'.repeat(32), origins: [] } as Doc as InFlight, { _id: id } as Doc as Recording)

  const first = papers.save()
  papers.warn('its file stopped growing')
  papers.askedBy([{ origin: 'callflow : Main', by: 'action', at: 1 }])
  for (const release of held.splice(0)) release()
  await first
  const second = papers.save()
  for (const release of held.splice(0)) release()
  await second

  const [inFlight, recording] = [true, false].map(mine => written.slice(2).find(({ db }) => (db === IN_FLIGHT) === mine))
  t.like(recording, { warnings: ['its file stopped growing'], origins: ['callflow : Main'] })
  t.like(inFlight, { origins: [{ origin: 'callflow : Main' }] })
  t.true(
    [recording, inFlight].every(doc => typeof doc?._rev === 'string'),
    'each goes on from the revision it was given',
  )
})

test('a recording that comes to nothing has no transcript either, and says why', t => {
  const transcription = { state: 'due', language: 'en-US', sentiment: false } as const
  const of = (state: 'failed' | 'discarded' | 'stopped', reason?: string): unknown => {
    const papers = new Papers({} as Store, manualClock(), { _id: 'x' } as Doc as InFlight, { _id: 'x', transcription } as Doc as Recording)
    papers.become(state, reason)
    return papers.recording.transcription
  }
  t.deepEqual(of('stopped'), transcription)
  t.deepEqual(of('discarded', 'too_short'), { ...transcription, state: 'failed', reason: 'there is no file: too_short' })
  t.deepEqual(of('failed'), { ...transcription, state: 'failed', reason: 'there is no file: failed' })
})
