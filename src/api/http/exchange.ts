// What is known of a request while Koa carries it, for whoever answers it or counts it.

import type Koa from 'koa'
import type { Spent } from '../rights/limits.ts'

export interface State {
  requestId: string
  /** What was asked with, once it is known to be good. */
  token?: string
  /** As it came, where there was one. */
  body?: Buffer
  /** What the request cost, and what the token has left. */
  tokens?: Spent
  /** The pattern of the path that was taken. */
  route?: string
}
export type Context = Koa.ParameterizedContext<State>
