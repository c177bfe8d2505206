// The token itself: what it stands for, and its end.

import { type Sessions, told } from '../rights/auth.ts'
import type { Route } from '../http/route.ts'
import { TOKENS } from '../rights/tokens.ts'
import type { Room } from '../http/room.ts'

export function tokenRoutes({ store, clock, sessions }: Pick<Room, 'store' | 'clock'> & { sessions: Sessions }): Route[] {
  const path = '/v2/token_auth'
  return [
    {
      method: 'GET',
      path,
      access: 'user',
      run: async ({ who, account }) => {
        const token = await store.get<{ _id: string; method: string; expires_at: number }>(TOKENS, who.token)
        return {
          data: {
            ...told(account),
            ...(who.ownerId === undefined ? {} : { owner_id: who.ownerId }),
            priv_level: who.level,
            recording_rights: who.recordingRights,
            ...(token === undefined ? {} : { method: token.method, expires_in: Math.max(0, Math.floor((token.expires_at - clock.now()) / 1000)) }),
          },
        }
      },
    },
    {
      method: 'DELETE',
      path,
      access: 'user',
      run: async ({ who }) => {
        await store.purge(TOKENS, who.token)
        sessions.forget(who)
        return { data: {}, token: null }
      },
    },
  ]
}
