import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { groupOf } from './proc.ts'

/** A program that runs on after it has started. */
export interface Program {
  /** All its processes, as of now. */
  pids(): number[]
  /** What it said on stdout up to the end of a line. */
  firstLine: string
  /** Resolves when it has ended, by itself or not. */
  closed: Promise<void>
  /** Sends it a signal, and all that it has started. */
  kill(signal: NodeJS.Signals): void
  stop(): Promise<void>
}

const SOON_MS = 10_000
const PATIENCE_MS = 300
const running = new Set<ChildProcess>()
let isOver = false

/** Ends all that was started here. For the very end of this process: waits for nothing. */
export function killAll(): void {
  for (const child of running) kill(child, 'SIGKILL')
}

/** Ends all that was started here, and lets nothing start any more: who wants to waits for ever. */
export async function stopAll(): Promise<void> {
  isOver = true
  await Promise.all([...running].map(stop))
}

async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const closed = once(child, 'close')
  // Asked first: nginx then sees to its worker. What would rather drain is not waited for.
  kill(child, 'SIGTERM')
  const timer = setTimeout(() => kill(child, 'SIGKILL'), PATIENCE_MS)
  await closed
  clearTimeout(timer)
}

/** Each program leads a process group of its own, which its workers are in. */
function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // It has ended.
  }
}

export interface Start {
  /** The one core that it may use; that of this process where not said. */
  cpu?: number
  /** Where it will listen; without one, its first line is waited for. */
  port?: number
  /** Called with what it says on stderr. */
  complained?: (text: string) => void
}

/** Starts a program, and waits until it can be used. @throws {Error} with what it said, where it ends before that */
export async function start(command: readonly string[], { cpu, port, complained }: Start): Promise<Program> {
  if (isOver) return new Promise(() => {})
  const [file, ...args] = cpu === undefined ? command : ['taskset', '-c', String(cpu), ...command]
  const child = spawn(file!, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let said = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (said += said.includes('\n') ? '' : text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000)
    complained?.(text)
  })
  const closed = once(child, 'close').catch((error: Error) => (complaint = error.message))
  const gone = closed.then(() => void running.delete(child))
  const ended = gone.then(() => {
    throw new Error(`${command[0]} ended: ${gist(complaint)}`)
  })
  ended.catch(() => {})
  const isReady = async () => (port === undefined ? said.includes('\n') : await canConnect(port))
  const deadline = Date.now() + SOON_MS
  try {
    while (!(await Promise.race([isReady(), ended]))) {
      if (Date.now() > deadline) throw new Error(`${command[0]} was not ready in ${SOON_MS / 1000} s: ${complaint}`)
      await Promise.race([sleep(10), ended])
    }
  } catch (error) {
    await stop(child)
    throw error
  }
  return {
    pids: () => groupOf(child.pid!),
    firstLine: said.split('\n')[0]!,
    closed: gone,
    kill: (signal) => kill(child, signal),
    stop: () => stop(child),
  }
}

/** The line of what a program complains of that says what is wrong. */
function gist(complaint: string): string {
  const lines = complaint.trim().split('\n')
  return lines.find((line) => /error|emerg|alert/i.test(line)) ?? (lines.at(-1) || 'it said nothing')
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

/** A port that nobody listens on, for programs that cannot say which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** What a program that ends prints, on stdout and stderr. It is interrupted, as by Ctrl-C, where the signal says so. */
export async function output(command: readonly string[], interrupt?: AbortSignal): Promise<string> {
  if (isOver) return new Promise(() => {})
  const [file, ...args] = command
  const child = spawn(file!, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
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
