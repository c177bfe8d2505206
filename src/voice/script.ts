// Where the actions of a call come from: from the callflow itself, or from the application's server, asked as Vonage
// asks an answer_url.

import { AppError, reasonOf } from '../errors.ts'
import { type Address, ask, type AskPorts, jsonIn } from './ask.ts'
import { type Abilities, type NccoAction, SYNTAX_ERROR } from './ncco.ts'
import type { Fault, Fields } from './options.ts'
import { parseNcco } from './parse.ts'

export interface Script {
  ncco?: unknown
  /** Asked for the actions. */
  answer?: Address
  /** Asked when the other has none to give. */
  fallback?: Address
}

/** What is told of an NCCO that cannot be run; the reason is Vonage's, what exactly is wrong stands beside it. */
export class SyntaxFault extends AppError {
  constructor(faults: readonly Fault[]) {
    const detail = faults.slice(0, 20).map(({ path, message }) => `${path} ${message}`)
    super('validation error', `${SYNTAX_ERROR} ${detail.join('; ')}`.slice(0, 1000), { detail })
  }
}

/** Throws SyntaxFault. */
export function actionsIn(ncco: unknown, can: Abilities): NccoAction[] {
  const { actions, faults } = parseNcco(ncco, can)
  if (faults.length > 0) throw new SyntaxFault(faults)
  return actions
}

/** `about` is what the server is told of the call. The second fails only after the first did, and then tells of both. */
export async function actionsOf(
  ports: AskPorts,
  { ncco, answer, fallback }: Script,
  about: Fields,
  can: Abilities,
  signal: AbortSignal,
): Promise<NccoAction[]> {
  if (ncco !== undefined) return actionsIn(ncco, can)
  if (answer === undefined) throw new SyntaxFault([{ path: 'ncco', message: 'or answer_url is required' }])
  try {
    return await fetched(answer)
  } catch (error) {
    if (fallback === undefined || signal.aborted) throw error
    return await fetched(fallback).catch((again: unknown) => {
      throw again instanceof SyntaxFault ? again : new AppError('upload_rejected', `${reasonOf(error)}; then ${reasonOf(again)}`, {}, { cause: error })
    })
  }

  async function fetched(from: Address): Promise<NccoAction[]> {
    return actionsIn(jsonIn(await ask(ports, from, about, { signal })), can)
  }
}
