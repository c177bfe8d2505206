// What nobody caught, in a process of its own: the test's would end with it.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'
import { packagePath } from '../src/root.ts'

const FAILING = `
import { lastResort } from '${packagePath('build/src/last-resort.js')}'
const told = []
const room = lastResort({ log: { error: (event, { kind, reason, stack }) => told.push([event, kind, reason, typeof stack]) }, metrics: { count: (name, { kind }) => told.push([name, kind]) } })
setTimeout(() => { throw new Error('thrown') }, 0)
setTimeout(() => Promise.reject(new Error('rejected')), 1)
setTimeout(() => Promise.reject(undefined), 2)
const wait = setInterval(() => {
  if (told.length < 6) return
  clearInterval(wait)
  console.log(JSON.stringify(told))
  room.close().then(() => Promise.reject(new Error('nobody is there')))
}, 5)
`

test('what nobody caught is told and counted, and everything else goes on, until it is closed', async t => {
  const failed = await t.throwsAsync<Error & { stdout: string; stderr: string; code: number }>(
    promisify(execFile)(process.execPath, ['--input-type=module', '--eval', FAILING]),
  )
  t.deepEqual(JSON.parse(failed.stdout), [
    ['callrec_unforeseen_total', 'exception'],
    ['unforeseen_failure', 'exception', 'thrown', 'string'],
    ['callrec_unforeseen_total', 'rejection'],
    ['unforeseen_failure', 'rejection', 'rejected', 'string'],
    ['callrec_unforeseen_total', 'rejection'],
    ['unforeseen_failure', 'rejection', 'undefined', 'undefined'],
  ])
  t.regex(failed.stderr, /nobody is there/)
})
