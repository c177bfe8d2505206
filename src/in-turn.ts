// Taking turns.

/** One after the other, by key: the store has no unique index, so whoever checks that a name is free and then takes it does so in turn. */
export function createTurns(): <T>(key: string, run: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return (key, run) => {
    const before = last.get(key) ?? Promise.resolve()
    const mine = before.then(run, run)
    const end = mine.then(
      () => undefined,
      () => undefined,
    )
    last.set(key, end)
    void end.then(() => {
      if (last.get(key) === end) last.delete(key)
    })
    return mine
  }
}

/** So many at a time, in the order in which they came. */
export function createLimit(width: number): <T>(run: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async run => {
    if (running === width) await new Promise<void>(resolve => waiting.push(resolve))
    else running += 1
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
