import type { ConnectionState } from '../../../src/index.ts'
import type { End } from './end.ts'
import { RESPONSES } from './setup.ts'
import type { Stage } from './stage.ts'

/** Whether the engine reads the head of the response. */
export function isModified({ setup, isHandedOver }: Stage): boolean {
  return setup.modify !== null && setup.request !== 'http2' && !isHandedOver
}

/** The connected backend. */
export function partner({ backends, seen }: Stage): End | undefined {
  if (!seen.some(({ name }) => name === 'connected')) return undefined
  return backends.find(({ length }) => length > 0) ?? backends.at(-1)
}

/** The bytes that a backend may get of what the client sent. */
export function sentUp({ client, setup, calls }: Stage): Buffer {
  const { script, sent } = client
  if (setup.request === 'http2') return script.slice(0, sent)
  const errback = calls.errback.length > 0 ? `X-Errback: ${calls.errback.length}\r\n` : ''
  return script.with(`${script.head.toString('latin1', 0, script.head.length - 2)}X-Lookup: 1\r\n${errback}\r\n`, sent)
}

/** The bytes that the client may get of what a backend sent. `entered`: the states of the connection. */
export function sentDown(stage: Stage, { script, sent }: End, entered: ConnectionState[]): Buffer {
  if (!isModified(stage)) return script.slice(0, sent)
  const { response, modify } = stage.setup
  const [interim, final] = RESPONSES[response]
  const isWhole = sent >= script.head.length && entered.includes('Modifying')
  if (!isWhole) return Buffer.from(interim.slice(0, sent), 'latin1')
  const edit = modify?.endsWith('edits') ? 'X-Modify: 1\r\n' : ''
  return script.with(`${interim}${final.slice(0, -2)}${edit}\r\n`, sent)
}
