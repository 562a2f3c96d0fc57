import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { onTestFinished } from 'vitest'
import { readAll } from './bytes.ts'

export interface Outcome {
  /** The exit code; null after a signal. */
  code: number | null
  stdout: Buffer
  stderr: string
}

/** Runs a program to its end. Rejects if the program cannot be started, so that a test that needs it fails. */
export async function run(command: string, args: string[], stdin: string | Buffer | Readable = ''): Promise<Outcome> {
  const child = spawn(command, args)
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const exit = new Promise<number | null>((resolve, reject) => {
    child.on('error', (cause) => reject(new Error(`this test needs the program '${command}': ${cause.message}`)))
    child.on('close', resolve)
  })
  const source = stdin instanceof Readable ? stdin : Readable.from([stdin].filter((bytes) => bytes.length > 0))
  // A program may end before it has read all of its input.
  const fed = pipeline(source, child.stdin).catch(() => undefined)
  const [code, stdout, stderr] = await Promise.all([exit, readAll(child.stdout), readAll(child.stderr), fed])
  return { code, stdout, stderr: stderr.toString() }
}
