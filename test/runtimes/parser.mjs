import assert from 'node:assert/strict'
import { HeadScanner, parseHead } from '../../dist/parser/index.js'
import { check } from './checks.mjs'

const HEAD = 'POST /a?b HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n'

await check('parser: a head is read, changed and written', () => {
  const head = parseHead(Buffer.from(HEAD), 'request')
  assert.equal(head.target, '/a?b')
  head.headers['X-A'] = ['2', '3']
  delete head.headers['Content-Length']
  const expected = 'POST /a?b HTTP/1.1\r\nHost: example.com\r\nX-A: 2\r\nX-A: 3\r\n\r\n'
  assert.equal(head.bytes().toString('latin1'), expected)
})

await check('parser: a head is found wherever it is cut', () => {
  const bytes = Buffer.from(`${HEAD}hello`)
  for (let cut = 1; cut < bytes.length; cut++) {
    const scanner = new HeadScanner('request')
    const isIn = scanner.push(bytes.subarray(0, cut)) === 'head' || scanner.push(bytes.subarray(cut)) === 'head'
    assert(isIn, `cut at ${cut}`)
    assert.equal(scanner.head.bytes().toString('latin1'), HEAD)
  }
})

await check('parser: a bad head is refused', () => {
  assert.throws(() => parseHead(Buffer.from('GET / HTTP/1.1\r\nHost : a\r\n\r\n'), 'request'), {
    code: 'SPACE_BEFORE_COLON',
  })
})
