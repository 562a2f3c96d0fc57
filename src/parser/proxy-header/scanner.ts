import { isIPv4, isIPv6, normalize } from '../../ip.ts'
import { crc32c } from './crc32c.ts'
import { ProxyHeaderError, type ProxyHeaderErrorCode } from './error.ts'
import { type Endpoint, type Ends, FAMILIES, FIXED_BYTES, LOCAL, PROXY, SIGNATURES } from './format.ts'

// Finds and checks a PROXY header of version 1 or 2 ("The PROXY protocol", Willy Tarreau, haproxy's
// doc/proxy-protocol.txt). The states:
//   signature  the bytes that tell the version
//   line       version 1, up to its CR
//   lineEnd    its LF
//   fixed      version 2: command, family, length
//   block      version 2: addresses and TLVs
type State = 'signature' | 'line' | 'lineEnd' | 'fixed' | 'block'

/** Maximum length of version 1 in bytes, with its CRLF (2.1). */
const MAX_LINE_BYTES = 107

/**
 * Maximum length of addresses and TLVs in bytes. The protocol allows 65535, but requires the header to fit into one
 * packet (2.2). nginx has the same limit. Addresses with the TLVs of a TLS client need a tenth of it.
 */
const MAX_BLOCK_BYTES = 4096 - FIXED_BYTES

const CR = 0x0d
const LF = 0x0a
const TLV_CRC32C = 0x03

/** What a PROXY header says. */
export interface ProxyHeader {
  /**
   * The addresses of the client's connection. 'own': the client is the peer itself (LOCAL) or unknown (UNKNOWN,
   * AF_UNSPEC). 'unix': a client of a Unix socket, which has no address.
   */
  readonly from: Ends | 'own' | 'unix'
  /** Length of the header in bytes. */
  readonly length: number
}

/** For each family, the length of its addresses in bytes and a function that reads them. */
const READERS: Readonly<Record<number, readonly [bytes: number, read: (bytes: Buffer) => ProxyHeader['from']]>> = {
  [FAMILIES.unspecified]: [0, () => 'own'],
  [FAMILIES.ipv4]: [12, (bytes) => readEnds(bytes, 4, (one) => one.join('.'))],
  [FAMILIES.ipv6]: [36, (bytes) => readEnds(bytes, 16, ipv6Text)],
  [FAMILIES.unix]: [216, () => 'unix'],
}

/** Scans one header. Reads each byte once however the stream is cut, and no byte after the header. */
export class ProxyHeaderScanner {
  #state: State = 'signature'
  /** The header so far. */
  #bytes = Buffer.allocUnsafe(FIXED_BYTES)
  #length = 0
  #signature: Buffer = SIGNATURES[0]
  /** Length of the whole header, in version 2. */
  #whole = FIXED_BYTES
  #head: ProxyHeader | undefined
  #error: ProxyHeaderError | undefined
  #rest: Buffer = Buffer.alloc(0)

  /** The header, after 'head'. */
  get head(): ProxyHeader | undefined {
    return this.#head
  }

  /** The bytes of the last chunk after the header (a view), after 'head'. */
  get rest(): Buffer {
    return this.#rest
  }

  /** The reason for 'invalid'. */
  get error(): ProxyHeaderError | undefined {
    return this.#error
  }

