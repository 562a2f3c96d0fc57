import net from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { SharedAddresses } from '../../../src/cli/workers/addresses.ts'
import { Primary } from '../../../src/cli/workers/primary.ts'
import { WORKER_SETTINGS } from '../../../src/cli/workers/settings.ts'
import { Backend, listen } from '../../helpers/net.ts'
import { load } from '../config/support.ts'
import { portOf, startBackend } from '../service/support.ts'
import { ConfigFile, pidsOf } from './support.ts'

// The primary runs here, and the workers run the built command.

const EXEC = join(import.meta.dirname, '../../../dist/cli/worker.js')

/** Another program takes each port that is reserved for the workers, this many times. Returns the ports. */
function takePorts(times: number): number[] {
  const taken: number[] = []
  const { change } = SharedAddresses.prototype
  const spy = vi.spyOn(SharedAddresses.prototype, 'change')
  onTestFinished(() => spy.mockRestore())
  spy.mockImplementation(async function (this: SharedAddresses, given) {
    const changed = await change.call(this, given)
    const { port } = changed.addresses[0] as net.AddressInfo
    if (taken.length < times) taken.push(await listen(net.createServer(), { port, host: '127.0.0.1' }))
    return changed
  })
  return taken
}

async function start(listenOn: string): Promise<Primary> {
  const file = new ConfigFile(await Backend.start(), { listen: listenOn, backends: [await startBackend()] })
  const argv = ['--workers', '2']
  const io = { say: () => undefined, log: () => undefined }
  const config = await load(file.path, ...argv)
  return Primary.start(config, ['--config', file.path, ...argv], io, { ...WORKER_SETTINGS, exec: EXEC })
}

test('the workers get another port if the one that the system chose is taken before they listen', async () => {
  const taken = takePorts(2)
  const primary = await start('127.0.0.1:0')
  onTestFinished(() => primary.stop())
  const port = portOf(primary.addresses[0])
  expect(taken).toHaveLength(2)
  expect(taken).not.toContain(port)
  expect(new Set(await pidsOf(port)).size).toBe(2)
})

test('a port of the config that is taken before the workers listen ends the start', async () => {
  const taken = takePorts(1)
  const server = net.createServer()
  const port = await listen(server)
  server.close()
  await expect(start(`127.0.0.1:${port}`)).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the address is in use`)
  expect(taken).toEqual([port])
})
