import { describe, expect, it } from 'vitest'
import { Backend, connect } from '../helpers/net.ts'
import { OK } from '../helpers/proxy.ts'
import { startSticky } from './support.ts'

const WITH_SESSION = OK.replace('\r\n\r\n', '\r\nSet-Cookie: sid=1; Path=/app; Max-Age=60\r\n\r\n')
const DELETION = WITH_SESSION.replace('Max-Age=60', 'Max-Age=0')

/** A client whose requests, all on one connection, go to one backend. */
async function meet(cookie: object, sticky = 'home') {
  const backend = await Backend.start()
  const values: (string | undefined)[] = []
  const port = await startSticky(
    (_, value) => {
      values.push(value)
      return { port: backend.port, host: '127.0.0.1', sticky }
    },
    { requests: 'every', cookie },
  )
  const client = await connect(port)
  let peer: Awaited<ReturnType<Backend['next']>> | undefined
  /** Returns the Cookie fields that the backend got, and the Set-Cookie fields that the client got. */
  const ask = async (cookies: string, answer = OK) => {
    client.received = Buffer.alloc(0)
    client.write(`GET /app/ HTTP/1.1\r\nHost: a\r\n${cookies && `Cookie: ${cookies}\r\n`}\r\n`)
    peer ??= await backend.next()
    const seen = await peer.until('\r\n\r\n')
    peer.received = Buffer.alloc(0)
    peer.write(answer)
    const got = await client.until('\r\n\r\nok')
    return [valuesOf('cookie', seen), valuesOf('set-cookie', got)]
  }
  return { ask, values }
}

const valuesOf = (name: string, text: string) =>
  [...text.matchAll(new RegExp(`^${name}: (.*)\r$`, 'gim'))].map((m) => m[1])

describe("with requests: 'every'", () => {
  const OURS = 'sticky=home; Path=/; HttpOnly'

  it('insert sets the cookie until the client brings it, and beside each cookie of the application', async () => {
    const { ask, values } = await meet({ insert: true })
    expect(await ask('')).toEqual([[], [OURS]])
    expect(await ask('x=1')).toEqual([['x=1'], [OURS]])
    expect(await ask('sticky=home; x=1')).toEqual([['sticky=home; x=1'], []])
    expect(await ask('sticky=other')).toEqual([['sticky=other'], [OURS]])
    expect(await ask('sticky=home; sticky=other')).toEqual([['sticky=home; sticky=other'], [OURS]])
    expect(await ask('sticky=home', WITH_SESSION)).toEqual([['sticky=home'], ['sid=1; Path=/app; Max-Age=60', OURS]])
    expect(values).toEqual([undefined, undefined, 'home', 'other', 'home', 'home'])
  })

  it('a cookie that an older secret signed is set again', async () => {
    const { ask } = await meet({ insert: true, secret: 'old' })
    const [, [old]] = (await ask('')) as [string[], [string]]
    const { ask: askNew, values } = await meet({ insert: true, secret: ['new', 'old'] })
    const [, [renewed]] = (await askNew(old.split(';')[0]!)) as [string[], [string]]
    expect(renewed).not.toBe(old)
    expect((await askNew(renewed.split(';')[0]!))[1]).toEqual([])
    expect(values).toEqual(['home', 'home'])
  })

  it('without insert it goes beside each cookie of the application, and is deleted with it', async () => {
    const { ask } = await meet({})
    expect(await ask('')).toEqual([[], []])
    for (const cookies of ['', 'sticky=home']) {
      expect((await ask(cookies, WITH_SESSION))[1]).toEqual([
        'sid=1; Path=/app; Max-Age=60',
        'sticky=home; Path=/app; Max-Age=60',
      ])
    }
    expect((await ask('sticky=home', DELETION))[1]).toEqual([
      'sid=1; Path=/app; Max-Age=0',
      'sticky=home; Path=/app; Max-Age=0',
    ])
  })

  it('indirect hides the cookie from the backend in each request', async () => {
    const { ask } = await meet({ insert: true, indirect: true })
    for (let i = 0; i < 3; i++) expect(await ask('x=1; sticky=home')).toEqual([['x=1'], []])
  })
})
