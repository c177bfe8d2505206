// An account with two phones: number 2002 leads to a user who is recorded.

import type { Client } from '../../src/client.ts'

export interface Tenant {
  accountId: string
  userId: string
  /** Of the caller. */
  deviceId: string
}

/** Both phones are known to the switch by these names, in this realm. */
export async function recordedTenant(client: Client, realm: string, caller: string, callee: string): Promise<Tenant> {
  const { id: accountId } = await client.put<{ id: string }>(`accounts/${client.accountId}`, { name: `tenant of ${realm}`, realm })
  const at = `accounts/${accountId}`
  const phone = async (username: string, more: object): Promise<{ userId: string; deviceId: string }> => {
    const { id: userId } = await client.put<{ id: string }>(`${at}/users`, { first_name: username, last_name: 'Phone', ...more })
    const sip = { username, password: `${username}-secret` }
    const { id: deviceId } = await client.put<{ id: string }>(`${at}/devices`, { name: username, owner_id: userId, sip })
    return { userId, deviceId }
  }
  const { deviceId } = await phone(caller, {})
  const { userId } = await phone(callee, { record_call: { format: 'wav' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: userId, timeout: 20 }, children: {} } })
  return { accountId, userId, deviceId }
}
