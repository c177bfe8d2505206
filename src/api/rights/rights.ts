// Who may do what: one table, and nothing is read to look into it. A token is that of a user of the
// account, of an admin of it, or of an admin of an account above it; whoever is none of these may do
// nothing there. Which fields a permitted change may touch is told by changes.ts.

import { type Account, RECORDING_RIGHTS, type RecordingRight, type Who } from './who.ts'

/** Where the user's document says nothing. */
export const USUAL_RIGHTS: Readonly<Record<Who['level'], readonly RecordingRight[]>> = { user: ['listen', 'download'], admin: RECORDING_RIGHTS }

export interface Asked {
  who: Who
  account: Account
  /** Whose the document is that the path names; only asked for where the table says `own`. */
  owner?: string | undefined
}

/** What stands in the way: a field that would have to be another, or `account` for one outside of the token's tree. */
export type Obstacle = 'account' | 'priv_level' | 'owner_id' | 'recording_rights' | 'allow_parent_audio'
type Condition = (asked: Asked) => Obstacle | undefined

const yes: Condition = () => undefined
const no: Condition = () => 'priv_level'
const own: Condition = ({ who, owner }) => (owner !== undefined && owner === who.ownerId ? undefined : 'owner_id')
const not: Condition = () => 'account'
const master: Condition = ({ account }) => (account.pvt_tree.length === 0 ? undefined : 'account')
const agreed: Condition = ({ account }) => (account.allow_parent_audio === true ? undefined : 'allow_parent_audio')
const granted =
  (...rights: readonly RecordingRight[]): Condition =>
  ({ who }) =>
    rights.every(right => who.recordingRights.includes(right)) ? undefined : 'recording_rights'
const all =
  (...conditions: readonly Condition[]): Condition =>
  asked =>
    conditions.map(condition => condition(asked)).find(obstacle => obstacle !== undefined)

/** An API key is a login with every right, so only whoever has them all may hand one out. */
const whole = granted(...RECORDING_RIGHTS)

/** Of recordings: a user only with his own, an account above only where the account agrees. */
const sound = (right: RecordingRight): Record<Standing, Condition> => ({
  user: all(own, granted(right)),
  admin: granted(right),
  above: all(agreed, granted(right)),
})

export const RIGHTS = {
  /** To read what is no secret. */
  user: { user: yes, admin: yes, above: yes },
  /** To read or change what may be one's own. */
  own: { user: own, admin: yes, above: yes },
  /** To change. */
  admin: { user: no, admin: yes, above: yes },
  /** To see what is beside an account, and to end it. */
  above: { user: no, admin: not, above: yes },
  /** To change what costs the operator. */
  operator: { user: no, admin: master, above: yes },
  /** To read the API key. Above, it would be a silent way to all the rest. */
  key: { user: no, admin: whole, above: not },
  /** To make a new one, which the account notices. */
  new_key: { user: no, admin: whole, above: whole },
  listen: sound('listen'),
  download: sound('download'),
  delete: sound('delete'),
} satisfies Record<string, Record<Standing, Condition>>

/** What a route asks for; a route without a token is `anyone`'s. */
export type Right = keyof typeof RIGHTS

export type Standing = 'user' | 'admin' | 'above'

export function standingOf({ who, account }: Asked): Standing | undefined {
  if (account._id === who.accountId) return who.level
  return who.level === 'admin' && account.pvt_tree.includes(who.accountId) ? 'above' : undefined
}

/** Undefined: he may. */
export function obstacle(right: Right, asked: Asked): Obstacle | undefined {
  const standing = standingOf(asked)
  if (standing === undefined) return asked.account.pvt_tree.includes(asked.who.accountId) ? 'priv_level' : 'account'
  return RIGHTS[right][standing](asked)
}
