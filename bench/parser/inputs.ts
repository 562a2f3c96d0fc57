/** A head, and what every peer must find in it. */
export interface Input {
  name: string
  bytes: Buffer
  method: string
  target: string
  fields: number
}

/** How a head is cut into chunks. Each is a view on the same buffer. */
export interface Cut {
  name: string
  chunks(bytes: Buffer): Buffer[]
}

const SMALL = ['Host: a.example', 'Accept: */*']

const BROWSER = [
  'Host: www.example.com',
  'Connection: keep-alive',
  'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-User: ?1',
  'Sec-Fetch-Dest: document',
  'Referer: https://www.example.com/',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
  'Cookie: session=3f1c0a9e5b7d4e2f8a6c1b0d; theme=dark',
]

/** The browser's head, filled up to 16 KiB with more fields and long cookies. */
function large(): string[] {
  const fields = [...BROWSER]
  for (let i = 0; i < 40; i++) fields.push(`X-Forwarded-Field-${i}: ${'value '.repeat(10)}${i}`)
  for (let i = 0; i < 12; i++) fields.push(`Cookie: part${i}=${'0123456789abcdef'.repeat(56)}`)
  const missing = 16_384 - request('/search?q=proxy', fields).length - 'X-Last: \r\n'.length
  return [...fields, `X-Last: ${'z'.repeat(missing)}`]
}

function request(target: string, fields: readonly string[]): Buffer {
  return Buffer.from(`GET ${target} HTTP/1.1\r\n${fields.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1')
}

function input(name: string, target: string, fields: readonly string[]): Input {
  return { name, bytes: request(target, fields), method: 'GET', target, fields: fields.length }
}

export const INPUTS: readonly Input[] = [
  input('small', '/', SMALL),
  input('browser', '/search?q=proxy', BROWSER),
  input('16 KiB', '/search?q=proxy', large()),
]

export const CUTS: readonly Cut[] = [
  { name: 'whole', chunks: (bytes) => [bytes] },
  { name: 'in two', chunks: (bytes) => [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)] },
  { name: 'byte by byte', chunks: (bytes) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)) },
]

/** Each input with each cut. The short form leaves out the slowest: the large head in several chunks. */
export function cellsOf(isShort: boolean): { input: Input; cut: Cut }[] {
  const cells = INPUTS.flatMap((input) => CUTS.map((cut) => ({ input, cut })))
  return isShort ? cells.filter(({ input, cut }) => input.bytes.length < 16_384 || cut.name === 'whole') : cells
}