  /** Scans the next bytes. Never throws. */
  push(chunk: Uint8Array): 'more' | 'head' | 'invalid' {
    let at = 0
    while (at < chunk.length && !this.#head && !this.#error) {
      const count = this.#state === 'block' ? Math.min(chunk.length - at, this.#whole - this.#length) : 1
      this.#keep(chunk.subarray(at, at + count))
      at += count
      this.#step()
    }
    if (this.#error) return 'invalid'
    if (!this.#head) return 'more'
    this.#rest = Buffer.from(chunk.buffer, chunk.byteOffset + at, chunk.length - at)
    return 'head'
  }

  /** Call this when the stream ends inside the header. Returns the error. */
  end(): ProxyHeaderError {
    this.#error ??= new ProxyHeaderError('HEADER_INCOMPLETE', this.#length)
    return this.#error
  }

  #keep(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(this.#state === 'block' ? this.#whole : MAX_LINE_BYTES)
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
    }
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Checks the last byte, or the block once it is complete. */
  #step(): void {
    const at = this.#length - 1
    const byte = this.#bytes[at]!
    switch (this.#state) {
      case 'signature':
        return this.#signed(at, byte)
      case 'line':
        return this.#inLine(at, byte)
      case 'lineEnd':
        return byte === LF ? this.#endLine() : this.#refuse('BAD_LINE', at)
      case 'fixed':
        return this.#fixed(at, byte)
      case 'block':
        if (this.#length === this.#whole) this.#endBlock()
    }
  }

  #signed(at: number, byte: number): void {
    const [line, block] = SIGNATURES
    if (at === 0) this.#signature = byte === block[0] ? block : line
    if (byte !== this.#signature[at]) this.#refuse('NOT_PROXY', at)
    else if (this.#length === this.#signature.length) this.#state = this.#signature === line ? 'line' : 'fixed'
  }

  #inLine(at: number, byte: number): void {
    if (byte === CR) this.#state = 'lineEnd'
    else if (byte === LF) this.#refuse('BAD_LINE', at)
    else if (this.#length > MAX_LINE_BYTES - 2) this.#refuse('HEADER_TOO_LARGE', at)
  }

  #endLine(): void {
    const from = readLine(this.#bytes.toString('latin1', 0, this.#length - 2))
    if (from instanceof ProxyHeaderError) this.#error = from
    else this.#done(from)
  }

  #fixed(at: number, byte: number): void {
    if (at === 12) {
      if (byte >> 4 !== LOCAL >> 4) this.#refuse('BAD_VERSION', at)
      else if (byte !== LOCAL && byte !== PROXY) this.#refuse('BAD_COMMAND', at)
    } else if (at === 13) {
      // 2.2: the family and addresses of a LOCAL header are ignored.
      if (this.#bytes[12] === PROXY && !READERS[byte]) this.#refuse('BAD_FAMILY', at)
    } else if (at === 15) {
      this.#measured(this.#bytes.readUInt16BE(14))
    }
  }

  #measured(length: number): void {
    const [least] = this.#isOwn ? [0] : READERS[this.#bytes[13]!]!
    this.#whole = FIXED_BYTES + length
    this.#state = 'block'
    if (length < least) this.#refuse('BAD_LENGTH', 14)
    else if (length > MAX_BLOCK_BYTES) this.#refuse('HEADER_TOO_LARGE', 14)
    else if (length === 0) this.#done('own')
  }

  /** LOCAL or without a family: the block is ignored. */
  get #isOwn(): boolean {
    return this.#bytes[12] === LOCAL || this.#bytes[13] === FAMILIES.unspecified
  }

  #endBlock(): void {
    if (this.#isOwn) return this.#done('own')
    const [count, read] = READERS[this.#bytes[13]!]!
    const header = this.#bytes.subarray(0, this.#whole)
    const error = checkTlvs(header, FIXED_BYTES + count)
    if (error) this.#error = error
    else this.#done(read(header.subarray(FIXED_BYTES, FIXED_BYTES + count)))
  }

  #done(from: ProxyHeader['from']): void {
    this.#head = { from, length: this.#length }
  }

  #refuse(code: ProxyHeaderErrorCode, offset: number): void {
    this.#error = new ProxyHeaderError(code, offset)
  }
}

/** Version 1: 'PROXY TCP4 192.0.2.1 192.0.2.2 5000 80', separated by single spaces (2.1). */
function readLine(line: string): ProxyHeader['from'] | ProxyHeaderError {
  let offset = SIGNATURES[0].length
  const [family, ...fields] = line.slice(offset).split(' ')
  // The rest of an UNKNOWN line is ignored.
  if (family === 'UNKNOWN') return 'own'
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined
  if (!isAddress) return new ProxyHeaderError('BAD_FAMILY', offset)
  offset += family!.length + 1
  for (const [i, field] of fields.entries()) {
    if (i > 3) return new ProxyHeaderError('BAD_LINE', offset)
    if (i < 2 && !isAddress(field)) return new ProxyHeaderError('BAD_ADDRESS', offset)
    if (i >= 2 && !isPort(field)) return new ProxyHeaderError('BAD_PORT', offset)
    offset += field.length + 1
  }
  if (fields.length < 4) return new ProxyHeaderError('BAD_LINE', line.length)
  const [source = '', destination = '', from, to] = fields
  return {
    source: { address: normalize(source), port: Number(from) },
    destination: { address: normalize(destination), port: Number(to) },
  }
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

/** Reads both addresses, then both ports. */
function readEnds(bytes: Buffer, size: number, toText: (address: Buffer) => string): Ends {
  const end = (index: number): Endpoint => ({
    address: toText(bytes.subarray(index * size, (index + 1) * size)),
    port: bytes.readUInt16BE(2 * size + 2 * index),
  })
  return { source: end(0), destination: end(1) }
}

function ipv6Text(address: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i).toString(16))
  return normalize(groups.join(':'))
}

/** Checks the bounds of the type-length-value fields, and the checksum if there is one (2.2.3). */
function checkTlvs(header: Buffer, start: number): ProxyHeaderError | undefined {
  let value: number
  for (let at = start; at < header.length; at = value) {
    if (header.length - at < 3) return new ProxyHeaderError('BAD_TLV', at)
    const length = header.readUInt16BE(at + 1)
    const from = at + 3
    value = from + length
    if (value > header.length) return new ProxyHeaderError('BAD_TLV', at)
    if (header[at] !== TLV_CRC32C) continue
    if (length !== 4) return new ProxyHeaderError('BAD_TLV', at)
    // The checksum is that of the whole header with the checksum set to zeros.
    const blank = Buffer.from(header).fill(0, from, value)
    if (crc32c(blank) !== header.readUInt32BE(from)) return new ProxyHeaderError('BAD_CHECKSUM', from)
  }
  return undefined
}
