import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Rule } from '../proxy/index.ts'

export type Secret = string | Uint8Array

const isSecret = (value: unknown): value is Secret =>
  (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0

export const SECRET_RULE: Rule = {
  isSecret: true,
  takes: 'a string or bytes, not empty, or a list of them',
  // Spread, as every() does not look at the holes of an array.
  isRight: (value) =>
    value === undefined || isSecret(value) || (Array.isArray(value) && value.length > 0 && [...value].every(isSecret)),
}

/** Copies: what becomes of the caller's bytes or list cannot weaken them. */
export function keysOf(secret: Secret | readonly Secret[] | undefined): KeyObject[] {
  const secrets = secret === undefined ? [] : isSecret(secret) ? [secret] : secret
  return secrets.map((one) => createSecretKey(Buffer.from(one)))
}

/** In place of a secret: the values are as stable, but whoever guesses an id can make its value. */
const NO_SECRET = createSecretKey(Buffer.from('badass'))
/** So that the secret may also be that of the cookie: nothing else is signed under this name. */
const LABEL = 'badass backend\0'
/** Characters of 6 bits each: no two of any number of backends come out the same. */
const LENGTH = 16

/** What stands for a backend in a cookie, by each key: the first value is given out, and each is read. */
export function stickyValues(id: string, keys: readonly KeyObject[]): string[] {
  return (keys.length > 0 ? keys : [NO_SECRET]).map((key) =>
    createHmac('sha256', key).update(LABEL).update(id).digest('base64url').slice(0, LENGTH),
  )
}
