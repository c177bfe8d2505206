// One store for several processes: whoever forked them has it, and they ask over the channel between them.

import type { ChildProcess } from 'node:child_process'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { AppError, isErrorCode } from '../../src/errors.ts'
import type { Store } from '../../src/store/store.ts'

interface Asked {
  ask: number
  method: keyof Store
  args: unknown[]
}

interface Told {
  answered: number
  value?: unknown
  error?: { code: string; message: string; data: unknown }
}

const isAsked = (message: unknown): message is Asked => typeof message === 'object' && message !== null && 'ask' in message
const isTold = (message: unknown): message is Told => typeof message === 'object' && message !== null && 'answered' in message

/** Answers a process that was forked with `serialization: 'advanced'`; `reach` may refuse. */
export function lendStore(store: Store, to: ChildProcess, reach: () => void): void {
  to.on('message', message => {
    if (!isAsked(message)) return
    void answer(store, message, reach).then(told => to.connected && to.send(told, () => {}))
  })
}

async function answer(store: Store, { ask: answered, method, args }: Asked, reach: () => void): Promise<Told> {
  try {
    reach()
    const [db, id, rev, name, body] = args as [string, string, string, string, { bytes: Uint8Array; contentType: string }]
    if (method === 'putAttachment') {
      const { bytes, contentType } = body
      const stream = Readable.from([Buffer.from(bytes)])
      return { answered, value: await store.putAttachment(db, id, rev, name, { stream, length: bytes.length, contentType }) }
    }
    return { answered, value: await (store[method] as (...given: unknown[]) => Promise<unknown>)(...args) }
  } catch (error) {
    const { code, message, data } = error as AppError
    return { answered, error: { code, message, data } }
  }
}

/** In the process that was forked. */
export function borrowStore(): Store {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>()
  let asks = 0
  process.on('message', message => {
    if (!isTold(message)) return
    const { answered, value, error } = message
    const one = waiting.get(answered)
    waiting.delete(answered)
    if (error === undefined) one?.resolve(value)
    else one?.reject(new AppError(isErrorCode(error.code) ? error.code : 'unspecified_fault', error.message, error.data as Record<string, unknown>))
  })
  const ask = (method: string, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      asks += 1
      waiting.set(asks, { resolve, reject })
      process.send?.({ ask: asks, method, args })
    })
  return new Proxy({ kind: 'couchdb' } as Store, {
    get(target, method) {
      if (typeof method !== 'string' || method in target) return Reflect.get(target, method)
      if (method === 'close') return async () => {}
      if (method !== 'putAttachment') return (...args: unknown[]) => ask(method, args)
      return async (...args: Parameters<Store['putAttachment']>) => {
        const { stream, contentType } = args[4]
        return ask(method, [...args.slice(0, 4), { bytes: await buffer(stream), contentType }])
      }
    },
  })
}
