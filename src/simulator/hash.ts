// mod_hash's table: `insert_ifempty` and `delete_ifmatch` are what engines fence a switch with (DESIGN §2). Pure but for the table.

import { splitList } from './words.ts'

const USAGE = '-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n'
const NOT_FOUND = '-ERR Not found\n'

export function hashCommand(table: Map<string, string>, args: string): string {
  const [verb = '', realm, name, value] = splitList(args, '/', 4)
  if (realm === undefined || name === undefined) return USAGE
  const key = `${realm}_${name}`
  const old = table.get(key)
  const remove = (): string => {
    table.delete(key)
    return '+OK\n'
  }
  const insert = (): string => {
    if (value === undefined) return USAGE
    table.set(key, value)
    return '+OK\n'
  }
  switch (verb.toLowerCase()) {
    case 'insert':
      return insert()
    case 'insert_ifempty':
      return old === undefined || value === undefined ? insert() : '-ERR key already exists\n'
    case 'select':
      return old ?? ''
    case 'delete':
      return old === undefined ? NOT_FOUND : remove()
    case 'delete_ifmatch':
      if (value === undefined) return USAGE
      return old === undefined ? NOT_FOUND : old === value ? remove() : "-ERR Doesn't match\n"
    default:
      return USAGE
  }
}
