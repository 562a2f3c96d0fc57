#!/usr/bin/env node

// A SIGHUP that comes while the modules load would end the process.
process.on('SIGHUP', () => undefined)
const { main } = await import('./run.ts')
await main(process.argv.slice(2))
