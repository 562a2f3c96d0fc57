import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Rule } from './validate.ts'

export type Secret = string | Uint8Array

const isSecret = (value: unknown): value is Secret =>
  (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0

export const SECRET_RULE: Rule = {
  isSecret: true,
  expected: 'a string or bytes, not empty, or a list of them',
  // Spread: every() skips the holes of an array.
  validate: (value) =>
    value === undefined || isSecret(value) || (Array.isArray(value) && value.length > 0 && [...value].every(isSecret)),
}

/** Makes keys that hold copies, so that later changes to the caller's bytes or list have no effect. */
export function keysOf(secret: Secret | readonly Secret[] | undefined): KeyObject[] {
  const secrets = secret === undefined ? [] : isSecret(secret) ? [secret] : secret
  return secrets.map((one) => createSecretKey(Buffer.from(one)))
}
