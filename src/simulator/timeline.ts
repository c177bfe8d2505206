// Call time of the embedded switch, and exact: what was due at second 5 happens at second 5 of the audio, however late
// the machine gets round to it. So a five second call is 40000 samples at any speed and under any load.

import type { Clock } from '../clock.ts'

export interface Timeline {
  /** Milliseconds of call time; while a due task runs, the time it was due at. */
  now(): number
  /** The answer cancels it. */
  at(time: number, run: () => void): () => void
  after(ms: number, run: () => void): () => void
  /** When FreeSWITCH's scheduler would fire: it counts whole seconds of the clock, so up to a second early. */
  wholeSeconds(seconds: number): number
  /** Runs what is due. */
  catchUp(): void
  /** Runs what comes from outside, after all that is due before it; time stands still for it, however long the machine takes. */
  atOnce<T>(run: () => T): T
  close(): void
}

interface Task {
  time: number
  order: number
  run: (() => void) | undefined
}

/** A wait of (due − now) added to now may miss due by a hair, and must not be waited for again. */
const ROUNDING = 1e-6

const before = (a: Task, b: Task): boolean => a.time < b.time || (a.time === b.time && a.order < b.order)

export function createTimeline(clock: Clock): Timeline {
  const heap: Task[] = []
  let order = 0
  /** The due time of the task that runs now. */
  let current: number | undefined
  let latest = clock.elapsed()
  let wake: { time: number; cancel: () => void } | undefined
  let closed = false

  const now = (): number => {
    if (current === undefined) latest = Math.max(latest, clock.elapsed())
    return current ?? latest
  }

  const due = (): Task | undefined => (!closed && heap[0] && heap[0].time <= clock.elapsed() + ROUNDING ? pop(heap) : undefined)

  function catchUp(): void {
    if (current !== undefined) return
    for (let task = due(); task; task = due()) {
      if (!task.run) continue
      latest = current = Math.max(latest, task.time)
      try {
        task.run()
      } finally {
        current = undefined
      }
    }
    arm()
  }

  function atOnce<T>(run: () => T): T {
    catchUp()
    if (current !== undefined) return run()
    current = now()
    try {
      return run()
    } finally {
      current = undefined
      arm()
    }
  }

  function arm(): void {
    while (heap[0] && !heap[0].run) pop(heap)
    const next = heap[0]?.time
    if (closed || next === undefined || (wake && wake.time <= next)) return
    wake?.cancel()
    wake = {
      time: next,
      cancel: clock.after(next - clock.elapsed(), () => {
        wake = undefined
        catchUp()
      }),
    }
  }

  function at(time: number, run: () => void): () => void {
    const task: Task = { time, order: order++, run }
    push(heap, task)
    if (current === undefined) arm()
    return () => {
      task.run = undefined
    }
  }

  return {
    now,
    at,
    after: (ms, run) => at(now() + Math.max(0, ms), run),
    wholeSeconds: seconds => (Math.floor(now() / 1000) + seconds) * 1000,
    catchUp,
    atOnce,
    close() {
      closed = true
      wake?.cancel()
      heap.length = 0
    },
  }
}

function push(heap: Task[], task: Task): void {
  let i = heap.length
  heap.push(task)
  while (i > 0) {
    const up = (i - 1) >> 1
    const parent = heap[up]
    if (!parent || before(parent, task)) break
    heap[i] = parent
    i = up
  }
  heap[i] = task
}

function pop(heap: Task[]): Task | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (!top || !last || heap.length === 0) return top
  let i = 0
  for (;;) {
    const [left, right] = [heap[2 * i + 1], heap[2 * i + 2]]
    const child = right && left && before(right, left) ? right : left
    if (!child || before(last, child)) break
    heap[i] = child
    i = child === left ? 2 * i + 1 : 2 * i + 2
  }
  heap[i] = last
  return top
}
