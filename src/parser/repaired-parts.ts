import { FIRST_FIELD } from './field.ts'
import { checkLenient, type Fault, type Repair } from './framing.ts'
import { STATUS_END, VERSION_END } from './status-line.ts'

/** The parts of a repaired head: where they are, where they were in the stream, and which values were repaired. */
export class RepairedParts {
  /** The marks of the repaired head. */
  readonly #marks: number[] = []
  /** Offset of each field line in the stream. */
  readonly #lines: number[] = []
  /** Mark indexes of the fields whose value was repaired. */
  readonly #repaired = new Set<number>()

  /** `end`: offset of the start line's CRLF in the repaired head. */
  endStartLine(end: number): void {
    this.#marks.push(VERSION_END, STATUS_END, end)
  }

  /** `start`: offset of the field in the repaired head. `line`: offset in the stream. */
  startField(start: number, line: number): void {
    this.#marks.push(start)
    this.#lines.push(line)
  }

  /** The value of the last field was repaired. */
  repairValue(): void {
    this.#repaired.add(this.#marks.length - 1)
  }

  /** Checks the complete head. A fault's offset is that of its line in the stream. */
  check(bytes: Buffer): Fault | Repair | undefined {
    const finding = checkLenient(bytes, this.#marks, this.#repaired)
    if (!finding || !('code' in finding)) return finding
    const k = this.#marks.findLastIndex((mark) => mark <= finding.at)
    return { code: finding.code, at: this.#lines[k - FIRST_FIELD]! }
  }
}
