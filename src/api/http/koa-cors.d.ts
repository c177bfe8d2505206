// The part of @koa/cors that cors.ts uses; the package brings no types.

declare module '@koa/cors' {
  import type { Middleware } from 'koa'
  export default function cors(options: {
    origin: string
    allowMethods: readonly string[]
    allowHeaders: readonly string[]
    exposeHeaders: string[]
    /** Seconds. */
    maxAge: number
    keepHeadersOnError: boolean
  }): Middleware
}
