// Where a call goes next: pure. A flow is a tree of nodes; an action answers with the child it wants,
// and what no child is named for goes to `_`, or ends. A branch into another callflow comes back to
// the `_` child it left behind when the other one has run out of nodes.

import type { Doc } from '../store/store.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface FlowNode {
  module: string
  data: Fields
  children: Fields
}

export type Outcome =
  /** The first of `keys` that has a child, else `_`. */
  | { go: 'next'; keys: readonly string[] }
  /** The whole flow ends, whatever branched into it; the caller is hung up with `cause`. */
  | { go: 'stop'; cause: string }
  /** On with the flow of another callflow document. */
  | { go: 'branch'; into: Doc }
  /** As a branch, but nothing comes back from it. */
  | { go: 'replace'; into: Doc }

export const next = (...keys: string[]): Outcome => ({ go: 'next', keys })
export const stop = (cause = 'NORMAL_CLEARING'): Outcome => ({ go: 'stop', cause })
export const branch = (into: Doc): Outcome => ({ go: 'branch', into })
export const replace = (into: Doc): Outcome => ({ go: 'replace', into })

/** Kazoo's limit (cf_exe.erl); two callflows that name each other come to an end here. */
export const MOST_BRANCHES = 50

interface Place {
  node: FlowNode
  /** The callflow document the node stands in, as it was when the call came to it. */
  callflow: Doc
}

export interface Position extends Place {
  /** Where to go on when this flow has run out of nodes; the last is the nearest. */
  waiting: readonly Place[]
  branches: number
}

export interface End {
  end: 'no_more_nodes' | 'stopped' | 'too_many_branches'
  cause: string
}

export const isEnd = (at: Position | End): at is End => 'end' in at

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const object = (value: unknown): Fields => (isObject(value) ? value : {})

/** Undefined where a document holds something that is no node. */
export function nodeFrom(value: unknown): FlowNode | undefined {
  if (!isObject(value) || typeof value['module'] !== 'string') return undefined
  return { module: value['module'], data: object(value['data']), children: object(value['children']) }
}

const child = (node: FlowNode, key: string): FlowNode | undefined => (Object.hasOwn(node.children, key) ? nodeFrom(node.children[key]) : undefined)

const over = (end: End['end'], cause = 'NORMAL_CLEARING'): End => ({ end, cause })

/** `before`: a callflow that runs first; the other goes on where it has run out of nodes. */
export function begin(callflow: Doc, before?: Doc): Position | End {
  const places = [callflow, ...(before === undefined ? [] : [before])].flatMap(doc => {
    const node = nodeFrom(doc['flow'])
    return node === undefined ? [] : [{ node, callflow: doc }]
  })
  return back({ waiting: places, branches: 0 })
}

function back({ waiting, branches }: Pick<Position, 'waiting' | 'branches'>): Position | End {
  const place = waiting.at(-1)
  return place === undefined ? over('no_more_nodes') : { ...place, waiting: waiting.slice(0, -1), branches }
}

export function follow(at: Position, outcome: Outcome): Position | End {
  switch (outcome.go) {
    case 'stop':
      return over('stopped', outcome.cause)
    case 'next': {
      for (const key of [...outcome.keys, '_']) {
        const node = child(at.node, key)
        if (node !== undefined) return { ...at, node }
      }
      return back(at)
    }
    case 'branch':
    case 'replace': {
      if (at.branches >= MOST_BRANCHES) return over('too_many_branches')
      const after = child(at.node, '_')
      const behind = after === undefined ? at.waiting : [...at.waiting, { node: after, callflow: at.callflow }]
      const waiting = outcome.go === 'replace' ? [] : behind
      const left: Position = { ...at, waiting, branches: at.branches + 1 }
      const node = nodeFrom(outcome.into['flow'])
      return node === undefined ? back(left) : { ...left, node, callflow: outcome.into }
    }
  }
}
