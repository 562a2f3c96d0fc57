import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { start } from '../../bench/common/processes.ts'
import { listen } from '../helpers/net.ts'

const node = (code: string) => [process.execPath, '-e', code]

test('a program whose port another one has taken is not ready', async () => {
  const port = await listen(net.createServer())
  const command = node(`require('net').createServer().listen(${port}, '127.0.0.1')`)
  await expect(start(command, { port })).rejects.toThrow(' ended: ')
})

test('a program is ready when it listens on its port', async () => {
  // Below those that systems hand out by themselves.
  const port = 10_000 + (process.pid % 20_000)
  const program = await start(node(`require('net').createServer().listen(${port}, '127.0.0.1')`), { port })
  onTestFinished(() => program.stop())
  expect(program.pids()).toContain(program.pid)
})

test('a program is ready when it has written a line to stdout, or what was asked for to stderr', async () => {
  const code = `console.log('one'); console.error('listening on http://127.0.0.1:80/'); setInterval(() => {}, 1000)`
  const ready = /http:\S+:(\d+)/
  for (const [options, line] of [[{}, 'one'] as const, [{ ready }, '80'] as const]) {
    const program = await start(node(code), options)
    onTestFinished(() => program.stop())
    expect(program.firstLine).toBe(line)
  }
})
