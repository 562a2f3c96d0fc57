/** Valid and invalid values for the corpus. All strings are Latin-1. */

/** Splits at broken bars. Line ends are ignored. */
const list = (text: string): string[] => text.slice(1).split(/¦\n?/)

/** Values of Content-Length: a list of fields per head. */
export const LENGTHS: readonly string[][] = [
  ...list(`
15¦0¦015¦ \t15\t¦9007199254740991¦9007199254740992¦18446744073709551631¦4294967311¦+15¦-15¦0x0f¦0xf¦1_5¦1 5¦
15.0¦1.5e1¦15;¦"15"¦'15'¦15a¦a15¦¦\xb9\xb5¦9999999999999999999999999999999999999999¦15, 15¦15,5¦15 , 15¦15,¦,15¦
\x0b15¦15\x0b¦15\0¦\x0015¦15\xa0`).map((one) => [one]),
  [],
  ['15', '15'],
  ['15', '5'],
  ['15', ''],
  ['', '15'],
  ['15', '15', '15'],
]

/** Values of Transfer-Encoding. */
export const ENCODINGS: readonly string[][] = [
  ...list(`
chunked¦Chunked¦CHUNKED¦identity¦gzip¦gzip, chunked¦gzip,chunked¦chunked, gzip¦xchunked¦identity, chunked¦
chunked, identity¦chunked, chunked¦chunkedx¦chunke¦chunked;q=1¦"chunked"¦\tchunked¦chunked\t¦\x0bchunked¦
chunked\x0b¦\x0cchunked¦chunked\0¦\0chunked¦\xa0chunked¦,chunked¦chunked,¦gzip,,chunked¦¦chunked chunked¦
trailers, chunked¦chunked, false`).map((one) => [one]),
  [],
  ['gzip', 'chunked'],
  ['chunked', 'gzip'],
  ['chunked', 'chunked'],
  ['chunked', 'identity'],
  ['identity', 'chunked'],
  ['chunked', ''],
  ['', 'chunked'],
]

/** Values of Host. */
export const HOSTS: readonly string[][] = [
  ...list(`
¦example.com¦EXAMPLE.COM¦example.com.¦example.com:¦example.com:80¦example.com:080¦other.example¦
example.com:65535¦example.com:65536¦example.com:99999999999999999999¦example.com:x¦example.com:-1¦
example.com:8080¦example.com: 80¦example.com:80:80¦:80¦user@example.com¦user:pass@example.com¦example.com/¦
example.com/path¦example.com?q¦example.com#f¦http://example.com¦exa mple.com¦a\\b¦a, b¦a,b¦
example.com, other.example¦[::1]¦[::1]:80¦[::1¦::1¦[::1]x¦[::g]¦[v1.a:b]¦[fe80::1%25eth0]¦[fe80::1%eth0]¦
127.0.0.1¦127.1¦0x7f000001¦a_b¦a%41¦a%¦a%zz¦a%00¦ex\xe4mple.com¦a!$&'()*+;=~b¦a"b¦a<b>¦a|b¦a^b¦a\`b¦a{b}¦-¦.¦..¦
*¦a..b¦.a`).map((one) => [one]),
  [],
  ['example.com', 'example.com'],
  ['example.com', 'other.example'],
  ['', ''],
  ['', 'example.com'],
]

export const TARGETS = list(`
/¦//¦//example.com/¦/../..¦/%2e%2e/¦/%¦/%zz¦/%00¦/a b¦/?¦/?a?b¦/#¦/a#b¦/\\¦/<>¦/"¦/{}¦/|¦/^¦/\`¦/\x7f¦/\x80¦
/\xff¦/\x01¦/[¦/a;b¦/*¦*¦**¦*/¦a¦¦http://example.com¦http://example.com/¦http://example.com/a?b¦
http://example.com?b¦HTTP://example.com/¦http://EXAMPLE.com/¦http://example.com:80/¦http://example.com:8080/¦
http://example.com:/¦http:///¦http://user@example.com/¦http://other.example/¦https://example.com/¦
https://example.com:443/¦http://¦http:/example.com/¦http:example.com¦://example.com/¦foo://example.com/¦
1http://example.com/¦http://[::1]/¦http://example.com#f¦http://example.com\\@other.example/¦example.com:80¦
example.com¦:80¦[::1]:443¦example.com:¦example.com:99999¦user@example.com:80¦?a¦.¦./¦mailto:a@b¦
/http://example.com/`)

export const METHODS = list(`
GET¦HEAD¦POST¦PUT¦DELETE¦OPTIONS¦TRACE¦CONNECT¦PATCH¦PROPFIND¦PRI¦QUERY¦M-SEARCH¦get¦Get¦FOO¦FOO-BAR¦FOO_BAR¦G¦
!#$%&'*+-.^_\`|~0aZ¦GET/¦GET:¦GE(T¦"GET"¦¦ GET¦HTTP/1.1`)

export const VERSIONS = list(`
HTTP/1.1¦HTTP/1.0¦HTTP/0.9¦HTTP/1.2¦HTTP/1.9¦HTTP/2.0¦HTTP/3.0¦HTTP/0.0¦HTTP/9.9¦HTTP/2¦HTTP/1¦HTTP/1.¦HTTP/.1¦
HTTP/1.10¦HTTP/11.1¦HTTP/01.1¦HTTP/1.01¦HTTP/+1.1¦HTTP/1,1¦HTTP/1.1x¦http/1.1¦Http/1.1¦HTTPS/1.1¦HTTP1.1¦
HTTP /1.1¦HTTP/ 1.1¦HTTP/1. 1¦ICE/1.0¦RTSP/1.0¦FOO¦¦HTTP/1.1 HTTP/1.1¦HTTP/1.1 x¦HTTP/1.1 ¦HTTP/1.1\t¦HTTP\\1.1¦
HTTP/\xb9.\xb9¦HTTP/1.1\0`)

/** Spellings of a field line that some parser may accept as that field. */
export function alike(name: string, value: string): string[] {
  const line = `${name}: ${value}`
  return [
    ...[`${name} : ${value}`, `${name}\t: ${value}`, `${name}\0: ${value}`, `${name}:${value}`, `${name}::${value}`],
    ...[` ${line}`, `\t${line}`, `:${line}`, `X-${line}`, `\xef\xbb\xbf${line}`, `"${name}": ${value}`],
    ...[`X: y\r\n ${line}`, `X: y\n${line}`, `X: y\r${line}`, `X: y\0${line}`, `Foo\r\n\r\n${line}`],
    ...[`${name}:\r\n ${value}`, `${name}:\n ${value}`, `${line}\r\n `, `${line}\r\n\t,`],
    ...['_', '', ' ', '\xad'].map((dash) => line.replace('-', dash)),
    ...[`${name}; ${value}`, `${name} ${value}`, line.toUpperCase(), line.toLowerCase()],
  ]
}
