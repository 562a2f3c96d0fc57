// What a worker runs. Its primary gives it the arguments of the command.

// Of a terminal these come to all its processes: the primary says what is to be done.
for (const signal of ['SIGHUP', 'SIGINT'] as const) process.on(signal, () => undefined)
const { Worker } = await import('./worker.ts')
new Worker(process.argv.slice(2))
