import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../helpers/run.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const REQUESTS = [
  'GET /a HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
]

async function read(text: string) {
  const file = join(temporaryDirectory(), 'requests')
  writeFileSync(file, text, 'latin1')
  const { code, stdout, stderr } = await run(process.execPath, ['examples/read-requests.js', file])
  return { code, stdout: stdout.toString(), stderr }
}

test('read-requests.js lists the requests of a file', async () => {
  expect(await read(REQUESTS.join(''))).toEqual({
    code: 0,
    stdout: 'GET /a with 0 bytes of body\nPOST /b with 15 bytes of body\nPOST /c with 5 bytes of body\n',
    stderr: '',
  })
})

test('read-requests.js reports the place of an error in a file', async () => {
  const { code, stdout, stderr } = await read(`${REQUESTS[0]}GET\r\n`)
  expect([code, stdout]).toEqual([1, 'GET /a with 0 bytes of body\n'])
  expect(stderr).toMatch(/^\nBAD_START_LINE: .*\n$/)
})
