// The views of couchdb/views. A map function is taken as text, because that is what CouchDB gets,
// and the embedded store runs the same text in a context of its own that has `emit` and nothing else.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import vm from 'node:vm'
import { packagePath } from '../root.ts'
import type { Classification, Key } from './store.ts'

export type Reduce = '_count' | '_sum'

export interface View {
  map: string
  reduce?: Reduce
}

export interface Design {
  name: string
  classifications: readonly Classification[]
  views: Readonly<Record<string, View>>
}

interface DesignFile {
  default: { classifications: Classification[]; views: Record<string, { map: (doc: object) => void; reduce?: Reduce }> }
}

/** Every `<design>.js` of a folder; the package's own when it is not named. */
export async function loadDesigns(folder = packagePath('couchdb/views')): Promise<Design[]> {
  const files = (await readdir(folder)).filter(file => file.endsWith('.js')).sort()
  return Promise.all(
    files.map(async file => {
      const { default: design } = (await import(pathToFileURL(join(folder, file)).href)) as DesignFile
      const views = Object.entries(design.views).map(([name, { map, reduce }]) => [name, { map: map.toString(), ...(reduce ? { reduce } : {}) }] as const)
      return { name: file.slice(0, -'.js'.length), classifications: design.classifications, views: Object.fromEntries(views) }
    }),
  )
}

export const designsFor = (designs: readonly Design[], classification: Classification): Design[] =>
  designs.filter(design => design.classifications.includes(classification))

export interface Emitted {
  key: Key
  value: unknown
}

/** What a map function emits for a document. As in CouchDB, a document it throws at has no rows. */
export type MapFunction = (doc: object) => Emitted[]

export function compileMap(text: string): MapFunction {
  let rows: unknown[][] = []
  const emit = (key: unknown, value: unknown): void => void rows.push([key ?? null, value ?? null])
  const map = vm.runInContext(`(${text})`, vm.createContext({ emit })) as (doc: object) => void
  return doc => {
    rows = []
    try {
      map(doc)
    } catch {
      return []
    }
    if (rows.length === 0) return []
    // Through JSON, as it would go to CouchDB: undefined leaves objects, and nothing of the other context stays.
    return (JSON.parse(JSON.stringify(rows)) as [Key, unknown][]).map(([key, value]) => ({ key, value }))
  }
}
