import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { configOf, get, startBackend, startService } from '../service/support.ts'
import { pidsOf, startTwo } from '../workers/support.ts'

const isRoot = process.getuid?.() === 0
/** A group to which this process may give a file. */
const GROUP = isRoot ? 12_345 : process.getgid!()

/** Octal mode and group of a file. */
function permissionsOf(path: string): [mode: string, group: number] {
  const { mode, gid } = statSync(path)
  return [(mode & 0o777).toString(8), gid]
}

test('a socket file gets its mode and group, and others in a reload', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const backends = [await startBackend()]
  const { service } = await startService({ backends, listen: [{ path, mode: 0o660, group: GROUP }] })
  expect(permissionsOf(path)).toEqual(['660', GROUP])
  await service.reload(configOf({ backends, listen: [{ path, mode: 0o600 }] }))
  expect(permissionsOf(path)).toEqual(['600', GROUP])
  // A reload that fails takes it back.
  const listen = [{ path, mode: 0o666 }, { path: '/nowhere/x.sock' }]
  await expect(service.reload(configOf({ backends, listen }))).rejects.toThrow('no such directory')
  expect(permissionsOf(path)).toEqual(['600', GROUP])
  const token = 'a b'
  const admin = { listen: { port: 0, host: '127.0.0.1' }, token }
  await expect(service.reload(configOf({ backends, listen: [{ path, mode: 0o666 }], admin }))).rejects.toThrow('token')
  expect(permissionsOf(path)).toEqual(['600', GROUP])
  expect((await get({ socketPath: path })).id).toBe('a')
})

test.runIf(process.platform === 'linux' && !isRoot)('a group that may not be set stops the start', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const started = startService({ listen: [{ path, group: 0 }] })
  await expect(started).rejects.toThrow(`cannot set the mode or the group of unix:${path}: permission denied`)
})

test('workers give a socket file its mode before it has its name, and another one in a reload', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const backends = [await startBackend()]
  const address = { path, mode: '660', group: GROUP }
  const { command, file } = await startTwo({ backends, listen: [address, '127.0.0.1:0'] })
  expect(permissionsOf(path)).toEqual(['660', GROUP])
  await pidsOf({ socketPath: path })
  file.write({ backends, listen: [`unix:${path},mode=600`, '127.0.0.1:0'] })
  command.signal('SIGHUP')
  await command.said('badass: reloaded\n')
  expect(permissionsOf(path)).toEqual(['600', GROUP])
  await pidsOf({ socketPath: path })
})
