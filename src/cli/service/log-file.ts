import { type FileHandle, open } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { messageOf } from '../../show.ts'
import { counted } from '../exit.ts'
import { type BatchLimits, Output, PIPE } from '../output.ts'

/** Each write is a job of the thread pool, which costs more CPU time than making the lines. */
const FILE: BatchLimits = { bytes: 64 << 10, ms: 20 }

/** Readable by the group, such as adm, and by nobody else: it names clients. */
const MODE = 0o640

type Say = (line: string) => void

/** An access log that is appended to a file. */
export class LogFile {
  readonly path: string
  readonly #say: Say
  #output: Output
  #isClosed = false
  /** One at a time: the last signal decides which file counts. */
  #reopened: Promise<void> = Promise.resolve()

  private constructor(path: string, say: Say, output: Output) {
    this.path = path
    this.#say = say
    this.#output = output
  }

  /** @throws {Error} with a one-line message if the file cannot be opened */
  static async open(path: string, say: Say): Promise<LogFile> {
    return new LogFile(path, say, await openOutput(path, say))
  }

  readonly write = (line: string): void => this.#output.writeSoon(line)

  /** Opens the path again, after a rotation has renamed the file. If that fails, the old file is still written. */
  async reopen(): Promise<void> {
    this.#reopened = this.#reopened.then(() => this.#reopen())
    await this.#reopened
  }

  async #reopen(): Promise<void> {
    if (this.#isClosed) return
    try {
      const next = await openOutput(this.path, this.#say)
      if (this.#isClosed) return void next.end()
      void this.#output.end()
      this.#output = next
    } catch (error) {
      this.#say(`${messageOf(error)}; still writing to the old file`)
    }
  }

  /** Closes the file. Resolves when all lines have been written. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#output.end()
  }
}

async function openOutput(path: string, say: Say): Promise<Output> {
  try {
    const file = await counted(open(path, 'a', MODE))
    // /dev/stdout may be a pipe that several workers write to.
    const isFile = (await counted(file.stat())).isFile()
    return new Output(appending(file), say, { reader: 'the disk of the access log', limits: isFile ? FILE : PIPE })
  } catch (error) {
    throw new Error(`--log-file: cannot open ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/** Appends to a file. Goes on after an error, unlike Node's own stream: a full disk may have space again later. */
function appending(file: FileHandle): Writable {
  const append = (bytes: Buffer, done: () => void) => {
    counted(file.appendFile(bytes)).then(done, (error) => {
      lines.emit('error', error)
      done()
    })
  }
  const lines: Writable = new Writable({
    write: (chunk: Buffer, _encoding, done) => append(chunk, done),
    writev: (chunks, done) => append(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => void counted(file.close()).then(() => done(), done),
  })
  return lines
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such directory'
    case 'EACCES':
      return 'permission denied'
    case 'EISDIR':
      return 'it is a directory'
    default:
      return messageOf(error)
  }
}
