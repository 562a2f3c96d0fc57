// Checks what is in dist/, in whatever runs this: Node, Bun or Deno. Ends with 1 where a check failed.
import { finish, runtime } from './checks.mjs'

console.log(runtime)
const parts = process.argv.slice(2)
for (const part of parts.length > 0 ? parts : ['parser', 'proxy', 'sticky', 'command']) await import(`./${part}.mjs`)
finish()
