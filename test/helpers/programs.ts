// Programs for tests: a script that is there for one test.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Teardown } from './http-sink.ts'

export function folder(t: Teardown): string {
  const dir = mkdtempSync(join(tmpdir(), 'callrec-program-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Path of a shell script of that name. */
export function script(t: Teardown, name: string, text: string): string {
  const path = join(folder(t), name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

/** A transcriber that says it understands English and German with sentiment, and otherwise does what the shell is told; `$file` is what it is given. */
export const transcriber = (t: Teardown, does: string, about = '{"languages":["en","de-DE"],"sentiment":true}'): string =>
  script(t, 'transcriber', `if [ "$1" = --about ]; then echo '${about}'; exit 0; fi\nfor file in "$@"; do :; done\n${does}`)

/** What it prints of a file in which somebody says hello. */
export const HELLO = `echo '{"sentences":[{"text":"Hello, World!","start_ms":120,"duration_ms":800,"sentiment":0.5}]}'`
