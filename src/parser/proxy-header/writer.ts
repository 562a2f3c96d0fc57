import { isIPv6, normalize } from '../../ip.ts'
import { type Ends, FAMILIES, LOCAL, PROXY, SIGNATURES } from './format.ts'

export type ProxyVersion = 1 | 2

/** The content of a PROXY header: the client's addresses, 'unknown', or 'local' for the proxy's own connection. */
export type Announced = Ends | 'unknown' | 'local'

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex')

/** Makes the PROXY header for a connection to a backend. */
export function proxyHeader(version: ProxyVersion, from: Announced): Buffer {
  return version === 1 ? line(from) : block(from)
}

function line(from: Announced): Buffer {
  if (typeof from === 'string') return Buffer.from('PROXY UNKNOWN\r\n')
  const { source, destination } = from
  const addresses = bytesOf(from)
  const family = addresses[0]!.length === 4 ? 'TCP4' : 'TCP6'
  const [here, there] = addresses.map(textOf)
  return Buffer.from(`PROXY ${family} ${here} ${there} ${source.port} ${destination.port}\r\n`)
}

function block(from: Announced): Buffer {
  const command = from === 'local' ? LOCAL : PROXY
  const body = typeof from === 'string' ? [] : [...bytesOf(from), ports(from)]
  const length = body.reduce((sum, { length }) => sum + length, 0)
  const family = length === 0 ? FAMILIES.unspecified : length === 12 ? FAMILIES.ipv4 : FAMILIES.ipv6
  return Buffer.concat([SIGNATURES[1], Buffer.from([command, family, length >> 8, length & 255]), ...body])
}

function ports({ source, destination }: Ends): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt16BE(source.port, 0)
  bytes.writeUInt16BE(destination.port, 2)
  return bytes
}

/** Both addresses. If the families differ, the IPv4 address is mapped to IPv6 (RFC 4291 2.5.5.2). */
function bytesOf({ source, destination }: Ends): [source: Buffer, destination: Buffer] {
  const [here, there] = [toBytes(source.address), toBytes(destination.address)]
  if (here.length === there.length) return [here, there]
  return [mapped(here), mapped(there)]
}

function mapped(address: Buffer): Buffer {
  return address.length === 4 ? Buffer.concat([MAPPED, address]) : address
}

function toBytes(text: string): Buffer {
  const address = normalize(text)
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const [before = '', after] = address.split('::')
  const [first, last] = [groups(before), groups(after ?? '')]
  const zeros = Array<number>(8 - first.length - last.length).fill(0)
  return Buffer.from([...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 255]))
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

/** Version 1 writes IPv6 with hex groups only, even for a mapped address. */
function textOf(address: Buffer): string {
  if (address.length === 4) return address.join('.')
  const text = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i).toString(16)).join(':')
  return new URL(`http://[${text}]`).hostname.slice(1, -1)
}
