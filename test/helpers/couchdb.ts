// A CouchDB for tests: COUCHDB_URL, else a private instance of the `couchdb` executable on PATH, with
// its data in a temporary folder; it dies with the process that asked for it, however that ends.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from './ports.ts'
import { program } from './real.ts'

/** On PATH. */
export const couchdbProgram = program('couchdb')

/** Undefined when there is none. */
export const couchdb: (() => Promise<{ url: string; stop: () => void }>) | undefined = findCouchdb()

function findCouchdb() {
  const given = process.env.COUCHDB_URL
  if (given) return () => Promise.resolve({ url: given, stop: () => {} })
  return couchdbProgram === undefined ? undefined : () => startCouchdb(couchdbProgram)
}

/** The folder that has `etc`: the program's own, or that of the one a wrapper on PATH executes. */
function releaseOf(executable: string): string {
  const own = join(dirname(executable), '..')
  if (existsSync(join(own, 'etc/vm.args'))) return own
  const wrapped = /^exec "?(\/[^\s"]+\/couchdb)"?/m.exec(readFileSync(executable, 'latin1'))?.[1]
  if (wrapped === undefined) throw new Error(`${executable} is neither in a CouchDB release nor executes one: no ${join(own, 'etc/vm.args')}`)
  return join(dirname(realpathSync(wrapped)), '..')
}

export async function startCouchdb(
  executable: string,
  dir = mkdtempSync(join(tmpdir(), 'callrec-couchdb-')),
  port?: number,
): Promise<{ url: string; dir: string; port: number; stop: () => Promise<void> }> {
  const [at = 0] = port === undefined ? await freePorts(1) : [port]
  const release = releaseOf(executable)
  const ini = join(dir, 'local.ini')
  writeFileSync(
    ini,
    `[couchdb]
database_dir = ${dir}/data
view_index_dir = ${dir}/data
uuid = 0123456789abcdef0123456789abcdef
single_node = true
[chttpd]
bind_address = 127.0.0.1
port = ${at}
[cluster]
n = 1
[log]
writer = file
file = ${dir}/couch.log
level = warning
[admins]
callrec = s3cret
`,
  )
  // Without a node name there is no Erlang distribution: nothing else listens, and instances do not clash.
  const args = join(dir, 'vm.args')
  writeFileSync(
    args,
    readFileSync(join(release, 'etc/vm.args'), 'utf8')
      .split('\n')
      .filter(line => !/^-(name|kernel inet_dist)/.test(line))
      .join('\n'),
  )
  const defaults = [join(release, 'etc/default.ini')].filter(file => existsSync(file))
  // The shell waits on a pipe that closes when this process is gone; then it takes the instance and its folder away.
  const child = spawn('sh', ['-c', '"$0" </dev/null >/dev/null 2>&1 & pid=$!; read -r _; kill -9 "$pid"; wait "$pid"; rm -rf "$1"', executable, dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, COUCHDB_ARGS_FILE: args, COUCHDB_INI_FILES: [...defaults, ini].join(' ') },
  })
  child.unref()
  ;(child.stdin as unknown as { unref?: () => void }).unref?.()
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const stop = (): Promise<void> => {
    // Else a process with nothing else to do would end before it.
    child.ref()
    child.stdin.end()
    return gone
  }
  const url = `http://callrec:s3cret@127.0.0.1:${at}`
  for (let tries = 0; tries < 300; tries++) {
    const up = await fetch(`http://127.0.0.1:${at}/_up`).then(
      answer => answer.ok,
      () => false,
    )
    if (up) return { url, dir, port: at, stop }
    await delay(100)
  }
  const log = existsSync(join(dir, 'couch.log')) ? readFileSync(join(dir, 'couch.log'), 'utf8').slice(-2000) : 'none'
  await stop()
  throw new Error(`couchdb did not come up in 30 s; its log: ${log}`)
}
