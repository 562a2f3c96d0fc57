import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import type { Greeting } from '../node.ts'

/** The backend's port on 127.0.0.1. */
export const backend = Number(process.argv[2])

/** Listens, and prints port and version. Without a package, the version is that of Node.js. */
export function serve(server: Server, packageName?: string): void {
  const version = packageName ? versionOf(packageName) : process.versions.node
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
    const greeting: Greeting = { port: (server.address() as AddressInfo).port, version }
    console.log(JSON.stringify(greeting))
  })
}

/** Reads the package.json above the package's entry, because not every package exports it. */
function versionOf(packageName: string): string {
  let folder = new URL('.', import.meta.resolve(packageName))
  while (!existsSync(new URL('package.json', folder))) folder = new URL('..', folder)
  return (JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as { version: string }).version
}
