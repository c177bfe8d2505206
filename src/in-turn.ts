// One after the other, by key. The store has no unique index, so whoever checks that a name is free
// and then takes it does so in the account's turn.

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
