// A whole file on its way to a client, compared with its hash. The last piece is held back until all of it was
// seen: whoever got as many bytes as were promised, got the right ones.

import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { AppError } from '../../errors.ts'

/** `sha256` in hex. Ends with `datastore_fault`, before its last piece, where the bytes have another. */
export function checkedAudio(body: Readable, sha256: string, damaged: (found: string) => void): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    const hash = createHash('sha256')
    let held: Buffer | undefined
    try {
      for await (const piece of body as AsyncIterable<Buffer>) {
        hash.update(piece)
        if (held !== undefined) yield held
        held = piece
      }
      const found = hash.digest('hex')
      if (found !== sha256) {
        damaged(found)
        throw new AppError('datastore_fault', 'the file is not what was stored', { sha256, found })
      }
      if (held !== undefined) yield held
    } finally {
      body.destroy()
    }
  }
  return Readable.from(pieces(), { objectMode: false })
}
