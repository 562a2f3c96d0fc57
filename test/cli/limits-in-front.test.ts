import http from 'node:http'
import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { listen } from '../helpers/net.ts'
import { hasProgram, startHaproxy, startNginx } from '../helpers/peers.ts'
import { Command } from './command.ts'

// The limits for each client, with real proxies in front of the command.

const host = '127.0.0.1'

async function startBadass(...args: readonly string[]) {
  const held: http.ServerResponse[] = []
  const backend = http.createServer((request, response) => {
    if (request.url !== '/held') return void response.end('ok')
    held.push(response)
    response.writeHead(200, { 'Content-Length': 2 }).flushHeaders()
  })
  const command = Command.start('--listen', `${host}:0`, ...args, String(await listen(backend)))
  return { port: await command.port(), held }
}

/** Asks from one of the addresses of loopback, as a client with a field of its own. */
async function ask(port: number, localAddress: string, path = '/'): Promise<number> {
  const headers = { 'X-Forwarded-For': `192.0.2.${Math.floor(Math.random() * 256)}` }
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host, localAddress, path, headers, agent: false }, (response) => {
      if (path === '/') response.resume().on('end', () => resolve(response.statusCode!))
      else resolve(response.statusCode!)
    })
    onTestFinished(() => void request.destroy())
    request.on('error', reject)
  })
}

test.skipIf(!hasProgram('nginx'))('--rate limits the clients of an nginx, which shares its connections', async () => {
  const { port } = await startBadass('--rate', '3/h', '--trust', host)
  const front = await startNginx(
    (own) => `
  upstream badass { server ${host}:${port}; keepalive 1; }
  server {
    listen ${own};
    location / {
      proxy_pass http://badass;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
`,
  )
  const statuses: [string, number][] = []
  for (const client of ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.2', '127.0.0.3']) {
    statuses.push([client, await ask(front, client)])
  }
  expect(statuses.filter(([, status]) => status === 429)).toEqual([['127.0.0.2', 429]])
  expect(statuses.filter(([, status]) => status === 200)).toHaveLength(5)
})

test.skipIf(!hasProgram('nginx'))(
  '--max-connections-per-client counts what the clients of an nginx have under way',
  async () => {
    const { port, held } = await startBadass('--max-connections-per-client', '2', '--trust', host)
    const front = await startNginx(
      (own) => `
  server {
    listen ${own};
    location / {
      proxy_pass http://${host}:${port};
      proxy_buffering off;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
`,
    )
    expect(await ask(front, '127.0.0.2', '/held')).toBe(200)
    expect(await ask(front, '127.0.0.2', '/held')).toBe(200)
    expect(await ask(front, '127.0.0.2')).toBe(429)
    expect(await ask(front, '127.0.0.3')).toBe(200)
    held[0]!.end('ok')
    while ((await ask(front, '127.0.0.2')) !== 200);
  },
)

test.skipIf(!hasProgram('haproxy')).each(['send-proxy', 'send-proxy-v2'])(
  '--max-connections-per-client counts the clients of a haproxy with %s',
  async (how) => {
    const { port } = await startBadass('--max-connections-per-client', '2', '--proxy-protocol', host)
    const front = await startHaproxy(
      (own) => `listen one
  mode tcp
  bind ${host}:${own}
  server one ${host}:${port} ${how}
`,
    )
    const silent = [1, 2].map(() => net.connect({ port: front, host, localAddress: '127.0.0.2' }))
    for (const socket of silent) onTestFinished(() => void socket.destroy())
    while ((await ask(front, '127.0.0.2')) !== 429);
    for (let i = 0; i < 4; i++) expect(await ask(front, '127.0.0.3')).toBe(200)
    for (const socket of silent) socket.destroy()
    while ((await ask(front, '127.0.0.2')) !== 200);
  },
)
