// A process that writes into an embedded store until it is killed; each id goes to standard output
// when its write was acknowledged. `full` stops at the first refused write and says how it was refused.

import { Readable } from 'node:stream'
import { AppError } from '../../src/errors.ts'
import { embeddedStore } from '../../src/store/embedded.ts'

const [dir = '', mode = ''] = process.argv.slice(2)
const db = 'account/ab/cd/ef-202611'
const store = await embeddedStore({ dir })
await store.createDatabase(db, 'modb')
const round = (await store.reduce(db, 'recordings/crossbar_listing')) + 1

const text = 'x'.repeat(mode === 'full' ? 5000 : 300)

async function write(writer: number): Promise<void> {
  for (let n = 0; ; n++) {
    const _id = `${round}-${writer}-${n}`
    let rev = await store.put(db, { _id, pvt_type: 'call_recording', pvt_created: n, call_id: _id, owner_id: `u${writer}`, name: text })
    if (n % 4 === 0) {
      const bytes = Buffer.alloc(20_000 + n, writer)
      rev = await store.putAttachment(db, _id, rev, 'a.wav', {
        stream: Readable.from([bytes.subarray(0, 9), bytes.subarray(9)]),
        length: bytes.length,
        contentType: 'audio/x-wav',
      })
    }
    process.stdout.write(`${_id} ${rev}\n`)
  }
}

try {
  await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)))
} catch (error) {
  process.stdout.write(`refused ${error instanceof AppError ? error.code : String(error)}\n`)
  const all = await store.query(db, 'recordings/crossbar_listing')
  process.stdout.write(`readable ${all.length > 0}\n`)
  process.exit(0)
}
