import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Primary } from '../../../src/cli/workers/primary.ts'
import { WORKER_SETTINGS, type WorkerSettings } from '../../../src/cli/workers/settings.ts'
import { Backend } from '../../helpers/net.ts'
import { load } from '../config/support.ts'
import { Lines, portOf, startBackend } from '../service/support.ts'
import { ConfigFile, pidsOf, untilServedBy } from './support.ts'

// The primary runs here, with less time for its workers than the command gives them. They run the built command.

const REPLACING = 'replacing it'
const EXEC = join(import.meta.dirname, '../../../dist/cli/worker.js')
/** Silence is noticed soon. */
const ALERT = { beatMs: 50 }
/** Silence is noticed, and forgiven. */
const PATIENT = { beatMs: 50, lostBeats: 10_000 }

interface Started {
  port: number
  admin: string
  token: string
  said: Lines
  /** Writes the config file again, and loads it. */
  reload(settings: object, code?: string): Promise<void>
}

/** Two workers, until the test is over. */
async function startTwo(settings: object, quick: Partial<WorkerSettings>): Promise<Started> {
  const file = new ConfigFile(await Backend.start(), settings)
  const argv = ['--workers', '2', '--admin', '127.0.0.1:0']
  const said = new Lines()
  const io = { say: said.add, log: () => undefined }
  const limits = { ...WORKER_SETTINGS, exec: EXEC, ...quick }
  const primary = await Primary.start(await load(file.path, ...argv), ['--config', file.path, ...argv], io, limits)
  onTestFinished(() => primary.stop())
  return {
    port: portOf(primary.addresses[0]),
    admin: primary.adminUrl!.replace(/#.*/, ''),
    token: primary.adminUrl!.replace(/.*#token=/, ''),
    said,
    async reload(settings, code) {
      file.write(settings, code)
      await primary.reload(await load(file.path, ...argv))
    },
  }
}

/** Stops a process: it answers nothing, and accepts nothing. */
function stop(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  onTestFinished(() => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has been killed.
    }
  })
}

/** Asks again and again until the answer is right. */
async function until(url: string, isRight: (status: number, text: string) => boolean): Promise<void> {
  for (;;) {
    const response = await fetch(url)
    if (isRight(response.status, await response.text())) return
  }
}

describe('a worker that does not answer', () => {
  test('is killed by a reload that waits for it; the others do not wait longer', async () => {
    const { port, admin, said, reload } = await startTwo(
      { backends: [await startBackend('a')] },
      { ...PATIENT, answerMs: 2_000 },
    )
    const [silent, other] = await pidsOf(port)
    stop(silent)
    const reloaded = reload({ backends: [await startBackend('a')] })
    process.kill(other, 'SIGKILL')
    const refused = expect(reloaded).rejects.toThrow(/^worker [12] did not answer for 2 s and was killed$/)
    await until(`${admin}healthz`, (status, text) => status === 503 && text === 'no worker serves\n')
    await refused
    while (said.all.filter((line) => line.includes(REPLACING)).length < 2) await said.untilCount(said.all.length + 1)
    await until(`${admin}healthz`, (status) => status === 200)
    await until(`${admin}metrics`, (_, text) => text.includes('\nbadass_workers 2\n'))
    expect(await pidsOf(port)).not.toContain(silent)
    await reload({ backends: [await startBackend('b')] })
    const all = await untilServedBy((pids) => pids.size === 2, port)
    expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['b']))
  })

  test('does not count as serving, and is replaced after a while', async () => {
    const { port, admin, said } = await startTwo({ backends: [await startBackend()] }, { ...ALERT, lostBeats: 100 })
    const [silent, other] = await pidsOf(port)
    stop(silent)
    await until(`${admin}metrics`, (_, text) => text.includes('\nbadass_workers 1\n'))
    expect(await said.until(REPLACING)).toMatch(/^worker [12] did not answer for 5 s and was killed; replacing it/)
    await until(`${admin}metrics`, (_, text) => text.includes('\nbadass_workers 2\n'))
    await untilServedBy((pids) => pids.size === 2 && pids.has(other), port)
  })

  test('is not waited for by those who read the admin page', async () => {
    const { port, admin } = await startTwo({ backends: [await startBackend('a')] }, PATIENT)
    const [silent] = await pidsOf(port)
    stop(silent)
    await until(`${admin}metrics`, (_, text) => text.includes('\nbadass_workers 1\n'))
    // If each took a second, the test would time out.
    for (let i = 0; i < 50; i++) {
      expect((await fetch(`${admin}api/setup`)).status).toBe(200)
      // 503: the other worker was late.
      expect([200, 503]).toContain((await fetch(`${admin}api/backends/a`)).status)
    }
  })

  test('gets an action later, and the answer is a 503 if no other has answered', async () => {
    const { port, admin, token, said } = await startTwo({ backends: [await startBackend('a')] }, PATIENT)
    const pids = await pidsOf(port)
    await until(`${admin}api/state`, (_, text) => text.includes('"id":"a"'))
    for (const pid of pids) stop(pid)
    const about = await fetch(`${admin}api/backends/a`)
    expect([about.status, await about.json()]).toEqual([503, { error: 'no worker answered within a second' }])
    expect((await fetch(`${admin}api/backends/nobody`)).status).toBe(404)
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const action = await fetch(`${admin}api/backends/a/drain`, { method: 'POST', headers })
    const error = 'no worker answered within a second; each does it when it runs again'
    expect([action.status, await action.json()]).toEqual([503, { error }])
    expect(said.all).toContain(`admin: 127.0.0.1 requested drain for backend a: ${error}`)
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    // Both workers have done it.
    await until(`${admin}api/backends/a`, (_, text) => text.split('"to":"draining"').length === 3)
  })

  test('counts again when it continues', async () => {
    const { port, admin } = await startTwo({ backends: [await startBackend()] }, PATIENT)
    const pids = await pidsOf(port)
    for (const pid of pids) stop(pid)
    await until(`${admin}healthz`, (status) => status === 503)
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    await until(`${admin}healthz`, (status) => status === 200)
    expect(await pidsOf(port)).toEqual(pids)
  })

  test('if its config module never settles, the reload is aborted and the worker goes on', async () => {
    const { port, said, reload } = await startTwo(
      { backends: [await startBackend('a')] },
      { ...PATIENT, loadMs: 2_000 },
    )
    const pids = await pidsOf(port)
    const never = 'if (cluster.isWorker) await new Promise(() => undefined)'
    const reason = '--config: did not load within 2 s in a worker'
    await expect(reload({ backends: [await startBackend('b')] }, never)).rejects.toThrow(reason)
    expect(await pidsOf(port)).toEqual(pids)
    // A worker that starts is tried again, until the module settles.
    process.kill(pids[0], 'SIGKILL')
    await said.until(`cannot start: ${reason}`)
    await reload({ backends: [await startBackend('c')] })
    const all = await untilServedBy((seen) => seen.size === 2, port)
    expect(new Set(all.map(({ id }) => id))).toEqual(new Set(['c']))
  })
})
