/** Limits of a `HeadScanner`. */
export interface HeadLimits {
  /** Maximum length of a head in bytes, with its empty line. Default 32768. */
  maxHeadBytes?: number
  /** Maximum number of field lines in a head. Default 1000. */
  maxFields?: number
}

/**
 * Any head of up to 1000 fields that Node accepts by default fits: Node limits names and values to 16 KiB, and each
 * field adds 4 bytes of separators. Seven cookies of 4096 bytes, the longest that browsers keep, also fit.
 */
export const DEFAULT_LIMITS: Readonly<Required<HeadLimits>> = { maxHeadBytes: 32_768, maxFields: 1000 }

/**
 * Returns a limit or its default.
 * @throws {RangeError} on a value that is not a positive integer
 */
export function readLimit(limits: HeadLimits, name: keyof HeadLimits): number {
  const value = limits[name] ?? DEFAULT_LIMITS[name]
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name}: expected a positive integer, got ${value}`)
}
