import { fileURLToPath } from 'node:url'
import type { Workload } from '../types.ts'
import { checkKeepAlive } from './ask.ts'
import { wrk } from './wrk.ts'

export const keepAlive: Workload = {
  name: 'keep-alive',
  title: 'small requests on 64 connections that stay open (wrk)',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: () => true,
  check: checkKeepAlive,
  run: ({ port, seconds }) => wrk({ port, seconds, connections: 64 }),
}

// Beside the source, not beside what tsc makes of it.
const script = fileURLToPath(new URL('../../../proxy/loads/pipelined.lua', import.meta.url))

export const pipelined: Workload = {
  name: 'pipelined',
  title: 'small requests, 16 to a write, on 64 connections (wrk)',
  unit: 'µs of CPU a request',
  wantsWarmUp: true,
  backend: 'nginx',
  suits: () => true,
  check: checkKeepAlive,
  run: ({ port, seconds }) => wrk({ port, seconds, connections: 64, script }),
}
