import type { Round, Sample, Workload } from '../types.ts'
import { ask } from './ask.ts'
import { LoadClient } from './client.ts'

const CONNECTIONS = 32
/** Requests a second: a small part of what each peer can do. */
const RATE = 2000
/** Seconds of load before the measurement. */
const WARM_UP = 1

async function run(round: Round): Promise<Sample> {
  const options = { port: round.port, connections: CONNECTIONS, rate: RATE }
  const client = new LoadClient('latency-client.js', round.cpu, options, true)
  try {
    await client.next()
    await client.ask(WARM_UP)
    const before = round.usage().cpu
    const sample = await client.ask<Sample>(round.seconds)
    return { ...sample, cpu: round.usage().cpu - before }
  } finally {
    await client.stop()
  }
}

export const latency: Workload = {
  name: 'latency',
  title: `small requests at a fixed rate of ${RATE} a second on ${CONNECTIONS} connections`,
  unit: 'µs of CPU a request',
  backend: 'nginx',
  suits: () => true,
  check: async (port) => void (await ask(port, '/')),
  run,
}
