import { setImmediate as turn } from 'node:timers/promises'
import { REPORTS_RESETS_AS_ENDS } from '../../../src/proxy/tunnel/flow.ts'
import { connect } from '../../helpers/net.ts'

/** The bytes that a client sends on one connection. */
export interface Sent {
  readonly bytes: Buffer
  /** The offsets of the cuts between pieces. */
  readonly cuts: readonly number[]
  /** The client ends its side right after the last byte, without waiting for a FIN. */
  readonly endsAtOnce: boolean
}

/** The bytes that a client received. */
export interface Received {
  readonly text: string
  /** By a FIN, and certainly not by a reset. */
  readonly hasEnded: boolean
}

/** A connection that lasts longer is stuck, in ms. */
const STUCK_MS = 60_000

/** Sends bytes in pieces. Resolves after the connection has closed, whether by a FIN or a reset. */
export async function send(port: number, { bytes, cuts, endsAtOnce }: Sent): Promise<Received> {
  const client = await connect(port)
  client.socket.on('end', () => client.socket.end())
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    client.socket.write(bytes.subarray(from, cut))
    from = cut
    await turn()
  }
  if (endsAtOnce) client.socket.end()
  let isStuck = false
  const timer = setTimeout(() => {
    isStuck = true
    client.reset()
  }, STUCK_MS)
  await client.closed()
  clearTimeout(timer)
  if (isStuck) throw new Error(`no end came to ${JSON.stringify(bytes.toString('latin1'))}`)
  // A client that has ended its side may see a reset as an end.
  const isSure = !(REPORTS_RESETS_AS_ENDS && endsAtOnce)
  return { text: client.text, hasEnded: isSure && client.hasEnded && !client.error }
}
