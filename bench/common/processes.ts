import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { groupListens, groupOf } from './proc.ts'

/** A running program. */
export interface Program {
  pid: number
  /** Its current processes. */
  pids(): number[]
  /** The first line that it wrote to stdout; with `ready`, the first group of that. */
  firstLine: string
  /** Resolves when it has ended for whatever reason. */
  closed: Promise<void>
  /** Sends a signal to it and to its children. */
  kill(signal: NodeJS.Signals): void
  stop(): Promise<void>
}

interface Start {
  /** The only core that it may use; by default the cores of this process. */
  cpu?: number
  /** The port it will listen on, of those that `freePort` picked. */
  port?: number
  /** What it writes to stderr when it is ready. Without a port or this, its first line on stdout means that. */
  ready?: RegExp
  /** Receives what it writes to stderr. */
  complained?: (text: string) => void
}

/** The line by which the badass command says on stderr where it serves: the port. */
export const LISTENING = /listening on http:\S+:(\d+)\/\n/

const START_MS = 10_000
const STOP_MS = 300
const running = new Set<ChildProcess>()
let isOver = false

/** Kills all started programs without waiting, for the 'exit' event of this process. */
export function killAll(): void {
  for (const child of running) kill(child, 'SIGKILL')
}

/** Ends all started programs. A program that is started later never gets ready. */
export async function stopAll(): Promise<void> {
  isOver = true
  await Promise.all([...running].map(stop))
}

async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const closed = once(child, 'close')
  // nginx ends its worker on SIGTERM. Programs that would rather drain are killed.
  kill(child, 'SIGTERM')
  const timer = setTimeout(() => kill(child, 'SIGKILL'), STOP_MS)
  await closed
  clearTimeout(timer)
}

/** Each program leads a process group, which includes its children. */
function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // It has ended.
  }
}

function spawnGroup([file, ...args]: readonly string[]) {
  const child = spawn(file!, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  return child
}

/** Starts a program and waits until it is ready. @throws {Error} with its message when it ends before that */
export async function start(command: readonly string[], { cpu, port, ready, complained }: Start): Promise<Program> {
  if (isOver) return new Promise(() => {})
  const child = spawnGroup(cpu === undefined ? command : ['taskset', '-c', String(cpu), ...command])
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += stdout.includes('\n') ? '' : text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000)
    complained?.(text)
  })
  const closed = once(child, 'close').then(
    () => void running.delete(child),
    (error: Error) => {
      running.delete(child)
      stderr = error.message
    },
  )
  const ended = closed.then(() => {
    throw new Error(`${command[0]} ended: ${gist(stderr)}`)
  })
  ended.catch(() => {})
  const firstLine = () => (ready ? ready.exec(stderr)?.[1] : /^(.*)\n/.exec(stdout)?.[1])
  const isReady = async () => (port === undefined ? firstLine() !== undefined : await serves(child.pid!, port))
  const deadline = Date.now() + START_MS
  try {
    while (!(await Promise.race([isReady(), ended]))) {
      if (Date.now() > deadline) throw new Error(`${command[0]} was not ready in ${START_MS / 1000} s: ${stderr}`)
      await Promise.race([sleep(10), ended])
    }
  } catch (error) {
    await stop(child)
    throw error
  }
  return {
    pid: child.pid!,
    pids: () => groupOf(child.pid!),
    firstLine: firstLine() ?? '',
    closed,
    kill: (signal) => kill(child, signal),
    stop: () => stop(child),
  }
}

/** The line of stderr that says what is wrong. */
function gist(stderr: string): string {
  const lines = stderr.trim().split('\n')
  return lines.find((line) => /error|emerg|alert/i.test(line)) ?? (lines.at(-1) || 'no message')
}

/** Another program may have taken the port since `freePort` picked it: only Linux can tell. */
async function serves(pid: number, port: number): Promise<boolean> {
  return (await canConnect(port)) && (process.platform !== 'linux' || groupListens(pid, port))
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

/** A port that nobody listens on now, for programs that cannot report the port they chose. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Runs a program to its end and returns its stdout and stderr. `interrupt` sends it a SIGINT. */
export async function output(command: readonly string[], interrupt?: AbortSignal): Promise<string> {
  if (isOver) return new Promise(() => {})
  const child = spawnGroup(command)
  interrupt?.addEventListener('abort', () => kill(child, 'SIGINT'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more) => (text += more))
  try {
    await once(child, 'close')
  } finally {
    running.delete(child)
  }
  return text
}
