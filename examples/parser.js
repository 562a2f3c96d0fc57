// @ts-check
import { HeadScanner, parseHead } from 'badass/parser'

const head = parseHead(Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\nx-a: 2\r\n\r\n'), 'request')
console.log(head.method, head.target, head.headers) // GET / { Host: 'example.com', 'X-A': [ '1', '2' ] }

const scanner = new HeadScanner('response')
scanner.push(Buffer.from('HTTP/1.1 200 O')) // 'more'
scanner.push(Buffer.from('K\r\n\r\nbody')) // 'head'
console.log(scanner.head?.status, scanner.head?.reason, scanner.rest.toString()) // 200 OK body

const odd = parseHead(Buffer.from('HTTP/1.1 200 OK\nServer : old\n\n'), 'response', { lenient: true })
console.log(JSON.stringify(odd.bytes().toString())) // "HTTP/1.1 200 OK\r\nServer: old\r\n\r\n"
