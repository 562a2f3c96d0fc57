import { expect, test } from 'vitest'
import { Command } from '../../cli/command.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { ProxyProcess } from '../../helpers/proxy-process.ts'
import { report } from '../../helpers/report.ts'
import { Load, startSlowBackend } from './load.ts'

expectNoWarnings()

const host = '127.0.0.1'
const CLIENTS = 64
/** Number of requests before the drain, and their time limit. */
const BEFORE = 500
const GRACE = 30_000

/** Drains under load. `drain` resolves at its end with the ports of the accepted clients. */
async function expectNothingCut(what: string, port: number, drain: () => Promise<number[]>): Promise<void> {
  const load = new Load(port)
  const running = load.run(CLIENTS)
  await load.until(BEFORE)
  load.isEnding = true
  const before = load.whole
  const accepted = await drain()
  await running
  expect(load.cut(accepted)).toEqual([])
  // Connections were open, and all of them ended by themselves.
  expect(load.whole - before).toBeGreaterThan(CLIENTS)
  const late = load.made.length - accepted.length
  report(
    `${what} under load`,
    `${load.whole} requests whole, ${load.whole - before} of them after it began; 0 cut; ${late} connections came too late`,
  )
}

test('drain() cuts no request that was accepted', async () => {
  const proxy = new ProxyProcess()
  const port = await proxy.listen({
    backend: { port: await startSlowBackend(), host },
    isModified: false,
    isWatched: true,
  })
  await expectNothingCut('drain()', port, async () => proxy.drain(GRACE))
})

test('SIGTERM cuts no request that was accepted', async () => {
  const backend = await startSlowBackend()
  const command = Command.start('--listen', `${host}:0`, '--log', 'json', '--grace', String(GRACE), String(backend))
  await expectNothingCut('SIGTERM', await command.port(), async () => {
    command.signal('SIGTERM')
    expect(await command.exited).toBe(0)
    const lines = command.stdout.trim().split('\n')
    return lines.map((line) => Number(new URL(`http://${JSON.parse(line).client}`).port))
  })
})
