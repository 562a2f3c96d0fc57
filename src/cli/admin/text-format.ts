import { setImmediate as turn } from 'node:timers/promises'

export type Kind = 'counter' | 'gauge' | 'histogram'

/** Of the text format of Prometheus. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Parts of a text that are written in one turn of the event loop: some 1,000 lines. */
const PARTS_PER_TURN = 100

export function about(name: string, kind: Kind, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`
}

/** `labels` come from `labelsOf`. */
export function sample(name: string, labels: string, value: number): string {
  const text = value === Number.POSITIVE_INFINITY ? '+Inf' : String(value)
  return labels === '' ? `${name} ${text}\n` : `${name}{${labels}} ${text}\n`
}

export function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.join(',')
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (one) => (one === '\n' ? '\\n' : `\\${one}`))
}

/** Encodes a text in slices of many parts. Other events are handled in between. */
export async function writeInSlices(parts: Iterable<string>): Promise<readonly Buffer[]> {
  const slices: Buffer[] = []
  let text = ''
  let count = 0
  for (const part of parts) {
    text += part
    count++
    if (count % PARTS_PER_TURN > 0) continue
    slices.push(Buffer.from(text))
    text = ''
    await turn()
  }
  return [...slices, Buffer.from(text)]
}
