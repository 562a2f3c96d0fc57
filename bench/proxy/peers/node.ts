import { fileURLToPath } from 'node:url'
import { freePort, start } from '../../common/processes.ts'
import type { Peer, Place, Running } from '../types.ts'

/** What a peer of Node's says on stdout when it listens. */
export interface Greeting {
  port: number
  version: string
}

/** A script of ./children, which gets the backend's port and what else is given. */
function child(script: string, ...more: string[]): Peer['start'] {
  const file = fileURLToPath(new URL(`children/${script}.js`, import.meta.url))
  return async ({ node, cpu, backend }) => {
    const { firstLine, ...program } = await start([node, file, String(backend), ...more], { cpu })
    return { ...program, ...(JSON.parse(firstLine) as Greeting) }
  }
}

async function commandLine({ node, cpu, backend }: Place): Promise<Running> {
  const port = await freePort()
  const file = fileURLToPath(import.meta.resolve('badass/package.json').replace(/package\.json$/, 'dist/cli/main.js'))
  const command = [node, file, '--listen', `127.0.0.1:${port}`, '--log', 'none', `127.0.0.1:${backend}`]
  const { firstLine: _, ...program } = await start(command, { cpu, port })
  return { ...program, port, version: 'of this tree' }
}

export const nodePeers: readonly Peer[] = [
  {
    name: 'badass',
    kind: 'badass',
    reads: 'one head',
    note: 'createServer with a lookup that returns one target',
    start: child('badass'),
  },
  {
    name: 'badass modify',
    kind: 'badass',
    reads: 'one head',
    note: 'the same with a modify that sets one field of the first response of a connection',
    sets: ['x-proxy', 'badass'],
    start: child('badass', 'modify'),
  },
  {
    name: 'badass sticky',
    kind: 'badass',
    reads: 'one head',
    note: 'createStickyServer with a signed cookie, set beside the cookie of the application',
    isSticky: true,
    start: child('badass', 'sticky'),
  },
  {
    name: 'badass cli',
    kind: 'badass',
    reads: 'one head',
    note: 'the badass command with one target and no log',
    only: ['keep-alive', 'one request a connection'],
    start: commandLine,
  },
  {
    name: 'net pipe',
    kind: 'npm',
    reads: 'nothing',
    note: 'no package: net.createServer, net.connect and pipe both ways; the floor of what Node costs, and no router',
    start: child('net-pipe'),
  },
  {
    name: 'http-proxy',
    kind: 'npm',
    reads: 'each request',
    note: 'with a keep-alive http.Agent (by default it opens a connection for each request), and Connection kept to its hop',
    start: child('http-proxy'),
  },
  {
    name: 'http-proxy-3',
    kind: 'npm',
    reads: 'each request',
    note: 'with a keep-alive http.Agent (by default it opens a connection for each request), and Connection kept to its hop',
    start: child('http-proxy-3'),
  },
  {
    name: 'httpxy',
    kind: 'npm',
    reads: 'each request',
    note: 'with a keep-alive http.Agent that keeps all its connections (its own: 64 of at most 256), and Connection kept to its hop',
    start: child('httpxy'),
  },
  {
    name: 'fast-proxy',
    kind: 'npm',
    reads: 'each request',
    note: 'with undici, which its documentation calls the faster way, and Connection kept to its hop; has no WebSocket',
    start: child('fast-proxy'),
  },
]
