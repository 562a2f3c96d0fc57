import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

/** Used without a secret: values are as stable, but anyone who guesses an id can compute its value. */
const NO_SECRET = createSecretKey(Buffer.from('badass'))
/** Separates these values from the cookie signature, which may use the same secret. */
const LABEL = 'badass backend\0'
/** Base64url characters, 6 bits each: 96 bits make collisions negligible. */
const LENGTH = 16

/** The sticky values of a backend id, one per key. The first is handed out; all are recognised. */
export function stickyValues(id: string, keys: readonly KeyObject[]): string[] {
  return (keys.length > 0 ? keys : [NO_SECRET]).map((key) =>
    createHmac('sha256', key).update(LABEL).update(id).digest('base64url').slice(0, LENGTH),
  )
}
