// The parts of modesl 1.2 (untyped, CommonJS) that connection.ts uses, as its source has them.

declare module 'modesl' {
  import type { Socket } from 'node:net'

  interface Parser {
    /** Builds an Event and emits it: replies and auth requests go back to modesl through it. */
    _parseEvent(headers: Record<string, string>, body: string): void
  }

  class Connection {
    constructor(host: string, port: number, password: string)
    /** Null after the other side's FIN. */
    socket: Socket | null
    /** There once `esl::connect` is emitted. */
    parser: Parser
    /** Callbacks of modesl's own commands that still wait for a reply. */
    cmdCallbackQueue: unknown[]
    /** Writes the command, an empty line after it, and waits for nothing. */
    send(command: string): void
    on(event: string, listener: (argument: unknown) => void): this
    removeAllListeners(): this
  }

  const modesl: { Connection: typeof Connection }
  export default modesl
}
