#!/usr/bin/env node
import { importOrExit } from './import.ts'

// First of all: by default SIGHUP and SIGUSR2 end the process, and SIGUSR1 opens Node's inspector.
for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => undefined)
if (process.features.inspector) (await import('./inspector.ts')).closeEarlyInspector()
const { main } = await importOrExit(() => import('./run.ts'))
await main(process.argv.slice(2))
