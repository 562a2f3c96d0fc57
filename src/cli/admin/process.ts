import { collectDefaultMetrics, Registry } from 'prom-client'

let registry: Registry | undefined

/**
 * CPU, memory, event loop of this process, as the text that Prometheus reads. They are measured from the first call on:
 * what measures them cannot be stopped again. `worker`: the label that tells its figures from those of others.
 */
export async function processMetrics(worker?: string): Promise<string> {
  if (!registry) {
    registry = new Registry()
    collectDefaultMetrics({ register: registry })
  }
  registry.setDefaultLabels(worker === undefined ? {} : { worker })
  return registry.metrics()
}

/** Makes one text of several: all that is said of a metric has to stand together. */
export function joinMetrics(texts: readonly string[]): string {
  const samples = new Map<string, string[]>()
  for (const text of texts) {
    for (const [, about, lines] of text.matchAll(/^(# HELP .*\n# TYPE .*\n)((?:[^#\n].*\n)*)/gm)) {
      samples.set(about!, [...(samples.get(about!) ?? []), lines!])
    }
  }
  return [...samples].map(([about, lines]) => `${about}${lines.join('')}\n`).join('')
}
