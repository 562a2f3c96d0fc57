import http from 'node:http'
import type { Round, Sample, Workload } from '../types.ts'
import { LoadClient } from './client.ts'

const CONNECTIONS = 32
/** Requests a second: a small part of what any of the peers can do. */
const RATE = 2000
/** Seconds until client and peer have compiled what they run. */
const WARM_UP = 1

function check(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', headers: { host: 'bench.test' } }, (response) => {
      response.resume()
      if (response.statusCode === 200) response.on('end', resolve)
      else reject(new Error(`the answer was ${response.statusCode}`))
    })
    request.on('error', reject)
  })
}

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
  title: `small requests at a fixed rate of ${RATE} a second over ${CONNECTIONS} connections`,
  unit: 'µs of CPU a request',
  backend: 'nginx',
  suits: () => true,
  check,
  run,
}
