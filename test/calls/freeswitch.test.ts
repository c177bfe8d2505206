// Calls on a real FreeSWITCH that runs freeswitch/conf, between two SIP legs, when there is one on PATH.

import test from 'ava'
import { randomUUID } from 'node:crypto'
import { callsContract, type Telephony } from '../contract/calls.ts'
import { directoryServer, type DirectoryUser } from '../helpers/directory-server.ts'
import { eslClient } from '../helpers/esl-events.ts'
import type { Teardown } from '../helpers/http-sink.ts'
import { startFreeSwitch } from '../helpers/operator-freeswitch.ts'
import { proxy } from '../helpers/proxy.ts'
import { onPath, realRun } from '../helpers/real.ts'
import { sipPhone } from '../helpers/sip-phone.ts'
import { TONE_440 } from '../helpers/test-phones.ts'

async function open(t: Teardown): Promise<Telephony> {
  const users: DirectoryUser[] = []
  const directory = await directoryServer(t, users)
  const freeswitch = await startFreeSwitch(t, { directory })
  if (freeswitch === undefined) throw new Error('freeswitch left PATH')
  const hop = await proxy(freeswitch.esl.port)
  t.teardown(() => hop.close())
  const registrar = await sipPhone(t, freeswitch.sip)
  let esl = await eslClient(freeswitch.esl, 'BACKGROUND_JOB')
  t.teardown(() => esl.close())
  return {
    settings: {
      FREESWITCH_ESL: `fs1=:${freeswitch.esl.password}@127.0.0.1:${hop.port}`,
      RECORDING_DIR: freeswitch.recordingDir,
      UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8',
    },
    port: freeswitch.esl.port,
    password: freeswitch.esl.password,
    speed: 1,
    slack: 0.25,
    late: 0,
    soon: 1500,
    brief: 2,
    // It writes 64 KB at a time.
    unwritten: 2.3,
    spool: freeswitch.recordingDir,
    // mod_sofia decodes percent signs and takes ${ apart, and leaves the backslashes of a quoted string in (check_decode, mod_sofia.h).
    names: file => [
      { sent: 'O\'Brien \\"Bob\\"', arrives: 'O\'Brien \\"Bob\\"' },
      { sent: '%41lice %25 %0a', arrives: 'Alice % \n' },
      { sent: `\${system(touch ${file})}`, arrives: `%{system(touch ${file})}` },
      { sent: `%24%7bsystem(touch ${file})%7d`, arrives: `%{system(touch ${file})}` },
      { sent: 'ends %5c', arrives: 'ends \\' },
      { sent: 'folded\r\n name', arrives: 'folded\r\n name' },
      { sent: 'Zoë 😀', arrives: 'Zoë 😀' },
      { sent: 'a,b]c}d{e[f|g', arrives: 'a,b]c}d{e[f|g' },
    ],
    async register({ id, accountId, does, name, realm, password }) {
      users.push({ name, realm, password, accountId, deviceId: id })
      if (does === 'away') return
      const { status } = await registrar.register({ name, realm, password }, { contact: `sip:${does}@${freeswitch.loop.host}:${freeswitch.loop.port}` })
      if (status !== 200) throw new Error(`${name} is not registered: ${status}`)
    },
    async dial({ from, number, callerName }) {
      if (callerName !== undefined) {
        const call = registrar.call(number, { as: from, from: { ...from, display: callerName } })
        return { hangup: async () => call.bye() }
      }
      const leg = randomUUID()
      const tell = {
        origination_uuid: leg,
        originate_timeout: 60,
        ignore_early_media: true,
        origination_caller_id_number: from.name,
        sip_invite_domain: from.realm,
        sip_auth_username: from.name,
        sip_auth_password: from.password,
      }
      const variables = Object.entries(tell).map(([name, value]) => `${name}=${value}`)
      const call = esl.bgapi(
        `originate {${variables.join(',')}}sofia/loop/${number}@${freeswitch.sip.host}:${freeswitch.sip.port} &playback(${TONE_440})`,
        90_000,
      )
      call.catch(() => undefined)
      return { hangup: async () => void (await esl.api(`uuid_kill ${leg}`)) }
    },
    cut: () => hop.block(),
    crash: () => freeswitch.crash(),
    async restart() {
      await freeswitch.restart()
      esl = await eslClient(freeswitch.esl, 'BACKGROUND_JOB')
    },
  }
}

if (realRun('calls', { FreeSWITCH: onPath('freeswitch') })) callsContract({ name: 'FreeSWITCH', open })
else test('without a FreeSWITCH the calls are made on the embedded switch alone', t => t.pass())
