// A SIP phone that is none of ours, where there is one on PATH: baresip with a sine for a microphone, told
// what to do and heard by its ctrl_tcp module (netstrings of JSON).

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './ports.ts'
import { onPath } from './real.ts'
import { until } from './wait.ts'

export interface BaresipOptions {
  name: string
  realm: string
  password: string
  /** Where it registers, whatever the realm. */
  server: { host: string; port: number }
  /** What it says. */
  hz: number
  /** Picks up whoever calls. */
  answers?: boolean
}

/** As ctrl_tcp tells it; among types REGISTER_OK, REGISTER_FAIL, CALL_ESTABLISHED, CALL_CLOSED. */
interface PhoneEvent {
  type: string
  /** Why it failed or ended, such as `403 Forbidden`. */
  param?: string
}

export interface Baresip {
  events: readonly PhoneEvent[]
  /** The first event of one of these types after so many events. */
  event(types: readonly string[], after?: number): Promise<PhoneEvent>
  dial(number: string): void
  /** Sends whom it talks with there by a REFER (RFC 3515) and leaves. */
  transfer(number: string): void
  hangup(): void
}

/** Where its modules are differs from system to system. */
function modules(): string | undefined {
  const libraries = ['/usr/lib', '/usr/lib64', '/usr/local/lib', ...(existsSync('/usr/lib') ? readdirSync('/usr/lib') : []).map(name => `/usr/lib/${name}`)]
  return libraries.map(folder => `${folder}/baresip/modules`).find(folder => existsSync(`${folder}/ctrl_tcp.so`))
}

export const haveBaresip = (): boolean => onPath('baresip') && modules() !== undefined

export async function startBaresip(t: { teardown(run: () => unknown): void }, options: BaresipOptions): Promise<Baresip> {
  const { name, realm, password, server, hz, answers = false } = options
  const home = mkdtempSync(join(tmpdir(), 'callrec-baresip-'))
  const [sip = 0, control = 0] = await freePorts(2)
  const outbound = `"sip:${server.host}:${server.port}"`
  // It may have registered before anybody listens to it, and tells so again when it registers anew.
  writeFileSync(
    join(home, 'accounts'),
    `<sip:${name}@${realm}>;auth_pass=${password};outbound=${outbound};regint=20;audio_codecs=pcmu;answermode=${answers ? 'auto' : 'manual'}\n`,
  )
  writeFileSync(
    join(home, 'config'),
    [
      `sip_listen 127.0.0.1:${sip}`,
      'net_interface 127.0.0.1',
      `module_path ${modules() ?? ''}`,
      `ctrl_tcp_listen 127.0.0.1:${control}`,
      `audio_source ausine,${hz}`,
      'ausrc_srate 48000',
      'ausrc_channels 2',
      // It must have one, and nobody listens.
      'audio_player aubridge,nobody',
      ...['g711', 'ausine', 'aubridge', 'ctrl_tcp'].map(module => `module ${module}.so`),
      ...['account', 'menu'].map(module => `module_app ${module}.so`),
      '',
    ].join('\n'),
  )
  const child = spawn('baresip', ['-f', home], { stdio: 'ignore' })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const events: PhoneEvent[] = []
  const socket = await controlOf(control)
  socket.on('error', () => undefined)
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
    for (let one = netstring(received); one !== undefined; one = netstring(received)) {
      received = one.rest
      const message = JSON.parse(one.text) as PhoneEvent & { event?: boolean }
      if (message.event === true) events.push(message)
    }
  })
  t.teardown(() => {
    process.off('exit', kill)
    socket.destroy()
    kill()
    rmSync(home, { recursive: true, force: true })
  })

  function tell(command: string, params = ''): void {
    const text = JSON.stringify({ command, params })
    socket.write(`${Buffer.byteLength(text)}:${text},`)
  }

  return {
    events,
    event: (types, after = 0) => until(`${types.join(' or ')} of ${name}`, () => events.slice(after).find(({ type }) => types.includes(type))),
    dial: number => tell('dial', `sip:${number}@${realm}`),
    transfer: number => tell('transfer', `sip:${number}@${realm}`),
    hangup: () => tell('hangup'),
  }
}

/** It listens a moment after its start. */
const controlOf = (port: number): Promise<Socket> =>
  until(
    'a baresip that can be told',
    () =>
      new Promise<Socket | undefined>(resolve => {
        const socket = connect(port, '127.0.0.1')
        socket.once('connect', () => resolve(socket))
        socket.once('error', () => resolve(undefined))
      }),
  )

function netstring(text: string): { text: string; rest: string } | undefined {
  const [head = '', length = ''] = /^(\d+):/.exec(text) ?? []
  const end = head.length + Number(length)
  return length === '' || text.length <= end ? undefined : { text: text.slice(head.length, end), rest: text.slice(end + 1) }
}
