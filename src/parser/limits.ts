export interface HeadLimits {
  /** The longest head, in bytes, from its first to the LF of its empty line. Default 16384. */
  maxHeadBytes?: number
  /** The most field lines in a head. Default 128. */
  maxFields?: number
}

export const DEFAULT_LIMITS: Readonly<Required<HeadLimits>> = { maxHeadBytes: 16_384, maxFields: 128 }

/**
 * The limit of that name, or its default.
 * @throws {RangeError} on one that is not a positive integer
 */
export function readLimit(limits: HeadLimits, name: keyof HeadLimits): number {
  const value = limits[name] ?? DEFAULT_LIMITS[name]
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name}: got ${value}; takes a positive integer`)
}
