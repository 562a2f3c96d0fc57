import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { LISTENING, start } from '../../common/processes.ts'
import type { Peer } from '../types.ts'

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

/** The command with these arguments, and the backend as its target. */
function commandLine(...options: string[]): Peer['start'] {
  const file = fileURLToPath(import.meta.resolve('badass/package.json').replace(/package\.json$/, 'dist/cli/main.js'))
  return async ({ node, cpu, backend }) => {
    const target = `127.0.0.1:${backend}`
    const routes = options.map((option) => option.replace('TARGET', target))
    const command = [node, file, '--listen', '127.0.0.1:0', '--log', 'none', ...routes, target]
    const { firstLine, ...program } = await start(command, { cpu, ready: LISTENING })
    return { ...program, port: Number(firstLine), version: 'of this tree' }
  }
}

/** The command with an access log in this format, to a file or to /dev/null by its stdout. */
function logging(format: string, toFile: boolean, ...options: string[]): Peer['start'] {
  const file = fileURLToPath(import.meta.resolve('badass/package.json').replace(/package\.json$/, 'dist/cli/main.js'))
  return async ({ node, cpu, backend, directory }) => {
    mkdirSync(directory, { recursive: true })
    const log = ['--log', format, ...(toFile ? ['--log-file', `${directory}/access.log`] : [])]
    const command = [node, file, '--listen', '127.0.0.1:0', ...log, ...options, `127.0.0.1:${backend}`]
    const quiet = ['sh', '-c', 'exec "$@" >/dev/null', 'sh', ...command]
    const { firstLine, ...program } = await start(toFile ? command : quiet, { cpu, ready: LISTENING })
    return { ...program, port: Number(firstLine), version: 'of this tree' }
  }
}

/** What an operator may turn on, with limits that the load does not reach. */
const EVERYTHING = [
  ...['--route', 'api.example.com=TARGET', '--route', '/static/=TARGET', '--queue', '5s', '--retries', '2'],
  ...['--max-connections-per-client', '10000', '--rate', '1000000/s', '--eject', '5', '--slow-start', '10s'],
]

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
    start: commandLine(),
  },
  {
    name: 'badass cli every',
    ...ours,
    reads: 'each request',
    note: 'the badass command with --requests every, one target and no log',
    only: ['keep-alive', 'one request a connection'],
    start: commandLine('--requests', 'every'),
  },
  {
    name: 'badass cli all',
    ...ours,
    reads: 'each request',
    note: 'the same with routes, a queue, retries, limits for each client, ejection and slow start',
    only: ['keep-alive', 'one request a connection'],
    start: commandLine(...EVERYTHING),
  },
  ...['text', 'json', 'combined'].flatMap((format) =>
    [true, false].flatMap((toFile) => [
      {
        name: `badass cli log ${format}${toFile ? '' : ' stdout'}`,
        group: 'log',
        ...ours,
        note: `badass cli with --log ${format}, to ${toFile ? 'a file' : '/dev/null'}`,
        only: ['one request a connection'],
        start: logging(format, toFile),
      },
      {
        name: `badass cli every log ${format}${toFile ? '' : ' stdout'}`,
        group: 'log',
        ...ours,
        reads: 'each request' as const,
        note: `badass cli every with --log ${format}, to ${toFile ? 'a file' : '/dev/null'}`,
        only: ['keep-alive'],
        start: logging(format, toFile, '--requests', 'every'),
      },
    ]),
  ),
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
