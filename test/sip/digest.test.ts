import test from 'ava'
import { answerChallenge } from '../../src/sip/digest.ts'
import type { Response } from '../../src/sip/message.ts'

const challenge = (status: number, ...values: string[]): Response => ({
  status,
  reason: '',
  headers: values.map(value => [status === 407 ? 'Proxy-Authenticate' : 'WWW-Authenticate', value] as const),
  body: Buffer.alloc(0),
})
// RFC 7616 section 3.9.1, with SIP's own place for the method and URI.
const EXAMPLE =
  'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
const ask = { method: 'GET', uri: '/dir/index.html', body: Buffer.alloc(0) }
const CREDENTIALS = { username: 'Mufasa', password: 'Circle of Life' }
const CNONCE = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'

test('the example of RFC 7616 comes out as it stands there, for both of its hashes', t => {
  const [, md5 = ''] = answerChallenge(challenge(401, `Digest algorithm=MD5, ${EXAMPLE}`), ask, CREDENTIALS, CNONCE) ?? []
  t.regex(md5, /response="8ca523f5e9506fed4657c9700eebdbec"/)
  const [, sha = ''] = answerChallenge(challenge(401, `Digest algorithm=SHA-256, ${EXAMPLE}`), ask, CREDENTIALS, CNONCE) ?? []
  t.regex(sha, /response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"/)
})

test('without qop the old answer is given, to a proxy in the proxy’s header', t => {
  const answer = answerChallenge(challenge(407, 'Digest realm="r", nonce="n"'), ask, CREDENTIALS, CNONCE)
  t.is(answer?.[0], 'Proxy-Authorization')
  t.notRegex(answer?.[1] ?? '', /qop/)
})

test('the first challenge that can be answered is; what cannot be answered is not', t => {
  const [, answer = ''] =
    answerChallenge(challenge(401, 'Digest realm="r", nonce="n", algorithm=XXX', 'Digest realm="s", nonce="n"'), ask, CREDENTIALS, CNONCE) ?? []
  t.regex(answer, /realm="s"/)
  t.is(answerChallenge(challenge(401, 'Basic realm="r"'), ask, CREDENTIALS, CNONCE), undefined)
  t.is(answerChallenge(challenge(401, 'Digest realm="r", nonce="n", qop="auth-int"'), ask, CREDENTIALS, CNONCE), undefined)
})

test('a quote in a name cannot leave its place', t => {
  const [, answer = ''] = answerChallenge(challenge(401, 'Digest realm="r", nonce="n"'), ask, { username: 'a", evil="', password: 'p' }, CNONCE) ?? []
  t.regex(answer, /username="a\\", evil=\\""/)
})

test('a hash that is only the name of something else is none, and a name that is long is read once', t => {
  for (const algorithm of ['constructor', '__proto__', 'toString'])
    t.is(answerChallenge(challenge(401, `Digest realm="r", nonce="n", algorithm=${algorithm}`), ask, CREDENTIALS, CNONCE), undefined)
  t.is(answerChallenge(challenge(401, `Digest ${'a'.repeat(1 << 20)}`), ask, CREDENTIALS, CNONCE), undefined)
})
