import http from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { type CookieOptions, createBalancer, createStickyServer } from '../../src/index.ts'
import { CookieAgent } from '../helpers/cookie-agent.ts'
import { send } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'

/** An application that sets these cookies only at its login page. Each answer names the process. */
async function startApplication(id: string, cookies: string[]): Promise<number> {
  const server = http.createServer((request, response) => {
    if (request.url === '/login') response.setHeader('Set-Cookie', cookies)
    // Each request uses a new connection and is balanced anew.
    response.setHeader('Connection', 'close').end(id)
  })
  return await listen(server)
}

async function startProxy(cookie: CookieOptions, cookies: string[]): Promise<number> {
  const ports = await Promise.all(['a', 'b'].map((id) => startApplication(id, cookies)))
  const balancer = createBalancer({ backends: ports.map((port) => ({ port })) })
  return await listen(createStickyServer(balancer.lookup, balancer.errback, { cookie }))
}

const CSRF = 'csrf=1; Path=/login; Max-Age=60'
const SESSION = 'sid=1; Path=/; HttpOnly'

test.each<[what: string, cookie: CookieOptions, cookies: string[]]>([
  ['`insert`, whatever the scope of a cookie of the application', { insert: true, indirect: true }, [CSRF]],
  ['`beside`, whatever cookies stand around that one', { beside: 'sid' }, ['theme=1; Path=/', CSRF, SESSION]],
  ['neither, where one of the cookies is for the whole site', {}, [CSRF, SESSION]],
])('all clients come back to their home from every page, with %s', async (_, cookie, cookies) => {
  const port = await startProxy(cookie, cookies)
  for (let client = 0; client < 8; client++) {
    const agent = new CookieAgent()
    const ask = async (path: string) => {
      const { body } = await send(http.request({ port, host: '127.0.0.1', path, agent }))
      return body.toString()
    }
    const home = await ask('/login')
    expect([await ask('/'), await ask('/account'), await ask('/login')]).toEqual([home, home, home])
  }
})

test('with `indirect` the backend sees the cookie from the second request of a connection on', async () => {
  const cookies: (string | undefined)[] = []
  const server = http.createServer((request, response) => {
    cookies.push(request.headers.cookie)
    response.end()
  })
  const backend = { port: await listen(server), host: '127.0.0.1', sticky: 'home' }
  const port = await listen(createStickyServer(() => backend, undefined, { cookie: { insert: true, indirect: true } }))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const headers = { Cookie: 'a=1; sticky=home' }
  for (const path of ['/1', '/2']) await send(http.request({ port, host: '127.0.0.1', path, headers, agent }))
  expect(cookies).toEqual(['a=1', 'a=1; sticky=home'])
})
