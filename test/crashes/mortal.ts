// Ports of an engine that can die between any two steps: what it has asked for and was not told of yet never comes
// back, as in a process that was killed. Its neighbours live on, and what reached them stays done.

import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../src/clock.ts'
import type { TenantClient } from '../../src/net/client.ts'
import type { Spool } from '../../src/recording/spool.ts'
import type { Store } from '../../src/store/store.ts'
import type { SwitchEvent, Switches, SwitchNode, Table } from '../../src/switch/switch.ts'

export interface Mortal {
  /** `<side> <what> #<how many before>` of each boundary that was passed, in order. */
  passed: readonly string[]
  dead(): boolean
  /** Settles when it is, and what it had sent to the store is there: a store of another process would have it by the time a next engine is. */
  died: Promise<void>
  kill(): void
  store(store: Store): Store
  switches(switches: Switches): Switches
  spool(spool: Spool): Spool
  http(http: TenantClient): TenantClient
  clock(clock: Clock): Clock
}

/** Milliseconds a store may take for what reached it last; what waits for a switch may wait for ever. */
const UNDER_WAY = 100

const never = <T>(): Promise<T> => new Promise(() => {})

type Async = (...args: never[]) => Promise<unknown>

/** `diesAt` is asked at each boundary; `onDeath` closes what the kernel would. */
export function mortal(diesAt: (boundary: string) => boolean, onDeath: () => void): Mortal {
  const passed: string[] = []
  /** Has left, and was not answered yet. */
  const sent = new Set<Promise<unknown>>()
  const timers = new Set<() => void>()
  const counts = new Map<string, number>()
  let dead = false
  let dying = (): void => {}
  const died = new Promise<void>(resolve => {
    dying = resolve
  })

  function kill(): void {
    if (dead) return
    dead = true
    for (const cancel of timers) cancel()
    void Promise.race([Promise.allSettled(sent), pause(UNDER_WAY)]).then(dying)
    onDeath()
  }

  function reach(side: 'before' | 'after', what: string): void {
    const key = `${side} ${what}`
    const count = counts.get(key) ?? 0
    counts.set(key, count + 1)
    const boundary = `${key} #${count}`
    passed.push(boundary)
    if (diesAt(boundary)) kill()
  }

  /** As a function that gives or throws it. */
  async function outcome<T>(work: Promise<T>): Promise<() => T> {
    sent.add(work)
    try {
      const value = await work
      return () => value
    } catch (error) {
      return () => {
        throw error
      }
    } finally {
      sent.delete(work)
    }
  }

  async function step<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (dead) return never()
    reach('before', what)
    if (dead) return never()
    const settled = await outcome(run())
    if (dead) return never()
    reach('after', what)
    return dead ? never() : settled()
  }

  /** Changes nothing, so there is nothing to die between. */
  async function look<T>(run: () => Promise<T>): Promise<T> {
    if (dead) return never()
    const settled = await outcome(run())
    return dead ? never() : settled()
  }

  /** The port with the named methods as steps, the other asynchronous ones as looks. */
  function wrap<Port extends object>(port: Port, steps: Readonly<Record<string, (...args: never[]) => string>>, plain: readonly string[]): Port {
    return new Proxy(port, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function' || typeof name !== 'string' || plain.includes(name)) return value
        const method = value.bind(target) as Async
        const what = steps[name]
        return (...args: never[]) => (what === undefined ? look(() => method(...args)) : step(what(...args), () => method(...args)))
      },
    })
  }

  const dbOf = (db: string): string => (/-\d{6}$/.test(db) ? 'month' : db)
  const node = (raw: SwitchNode): SwitchNode => {
    const table = wrap<Table>(raw.table, { write: () => 'hash insert', add: () => 'hash insert_ifempty', remove: () => 'hash delete_ifmatch' }, [])
    const wrapped = wrap(
      raw,
      {
        execute: (_uuid: string, app: string) => `execute ${app}`,
        setVariables: () => 'set variables',
        record: () => 'record start',
        stopRecording: () => 'record stop',
        mask: () => 'record mask',
        unmask: () => 'record unmask',
        pause: () => 'record pause',
        resume: () => 'record resume',
        hangup: () => 'hangup',
        cancelScheduledHangup: () => 'sched_del',
      },
      ['status'],
    )
    return new Proxy(wrapped, { get: (target, name) => (name === 'table' ? table : Reflect.get(target, name)), ownKeys: () => Reflect.ownKeys(raw) })
  }

  return {
    passed,
    dead: () => dead,
    died,
    kill,
    store: store =>
      wrap(
        store,
        {
          put: (db: string) => `put ${dbOf(db)}`,
          purge: (db: string) => `purge ${dbOf(db)}`,
          remove: (db: string) => `remove ${dbOf(db)}`,
          createDatabase: (db: string) => `create ${dbOf(db)}`,
          putAttachment: (db: string) => `attach ${dbOf(db)}`,
        },
        ['changes'],
      ),
    switches(switches) {
      const nodes = switches.nodes.map(node)
      return {
        ...switches,
        nodes,
        node: name => nodes.find(one => one.name === name) ?? switches.node(name),
        on: listener =>
          switches.on((event: SwitchEvent) => {
            if (dead) return
            reach('before', `event ${event.name}`)
            if (dead) return
            listener(event)
            reach('after', `event ${event.name}`)
          }),
      }
    },
    spool: spool => wrap(spool, { makeReady: () => 'mkdir', finish: () => 'read file', remove: () => 'unlink' }, ['here', 'onSwitch', 'read', 'pieces']),
    http: http => wrap(http, { request: () => 'upload' }, ['close']),
    clock: clock => ({
      ...clock,
      after(ms, run) {
        if (dead) return () => {}
        const cancel = clock.after(ms, () => {
          timers.delete(cancel)
          run()
        })
        timers.add(cancel)
        return () => {
          timers.delete(cancel)
          cancel()
        }
      },
    }),
  }
}
