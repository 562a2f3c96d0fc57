import { existsSync, readdirSync, renameSync } from 'node:fs'
import net from 'node:net'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { idOfSocket, takeAway } from '../../../src/cli/listening/socket-file.ts'
import { connect, listen } from '../../helpers/net.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { get, startBackend, startService } from '../service/support.ts'

test('a service that ends keeps the socket of its successor', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const settings = { backends: [await startBackend('a')], listen: [{ path }] }
  const { service: old } = await startService(settings)
  renameSync(path, `${path}.moved`)
  const { service } = await startService({ ...settings, backends: [await startBackend('b')] })
  old.stop()
  expect((await get({ socketPath: path })).id).toBe('b')
  service.stop()
  expect(existsSync(path)).toBe(false)
})

test('a service keeps the new socket of another one that replaced the same stale socket', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const stale = net.createServer().listen(path)
  await new Promise((resolve) => stale.on('listening', resolve))
  const id = idOfSocket(path)!
  takeAway(path, id)
  await listen(net.createServer(), { path })
  takeAway(path, id)
  await connect({ path })
  expect(readdirSync(dirname(path))).toEqual(['x.sock'])
  stale.close()
})
