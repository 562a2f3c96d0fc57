// @ts-check
// Reads a file of HTTP requests, one behind the other, and prints a line for each: `node examples/read-requests.js FILE`.
import { createReadStream } from 'node:fs'
import { MessageReader } from 'badass/parser'

const reader = new MessageReader('request')
let bytes = 0

/** @param {import('badass/parser').MessagePart} part */
function show(part) {
  if (part.kind === 'head') process.stdout.write(`${part.head.method} ${part.head.target}`)
  if (part.kind === 'head') bytes = 0
  if (part.kind === 'body') bytes += part.bytes.length
  if (part.kind === 'end') process.stdout.write(` with ${bytes} bytes of body\n`)
}

for await (const chunk of createReadStream(/** @type {string} */ (process.argv[2]))) reader.push(chunk).forEach(show)
reader.end().forEach(show)
if (reader.error) {
  console.error(`\n${reader.error.message}`)
  process.exitCode = 1
}
