import { fileURLToPath } from 'node:url'
import { LISTENING, start } from '../../common/processes.ts'
import type { Peer, Place, Running } from '../types.ts'

/** What a child process prints when it listens. */
export interface Greeting {
  port: number
  version: string
}

/** A script in ./children. Its arguments are the backend's port and `more`. */
function child(script: string, ...more: string[]): Peer['start'] {
  const file = fileURLToPath(new URL(`children/${script}.js`, import.meta.url))
  return async ({ node, cpu, backend }) => {
    const { firstLine, ...program } = await start([node, file, String(backend), ...more], { cpu })
    return { ...program, ...(JSON.parse(firstLine) as Greeting) }
  }
}

async function commandLine({ node, cpu, backend }: Place): Promise<Running> {
  const file = fileURLToPath(import.meta.resolve('badass/package.json').replace(/package\.json$/, 'dist/cli/main.js'))
  const command = [node, file, '--listen', '127.0.0.1:0', '--log', 'none', `127.0.0.1:${backend}`]
  const { firstLine, ...program } = await start(command, { cpu, ready: LISTENING })
  return { ...program, port: Number(firstLine), version: 'of this tree' }
}

const ours = { kind: 'badass', reads: 'one head' } as const
const theirs = { kind: 'npm', reads: 'each request' } as const
const pooled = 'with an http.Agent that keeps all connections'

export const nodePeers: readonly Peer[] = [
  { name: 'badass', ...ours, note: 'createServer, with a lookup that returns one target', start: child('badass') },
  {
    name: 'badass every',
    ...ours,
    reads: 'each request',
    note: "the same with requests: 'every', and a pool of connections to the backend",
    start: child('badass', 'every'),
  },
  {
    name: 'badass modify',
    ...ours,
    note: 'the same, with a modify that sets a field in the first response of a connection',
    sets: ['x-proxy', 'badass'],
    start: child('badass', 'modify'),
  },
  {
    name: 'badass sticky',
    ...ours,
    note: 'createStickyServer, with a signed cookie beside that of the application',
    isSticky: true,
    start: child('badass', 'sticky'),
  },
  {
    name: 'badass cli',
    ...ours,
    note: 'the badass command with one target and no log',
    only: ['keep-alive', 'one request a connection'],
    start: commandLine,
  },
  {
    name: 'net pipe',
    kind: 'npm',
    reads: 'nothing',
    note: 'no package and no routing, but net.createServer, net.connect and pipe both ways: the floor of Node.js',
    start: child('net-pipe'),
  },
  ...['http-proxy', 'http-proxy-3', 'httpxy'].map((name) => ({
    name,
    ...theirs,
    note: `${pooled} (its default does not), and Connection kept to its hop`,
    start: child('http-proxy', name),
  })),
  {
    name: 'fast-proxy',
    ...theirs,
    note: 'with undici, as its documentation advises, and Connection kept to its hop; has no WebSocket',
    start: child('fast-proxy'),
  },
]
