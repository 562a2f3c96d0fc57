import { channel } from 'node:diagnostics_channel'
import net from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type Connection,
  type ConnectionEvents,
  createServer,
  createStickyServer,
  type Dest,
  type Head,
  handler,
  type ProxyError,
} from '../../src/index.ts'
import { Backend, connect, listen, Peer } from '../helpers/net.ts'
import { play, sent, type Talk, talk } from '../helpers/talk.ts'
import { certificate } from '../helpers/tls.ts'
import { turn, turns } from '../helpers/turns.ts'

const { key, cert } = certificate()
const half = { allowHalfOpen: true }
const host = '127.0.0.1'

interface Hooks {
  lookup(head: Head): Dest | Promise<Dest>
  modify(head: Head): void | Promise<void>
}

interface Setup {
  setup: string
  isTls?: boolean
  /** The response head of a conversation after modify. */
  response(head: string, talk: Talk): string
  create(hooks: Hooks): net.Server
}

const untouched = (head: string) => head
const withField = (head: string, line: string) => `${head.slice(0, -2)}${line}\r\n\r\n`
const edited = (head: string, { isEdited }: Talk) => (isEdited ? withField(head, 'X-Edited: yes') : head)

const SETUPS: Setup[] = [
  { setup: 'createServer without modify', response: untouched, create: ({ lookup }) => createServer(lookup) },
  { setup: 'createServer with modify', response: edited, create: ({ lookup, modify }) => createServer(lookup, modify) },
  {
    setup: 'handler with modify',
    response: edited,
    create: (hooks) => net.createServer(half, handler(hooks)),
  },
  {
    setup: 'createStickyServer',
    // The sticky cookie has the scope of the application's cookie, or the same default scope.
    response: (head, talk) => withField(edited(head, talk), 'Set-Cookie: sticky=home; Path=/; HttpOnly'),
    create: ({ lookup, modify }) =>
      createStickyServer(async (head) => ({ ...(await lookup(head)), sticky: 'home' }), undefined, {
        modify,
        cookie: { insert: true },
      }),
  },
  {
    setup: 'handler without modify, TLS on both sides',
    isTls: true,
    response: untouched,
    create: ({ lookup }) => tls.createServer({ key, cert }, handler(lookup)),
  },
  {
    setup: 'handler with modify, TLS on both sides',
    isTls: true,
    response: edited,
    create: (hooks) => tls.createServer({ key, cert }, handler(hooks)),
  },
]

describe.each(SETUPS)('a conversation, $setup', ({ isTls = false, response, create }) => {
  test('arrives byte for byte in any chunking, and ends in the order in which its sides end', async () => {
    const backend = isTls
      ? await Backend.start((options, accept) => tls.createServer({ ...options, key, cert }, accept))
      : await Backend.start()
    const dest: Dest = { port: backend.port, host, ...(isTls && { tls: { ca: cert } }) }
    let current!: Talk
    const proxy = create({
      lookup(head) {
        if (current.isEdited) head.append('X-Edited', 'yes')
        const { lookupTurns } = current
        return lookupTurns === 0 ? dest : turns(lookupTurns).then(() => dest)
      },
      modify(head) {
        if (current.isEdited) head.append('X-Edited', 'yes')
        return current.modifyTurns === 0 ? undefined : turns(current.modifyTurns)
      },
    })
    const port = await listen(proxy)
    const watch = new Watch()
    await fc.assert(
      fc.asyncProperty(talk, async (talk) => {
        // Nothing of a failed run may affect the next one. Otherwise fast-check shrinks to an unrelated case.
        backend.reset()
        watch.reset()
        current = talk
        const client = await open(port, isTls)
        const isFirst = { client: talk.ends !== 'backend', backend: talk.ends !== 'client' }
        const playing = play(client, talk.client, isFirst.client)
        const peer = await backend.next()
        if (!talk.isEager) await peer.until('\r\n\r\n')
        await Promise.all([playing, play(peer, talk.backend, isFirst.backend)])

        const request = sent(talk.client, isFirst.client, edited(talk.client.head, talk))
        const answer = sent(talk.backend, isFirst.backend, response(talk.backend.head, talk))
        expectSame(peer.received, request)
        expectSame(client.received, answer)
        while (watch.open.size > 0) await turn()
        expect(watch.errors).toEqual([])
      }),
      // The timeouts catch a hang, so that the report names the conversation instead of the test.
      { numRuns: isTls ? 50 : 100, timeout: 10_000, interruptAfterTimeLimit: 40_000 },
    )
  })
})

/** Names the first difference. A whole body is too long to read. */
function expectSame(received: Buffer, expected: Buffer): void {
  let at = 0
  while (at < expected.length && received[at] === expected[at]) at++
  const around = (bytes: Buffer) => bytes.toString('latin1', Math.max(0, at - 30), at + 30)
  if (at < expected.length) expect([at, around(received)]).toEqual([at, around(expected)])
  expect(received.length).toBe(expected.length)
}

async function open(port: number, isTls: boolean): Promise<Peer> {
  if (!isTls) return connect(port)
  const socket = tls.connect({ port, host, ca: cert, ...half })
  const peer = new Peer(socket)
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  return peer
}

/** Tracks the open connections of one run and their errors. */
class Watch {
  readonly open = new Set<Connection>()
  errors: ProxyError[] = []
  #all = new WeakSet<Connection>()

  constructor() {
    this.#hear('open', ({ connection }) => {
      this.open.add(connection)
      this.#all.add(connection)
    })
    this.#hear('close', ({ connection }) => this.open.delete(connection))
    this.#hear('error', ({ connection, error }) => this.#all.has(connection) && this.errors.push(error))
  }

  reset(): void {
    for (const connection of this.open) connection.destroy()
    this.open.clear()
    this.errors = []
    this.#all = new WeakSet()
  }

  #hear<K extends keyof ConnectionEvents>(name: K, listener: (message: ConnectionEvents[K]) => void): void {
    const heard = (message: unknown) => listener(message as ConnectionEvents[K])
    channel(`badass:connection:${name}`).subscribe(heard)
    onTestFinished(() => void channel(`badass:connection:${name}`).unsubscribe(heard))
  }
}
