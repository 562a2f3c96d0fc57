/** Bytes that depend on the stream and on the offset, so that swapped or overwritten bytes show. */
export function pattern(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(((seed << 24) | (at >> 2)) >>> 0, at)
  return bytes
}
