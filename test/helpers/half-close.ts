import { expect } from 'vitest'
import type { Backend, Peer } from './net.ts'
import { GET } from './proxy.ts'

/** The client ends its side with the request. The backend gets the FIN, and the client gets the whole response. */
export async function clientEndsFirst(client: Peer, backend: Backend): Promise<Peer> {
  client.end(GET)
  const peer = await backend.next()
  expect(await peer.ended()).toBe(GET)
  peer.write('HTTP/1.1 200 OK\r\n\r\nfirst')
  await client.until('first')
  peer.end(' and last')
  expect((await client.ended()).endsWith('\r\n\r\nfirst and last')).toBe(true)
  return peer
}

/** The backend ends its side with the response. The client gets the FIN, and the backend gets the whole request. */
export async function backendEndsFirst(client: Peer, backend: Backend): Promise<Peer> {
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end('HTTP/1.1 200 OK\r\n\r\nall')
  expect((await client.ended()).endsWith('\r\n\r\nall')).toBe(true)
  client.write('more')
  await peer.until('more')
  client.end(' and last')
  expect(await peer.ended()).toBe(`${GET}more and last`)
  return peer
}
