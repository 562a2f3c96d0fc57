import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Command } from '../../cli/command.ts'
import { listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { descriptorsOf, limitDescriptors, ProxyProcess } from '../../helpers/proxy-process.ts'
import { report } from '../../helpers/report.ts'

expectNoWarnings()

const host = '127.0.0.1'
const CLIENTS = 1_000
const FAULT = 'badass: out of '

type Outcome = 'served' | 'told' | 'closed'

/** A client that sends a request and stays connected. */
class Client {
  readonly #socket: net.Socket

  constructor(port: number) {
    this.#socket = net.connect({ port, host }).on('error', () => undefined)
    onTestFinished(() => this.leave())
  }

  /** Resolves with the outcome. No client may hang. */
  async ask(): Promise<Outcome> {
    let text = ''
    this.#socket.write(GET)
    return new Promise((resolve) => {
      this.#socket.setEncoding('latin1').on('data', (chunk) => {
        text += chunk
        if (text === OK) resolve('served')
      })
      this.#socket.on('close', () => resolve(/^HTTP\/1\.1 50[23] [\s\S]+\n$/.test(text) ? 'told' : 'closed'))
    })
  }

  leave(): void {
    this.#socket.destroy()
  }
}

/** Makes a process run out of descriptors while the clients stay. */
async function exhaust(pid: number, port: number, spare: number) {
  const highest = Math.max(...descriptorsOf(pid).map(Number))
  limitDescriptors(pid, highest + 1 + spare)
  const outcomes: Record<Outcome, number> = { served: 0, told: 0, closed: 0 }
  const clients: Client[] = []
  for (let i = 0; i < CLIENTS; i++) {
    const client = new Client(port)
    clients.push(client)
    outcomes[await client.ask()]++
  }
  expect(outcomes.served).toBeGreaterThan(0)
  expect(outcomes.served).toBeLessThan(CLIENTS / 2)
  return { clients, outcomes }
}

async function startBackend(): Promise<number> {
  return listen(
    net.createServer((socket) => void socket.on('error', () => undefined).on('data', () => socket.write(OK))),
  )
}

/** Resolves when descriptors are free again, soon after the clients have left. */
async function expectServed(port: number): Promise<void> {
  await expect
    .poll(async () => {
      const client = new Client(port)
      return client.ask().finally(() => client.leave())
    })
    .toBe('served')
}

// With one more or less, either a client or its backend connection gets the last descriptor.
describe.skipIf(process.platform !== 'linux').each([20, 21])('with %i descriptors to spare', (spare) => {
  test('the engine stays up, and serves again when some are free', async () => {
    const proxy = new ProxyProcess()
    const port = await proxy.listen({ backend: { port: await startBackend(), host }, isModified: false })
    const { clients } = await exhaust(proxy.pid, port, spare)
    for (const client of clients) client.leave()
    await expectServed(port)
    expect(proxy.isUp).toBe(true)
  })

  test('the command stays up, reports it once in 10 s, and serves again when some are free', async () => {
    const start = performance.now()
    const command = Command.start('--listen', '127.0.0.1:0', String(await startBackend()))
    const port = await command.port()
    const { clients, outcomes } = await exhaust(command.pid, port, spare)
    await command.said(FAULT)
    for (const client of clients) client.leave()
    await expectServed(port)
    command.signal('SIGTERM')
    expect(await command.exited).toBe(0)
    const said = command.stderr.split('\n').filter((line) => line.startsWith(FAULT))
    expect(said.filter((line) => !line.includes('EMFILE'))).toEqual([])
    expect(said.length).toBeGreaterThan(0)
    expect(said.length).toBeLessThanOrEqual(1 + (performance.now() - start) / 10_000)
    const { served, told, closed } = outcomes
    report(
      `out of descriptors, with ${spare} to spare`,
      `of ${CLIENTS} clients ${served} served, ${told} told, ${closed} closed; ${said.length} lines on stderr`,
    )
  })
})
