import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readArguments } from '../../src/cli/config/arguments.ts'
import type { Config, Target } from '../../src/cli/config/config.ts'
import { Service } from '../../src/cli/service/service.ts'
import { Authority } from '../helpers/authority.ts'
import { NameServer } from '../helpers/dns.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { certificate } from '../helpers/tls.ts'

// Runs every command of examples/commands in this process, with test backends.

const examples = join(import.meta.dirname, '..', '..', 'examples')
const scripts = readdirSync(join(examples, 'commands')).map((name) =>
  readFileSync(join(examples, 'commands', name), 'utf8'),
)
const commands = scripts.flatMap((text) => [...text.matchAll(/^badass (.*)$/gm)].map(([, line]) => line!))

const clients = new Authority('clients')
const client = clients.issue('client')

/** The files that the commands name, in a new directory. */
function files(): string {
  const directory = temporaryDirectory()
  const { cert, key } = certificate()
  const json = readFileSync(join(examples, 'config', 'badass.json'))
  const contents = { 'a.pem': cert, 'a.key': key, 'ca.pem': clients.cert, secrets: 'change me\n', 'badass.json': json }
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(directory, name), text)
  return directory
}

/** The same backend at a port or path of this test. */
function moved(target: Target, port: number, path: string): Target {
  if ('path' in target) return { ...target, path }
  if ('srv' in target) return target
  return 'dns' in target
    ? { ...target, port }
    : { ...target, port, host: '127.0.0.1', id: `${target.host}:${target.port}` }
}

async function start(line: string): Promise<{ service: Service; config: Config }> {
  const directory = files()
  const places = line
    .split(' ')
    .map((word) => (/^(a\.pem|a\.key|ca\.pem|secrets|badass\.json)$/.test(word) ? join(directory, word) : word))
  const request = readArguments(places)
  if (request.kind !== 'run') throw new Error(`does not run: ${line}`)
  const config = await request.load()

  const server = http.createServer((request, response) => response.end(JSON.stringify(request.headers)))
  const path = join(directory, 'app.sock')
  const port = await listen(server)
  await listen(
    http.createServer((...both) => server.emit('request', ...both)),
    { path },
  )
  const pools = config.routing?.pools.map((pool) => ({
    ...pool,
    backends: pool.backends.map((target) => moved(target, port, path)),
  }))
  const names = await NameServer.start()
  names.set('app.internal', { A: ['127.0.0.1'] })

  const service = await Service.start(
    {
      ...config,
      // The last one speaks TLS where the others redirect to it.
      listen: config.listen.slice(-1).map(({ tls = false }) => ({ port: 0, host: '127.0.0.1', tls })),
      backends: config.backends.map((target) => moved(target, port, path)),
      ...(config.routing && pools && { routing: { ...config.routing, pools } }),
      dns: { servers: [names.address] },
      ...(config.admin && { admin: { ...config.admin, listen: { port: 0, host: '127.0.0.1' } } }),
    },
    { log: () => undefined, say: () => undefined },
  )
  onTestFinished(() => service.stop())
  return { service, config }
}

test('examples/commands has commands', () => {
  expect(commands.length).toBeGreaterThan(4)
})

test.each(commands)('badass %s', async (line) => {
  const { service, config } = await start(line)
  const url = new URL(service.addresses[0]!)
  const { get } = url.protocol === 'https:' ? await import('node:https') : http
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    get(url, { agent: false, rejectUnauthorized: false, ...client } as object, resolve).on('error', reject)
  })
  const headers = JSON.parse(Buffer.concat(await response.toArray()).toString()) as http.IncomingHttpHeaders
  expect(response.statusCode).toBe(200)
  expect(response.headers['set-cookie']?.length).toBe(config.sticky ? 1 : undefined)
  expect(headers['x-forwarded-for']).toBe(config.forwarded ? '127.0.0.1' : undefined)
  if (!config.admin) return
  expect(await (await fetch(new URL('/healthz', service.adminUrl))).text()).toBe('ok\n')
})
