import type tls from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import { hostPort } from '../proxy/index.ts'

/** The part of a Dest that says where a backend is. */
export type BackendDest = ({ port: number; host: string } | { path: string }) & {
  tls?: boolean | tls.ConnectionOptions | undefined
  sendProxy?: 1 | 2 | undefined
  hostHeader?: string | undefined
}

export function addressOf(place: BackendDest): string {
  return 'path' in place ? `unix:${place.path}` : hostPort(place.host, place.port)
}

/** Whether two places are those of one backend: renewed certificates don't make it another one. */
export function isSamePlace(one: BackendDest, other: BackendDest): boolean {
  return one === other || isDeepStrictEqual(identityOf(one), identityOf(other))
}

/** A place without its certificate and key. */
function identityOf(place: BackendDest): BackendDest {
  if (typeof place.tls !== 'object') return place
  const { ca: _ca, cert: _cert, key: _key, ...tls } = place.tls
  return { ...place, tls }
}
