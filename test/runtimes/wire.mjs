import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { onceOver } from './checks.mjs'

export const host = '127.0.0.1'
export const SIZE = 100_000_000

/** Sent over and over. Its length divides no buffer's, so lost, repeated and swapped bytes change the checksum. */
const BLOCK = randomBytes((1 << 20) - 17)

/** The SHA-256 of the first `size` bytes that `send` sends. */
export function checksum(size) {
  const hash = createHash('sha256')
  for (let sent = 0; sent < size; sent += BLOCK.length) hash.update(BLOCK.subarray(0, size - sent))
  return hash.digest('hex')
}

/** Sends `size` bytes, no faster than they are taken. */
export async function send(socket, size) {
  for (let sent = 0; sent < size; sent += BLOCK.length) {
    if (!socket.write(BLOCK.subarray(0, size - sent))) await once(socket, 'drain')
  }
}

/** Listens on a free port of loopback until the check is over. */
export async function listen(server, on = { port: 0, host }) {
  const sockets = new Set()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(on)
  await once(server, 'listening')
  onceOver(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return server.address().port
}

/** One end of a connection that reads heads as text, and bodies into a checksum. */
export class Peer {
  #pieces = []
  #wake = () => undefined
  #isOver = false

  constructor(socket) {
    this.socket = socket
    socket.on('data', (piece) => {
      this.#pieces.push(piece)
      // The rest stays in the kernel until it is asked for.
      socket.pause()
      this.#wake()
    })
    for (const event of ['end', 'error', 'close']) {
      socket.on(event, () => {
        this.#isOver = true
        this.#wake()
      })
    }
  }

  /** The next piece; undefined after the end. */
  async #next() {
    while (this.#pieces.length === 0) {
      if (this.#isOver) return undefined
      const woken = new Promise((resolve) => (this.#wake = resolve))
      this.socket.resume()
      await woken
    }
    return this.#pieces.shift()
  }

  /** Reads a head, and keeps what came behind it; undefined where the end comes first. */
  async head() {
    let bytes = Buffer.alloc(0)
    for (;;) {
      const at = bytes.indexOf('\r\n\r\n')
      if (at >= 0) {
        if (at + 4 < bytes.length) this.#pieces.unshift(bytes.subarray(at + 4))
        return bytes.toString('latin1', 0, at + 4)
      }
      const piece = await this.#next()
      if (!piece && bytes.length === 0) return undefined
      assert(piece, `ended within a head: ${bytes}`)
      bytes = Buffer.concat([bytes, piece])
    }
  }

  /** Reads `size` bytes, and compares their checksum. `isSlow`: stops reading now and then. */
  async expectBody(size, isSlow = false) {
    const hash = createHash('sha256')
    let left = size
    for (let count = 0; left > 0; count++) {
      const piece = await this.#next()
      assert(piece, `ended ${left} bytes before the end of a body`)
      hash.update(piece.subarray(0, left))
      if (piece.length > left) this.#pieces.unshift(piece.subarray(left))
      left -= Math.min(left, piece.length)
      if (isSlow && count % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    assert.equal(hash.digest('hex'), checksum(size), 'the checksum of a body')
  }

  /** Reads up to the end, and returns it as text. */
  async rest() {
    const pieces = []
    for (let piece = await this.#next(); piece; piece = await this.#next()) pieces.push(piece)
    return Buffer.concat(pieces).toString('latin1')
  }
}

/** Connects a Peer, until the check is over. */
export async function connect(to) {
  const isTls = to.ca !== undefined
  const socket = isTls ? tls.connect(to) : net.connect(typeof to === 'number' ? { port: to, host } : to)
  socket.on('error', () => undefined)
  onceOver(() => void socket.destroy())
  await once(socket, isTls ? 'secureConnect' : 'connect')
  return new Peer(socket)
}

/** Sends a request on a connection of its own, and returns all that came up to the end. */
export async function ask(to, request) {
  const peer = await connect(to)
  peer.socket.write(request)
  return peer.rest()
}

export const get = (target, fields = '') => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`

/** Makes a self-signed certificate of localhost, which is its own `ca`. */
export function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'badass-'))
  onceOver(() => rmSync(folder, { recursive: true }))
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name))
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' })
  return { key: readFileSync(key), cert: readFileSync(cert) }
}

/** Answers `GET /SIZE` with so many bytes, reads what `POST` brings, and sends both ways after an `Upgrade`. */
export function backend(create = net.createServer) {
  return create((socket) => {
    const peer = new Peer(socket)
    const serve = async () => {
      const head = await peer.head()
      if (head === undefined) return
      const [method, target] = head.split(' ', 2)
      const size = Number(target.slice(1))
      const response = (length) =>
        `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nSet-Cookie: session=1\r\nX-Saw: ${/^x-client: .*$/im.exec(head)?.[0] ?? ''}\r\n\r\n`
      if (/^upgrade:/im.test(head)) {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n')
        await Promise.all([send(socket, size), peer.expectBody(size)])
        socket.end()
      } else if (method === 'POST') {
        assert.equal(Number(/^content-length: (\d+)/im.exec(head)[1]), size)
        await peer.expectBody(size, true)
        socket.end(`${response(2)}ok`)
      } else {
        socket.write(response(size))
        await send(socket, size)
        socket.end()
      }
    }
    // The client sees that its connection breaks.
    serve().catch((error) => {
      console.log(`          backend: ${error.message}`)
      socket.destroy()
    })
  })
}

/** Downloads through a proxy, and compares. */
export async function download(port, size, { isSlow = false, expected = /^/ } = {}) {
  const client = await connect(port)
  client.socket.write(get(`/${size}`))
  const head = await client.head()
  assert.equal(Number(/^content-length: (\d+)/im.exec(head)?.[1]), size, head)
  assert.match(head, expected)
  await client.expectBody(size, isSlow)
  if (!isEndLost(port)) assert.equal(await client.rest(), '')
}

/** Deno 2.9 does not tell of an end that comes while a TLS socket is paused. */
const isEndLost = (to) => 'Deno' in globalThis && to.ca !== undefined

/** Uploads through a proxy; the backend compares. */
export async function upload(port, size) {
  const client = await connect(port)
  client.socket.write(`POST /${size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`)
  const [head] = await Promise.all([client.head(), send(client.socket, size)])
  assert.match(head, /^HTTP\/1.1 200 OK\r\n/)
  if (!isEndLost(port)) assert.equal(await client.rest(), 'ok')
}

/** Sends both ways at once, as a WebSocket may. */
export async function exchange(port, size) {
  const client = await connect(port)
  client.socket.write(get(`/${size}`, 'Upgrade: bytes\r\n').replace('close', 'upgrade'))
  assert.match(await client.head(), /^HTTP\/1.1 101 /)
  await Promise.all([send(client.socket, size), client.expectBody(size)])
  assert.equal(await client.rest(), '')
}
