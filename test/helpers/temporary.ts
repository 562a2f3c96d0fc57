import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A new empty directory, removed after the test. Its path is short enough for Unix sockets in it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'badass-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
