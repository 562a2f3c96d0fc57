import { createHash, randomBytes } from 'node:crypto'
import net from 'node:net'

/** Opens a tunnel: a connection whose request for an upgrade was answered with 101. Throws where that goes wrong. */
export function openTunnel(port: number, path: string): Promise<net.Socket> {
  const key = randomBytes(16).toString('base64')
  const digest = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, autoSelectFamily: false })
    let head = ''
    function fail(message: string): void {
      socket.destroy()
      reject(new Error(`a tunnel to ${path} ${message}`))
    }
    function read(chunk: Buffer): void {
      head += chunk.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      if (!head.startsWith('HTTP/1.1 101 ')) return fail(`was answered with '${head.split('\r\n', 1)}'`)
      if (!head.includes(digest)) return fail('was answered without the right Sec-WebSocket-Accept')
      if (!head.endsWith('\r\n\r\n')) return fail('was answered with more than was asked for')
      socket.off('data', read).off('error', onError).off('close', onClose)
      resolve(socket)
    }
    const onError = (error: Error) => fail(`broke: ${error.message}`)
    const onClose = () => fail('was closed')
    socket.on('data', read).on('error', onError).on('close', onClose)
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    )
  })
}

/** The head of a frame (RFC 6455 5.2): a whole binary message; a client's where there is a mask. */
export function frameHead(length: number, mask?: Buffer): Buffer {
  const bit = mask ? 0x80 : 0
  const size = length < 126 ? Buffer.of(bit | length) : Buffer.of(bit | 126, length >> 8, length & 0xff)
  return Buffer.concat([Buffer.of(0x82), size, mask ?? Buffer.alloc(0)])
}
