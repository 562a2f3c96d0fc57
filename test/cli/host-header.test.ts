import { writeFileSync } from 'node:fs'
import type http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Backend, connect, listen } from '../helpers/net.ts'
import { run } from '../helpers/run.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'
import { Command } from './command.ts'

/** An application that builds URLs from the Host that it gets. */
const app: http.RequestListener = ({ url, headers: { host, cookie, 'x-forwarded-host': outer } }, response) => {
  if (url === '/login') {
    const fields = { Location: `https://${host}/home?a#b`, 'Set-Cookie': `id=7; Domain=${host}; Path=/` }
    response.writeHead(302, fields).end()
  } else {
    response.end(JSON.stringify({ url, host, cookie, outer }))
  }
}

test.each([1, 2])('curl logs in through a backend with a name of its own; workers: %i', async (workers) => {
  const only = (name: string, done: (error: Error | null) => void) =>
    done(name === 'backend.test' ? null : new Error(`asked for ${name}`))
  const port = await listen(https.createServer({ ...certificate(), SNICallback: only }, app))
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'ca.pem'), certificate().cert)
  const file = join(directory, 'badass.json')
  const backend = { port, host: '127.0.0.1', tls: { ca: 'ca.pem' }, hostHeader: 'backend.test' }
  const settings = { listen: '127.0.0.1:0', workers, backends: [backend], health: '/healthz', forwarded: true }
  writeFileSync(file, JSON.stringify(settings))
  const command = Command.start('--config', file)
  const url = `http://127.0.0.1:${await command.port()}`
  const jar = join(directory, 'jar')
  const cookies = ['-b', jar, '-c', jar]
  const options = ['-q', '-sS', '--noproxy', '*', '-L', ...cookies, '-w', ' %{url_effective}']
  const { stdout, stderr } = await run('curl', [...options, `${url}/login`])
  expect(stderr).toBe('')
  const seen = { url: '/home?a', host: 'backend.test', cookie: 'id=7', outer: new URL(url).host }
  expect(stdout.toString()).toMatch(`${JSON.stringify(seen)} ${url}/home?a`)
  expect(command.stderr).not.toContain('down')
})

test('a route has it on the command line, and each of its requests is read', async () => {
  const backend = await Backend.start()
  const target = `127.0.0.1:${backend.port},host=api.test`
  for (const args of [[target], ['--route', `/=${target},weight=2`]]) {
    const command = Command.start('--listen', '127.0.0.1:0', ...args)
    const client = await connect(await command.port())
    client.write('GET /1 HTTP/1.1\r\nHost: www.test\r\n\r\n')
    const peer = await backend.next()
    await peer.until('GET /1 HTTP/1.1\r\nHost: api.test\r\n\r\n')
    peer.write('HTTP/1.1 302 Found\r\nLocation: http://api.test/2\r\nContent-Length: 0\r\n\r\n')
    expect(await client.until('\r\n\r\n')).toContain('Location: /2\r\n')
    client.write('GET /2 HTTP/1.1\r\nHost: www.test\r\n\r\n')
    await peer.until('GET /2 HTTP/1.1\r\nHost: api.test\r\n\r\n')
  }
})

test('HTTP/2 does not pass unread: its hosts would stay', async () => {
  const command = Command.start('--listen', '127.0.0.1:0', '--requests', 'first', '1,host=api.test')
  const client = await connect(await command.port())
  client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  expect(await client.ended()).toMatch(/^HTTP\/1.1 505 /)
})
