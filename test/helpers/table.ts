// A switch's own table (mod_hash) without a switch; several engines may be given the same.

import type { Table } from '../../src/switch/switch.ts'

export function aTable(values = new Map<string, string>()): Table {
  return {
    read: async key => values.get(key),
    write: async (key, value) => void values.set(key, value),
    async add(key, value) {
      if (values.has(key)) return false
      values.set(key, value)
      return true
    },
    remove: async (key, value) => values.get(key) === value && values.delete(key),
  }
}
