// Entry point of a worker. The primary passes on the arguments of the command.
import { importOrExit } from '../import.ts'

// A terminal or `pkill` sends these to all processes. Only the primary acts on them.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => undefined)
if (process.features.inspector) (await import('../inspector.ts')).closeEarlyInspector()
const { Worker } = await importOrExit(() => import('./worker.ts'))
new Worker(process.argv.slice(2))
