import { Readable } from 'node:stream'
import { createServer, type ProxyServer } from '../../index.ts'
import { plainText } from '../../proxy/index.ts'

export interface Answer {
  /** Status and reason: '400 Bad Request'. */
  status: string
  why: string
  /** Field lines for its head. */
  fields?: readonly string[]
  /** ms for the request head to arrive. */
  headTimeout: number
  proxyProtocol?: readonly string[] | undefined
}

/** A proxy without a backend, which gives every request the same answer. */
export function fixedAnswer({ status, why, fields = [], ...limits }: Answer): ProxyServer {
  return createServer({
    ...limits,
    lookup: () => undefined,
    errback: (_error, _dest, head) => {
      // An HTTP/2 client could not read the answer, so it is reset.
      if (head.version === 'HTTP/2.0') return undefined
      return Readable.from([plainText(status, `${status}: ${why}\n`, head.method === 'HEAD', ...fields)])
    },
  })
}
