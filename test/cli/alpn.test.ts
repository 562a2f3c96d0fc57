import { writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listen } from '../helpers/net.ts'
import { run } from '../helpers/run.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate, saveCertificate } from '../helpers/tls.ts'
import { Command } from './command.ts'
import { startBackend } from './service/support.ts'

test.each([1, 2])('gives curl the protocol that it chooses; workers: %i', async (workers) => {
  const { key, cert } = certificate()
  const files = saveCertificate({ key, cert })
  const plain = http2.createServer((request, response) => response.end(`h2c ${request.httpVersion}`))
  const secure = http2.createSecureServer({ key, cert }, (request, response) => {
    response.end(`h2 ${request.httpVersion}`)
  })
  const file = join(temporaryDirectory(), 'badass.json')
  const backends = [
    `127.0.0.1:${(await startBackend('old')).port}`,
    { host: '127.0.0.1', port: await listen(plain), protocol: 'h2' },
    { host: '127.0.0.1', port: await listen(secure), protocol: 'h2', tls: { ca: files.cert } },
  ]
  const settings = { listen: '127.0.0.1:0', tls: files, alpn: 'h2,http/1.1', workers, backends, health: 'tcp' }
  writeFileSync(file, JSON.stringify(settings))
  const command = Command.start('--config', file)
  const port = await command.port()
  const curl = async (...args: string[]): Promise<string> => {
    const common = ['-q', '-sS', '--noproxy', '*', '--max-time', '60', '--cacert', files.cert, '-w', ' %{http_version}']
    const { stdout, stderr } = await run('curl', [...common, ...args, `https://localhost:${port}/`])
    return `${stdout}${stderr}`
  }
  const seen = new Set<string>()
  for (let i = 0; i < 4 * workers; i++) {
    seen.add(await curl())
    expect(await curl('--http1.1')).toMatch(/^\{"id":"old",.* 1\.1$/)
    expect(await curl('--no-alpn')).toMatch(/^\{"id":"old",.* 1\.1$/)
  }
  expect([...seen].sort()).toEqual(['h2 2.0 2', 'h2c 2.0 2'])
  expect(command.stderr).not.toContain('is down')
})
