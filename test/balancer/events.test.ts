import { describe, expect, it, onTestFinished } from 'vitest'
import { ProxyError } from '../../src/proxy/index.ts'
import { deadPort } from '../helpers/net.ts'
import { startProxy } from '../helpers/proxy.ts'
import { ask, balancerOf, CLIENT, eventsOf, lookUp, Named, nameIn, requestHead, statusOf, stickyOf } from './support.ts'

const TWO = [
  { port: 1, id: 'a' },
  { port: 2, id: 'b' },
]
const refused = (text = 'refused') => new ProxyError('CONNECT_FAILED', 'connect', new Error(text))

describe('the events', () => {
  it('are emitted once per change', () => {
    const balancer = balancerOf({ backends: TWO })
    const events = eventsOf(balancer)
    const steps: [step: () => void, events: string[]][] = [
      [() => balancer.drain('a'), ['drain a']],
      [() => balancer.drain('a'), []],
      [() => balancer.ready('a'), ['ready a']],
      [() => balancer.ready('a'), []],
      [() => balancer.ready('b'), []],
      [() => balancer.add({ port: 3, id: 'c' }), ['add c']],
      [() => balancer.remove('c'), ['remove c']],
      [() => balancer.update({ backends: TWO }), []],
      [() => balancer.kill('a'), []],
    ]
    for (const [step, expected] of steps) {
      step()
      expect(events.splice(0)).toEqual(expected)
    }
  })

  it('carry a snapshot of the status', () => {
    const balancer = balancerOf({ backends: TWO })
    const seen: unknown[] = []
    balancer.on('drain', (status) => {
      seen.push(status)
      expect(status).toEqual(statusOf(balancer, 'a'))
      status.draining = false
    })
    balancer.drain('a')
    expect(seen).toHaveLength(1)
    expect(statusOf(balancer, 'a').draining).toBe(true)
  })

  it('say who began or ended a drain', () => {
    const balancer = balancerOf({ backends: TWO })
    const seen: string[] = []
    balancer.on('drain', ({ id }, by) => seen.push(`drain ${id} ${by}`))
    balancer.on('ready', ({ id }, by) => seen.push(`ready ${id} ${by}`))
    balancer.drain('a')
    balancer.ready('a')
    expect(seen).toEqual(['drain a operator', 'ready a operator'])
  })

  it('report a backend going down once, with the cause', () => {
    const balancer = balancerOf({ backends: TWO })
    const downs: string[] = []
    balancer.on('down', ({ id, state, failures, lastError }, error) => {
      downs.push(`${id} ${state} ${failures}: ${error.message} ${lastError?.message}`)
    })
    const route = lookUp(balancer, requestHead(), stickyOf('a'), CLIENT)!
    void balancer.errback(refused('one'), route, requestHead())
    void balancer.errback(refused('two'), route, requestHead())
    expect(downs).toEqual(['a down 1: one one'])
    expect(statusOf(balancer, 'a')).toMatchObject({ failures: 2, lastError: { message: 'two' } })
  })

  it('allow a listener to change the balancer', async () => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'dead' }] })
    balancer.on('down', ({ id }) => {
      balancer.remove(id)
      balancer.add({ port: alive.port, id: 'alive' })
    })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    expect(nameIn(await ask(port))).toBe('alive')
    expect(balancer.backends.map(({ id }) => id)).toEqual(['alive'])
  })

  it("never include 'error'", () => {
    const balancer = balancerOf({ backends: TWO })
    const errors: unknown[] = []
    balancer.on('error' as 'up', (error) => void errors.push(error))
    void balancer.errback(refused(), lookUp(balancer, requestHead(), CLIENT)!, requestHead())
    expect(errors).toEqual([])
  })
})

describe('a listener that throws', () => {
  /** Errors that would have ended the process. */
  async function uncaught(): Promise<string> {
    onTestFinished(() => process.setUncaughtExceptionCaptureCallback(null))
    return await new Promise((resolve) =>
      process.setUncaughtExceptionCaptureCallback(({ message }) => resolve(message)),
    )
  }

  it('causes an uncaught exception; the request goes on', async () => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'dead' },
        { port: alive.port, id: 'alive' },
      ],
    })
    balancer.on('down', () => {
      throw new Error('a listener')
    })
    const thrown = uncaught()
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    expect(nameIn(await ask(port))).toBe('alive')
    expect(await thrown).toBe('a listener')
    expect(statusOf(balancer, 'dead').state).toBe('down')
  })

  it('does not interrupt an update', async () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.on('remove', () => {
      throw new Error('a listener')
    })
    const added = eventsOf(balancer)
    const thrown = uncaught()
    balancer.update({ backends: [{ port: 3, id: 'c' }] })
    expect(balancer.backends.map(({ id }) => id)).toEqual(['c'])
    expect(added).toEqual(['add c'])
    expect(await thrown).toBe('a listener')
  })
})
