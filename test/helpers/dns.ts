import { once } from 'node:events'
import { createTCPServer, createUDPServer, type DnsHandler, Packet } from 'dns2'
import { onTestFinished } from 'vitest'
import { listen } from './net.ts'

/** How a server fails to answer. `silence` sends nothing at all. */
export type Failure = 'NXDOMAIN' | 'SERVFAIL' | 'silence'

interface Service {
  target: string
  port: number
  priority?: number
  weight?: number
}

/** The records of a name, by kind. A missing kind has no records. */
export interface Records {
  A?: readonly string[] | Failure
  AAAA?: readonly string[] | Failure
  SRV?: readonly Service[] | Failure
  /** s; default 60. */
  ttl?: number
}

type Kind = 'A' | 'AAAA' | 'SRV'
const KINDS: readonly Kind[] = ['A', 'AAAA', 'SRV']

/** A real DNS server on loopback, UDP and TCP. Its answers can change while it runs. */
export class NameServer {
  /** For `Resolver.setServers`. */
  address = ''
  /** The questions in order, such as 'A app.test'. */
  readonly questions: string[] = []
  readonly #names = new Map<string, Records | Failure>()
  readonly #wakes = new Set<() => void>()

  /** Starts a server on a free port until the end of the test. */
  static async start(): Promise<NameServer> {
    const names = new NameServer()
    for (;;) {
      const port = await listen(createTCPServer(names.#handle))
      const udp = createUDPServer(names.#handle)
      try {
        udp.bind(port, '127.0.0.1')
        await once(udp, 'listening')
      } catch {
        continue // that UDP port is in use: try the next
      }
      onTestFinished(() => void udp.close())
      names.address = `127.0.0.1:${port}`
      return names
    }
  }

  /** Sets the records of a name. A name that was never set does not exist. */
  set(name: string, records: Records | Failure): void {
    this.#names.set(name, records)
  }

  count(question: string): number {
    return this.questions.filter((one) => one === question).length
  }

  /** Resolves after so many of these questions. */
  async asked(question: string, times = 1): Promise<void> {
    while (this.count(question) < times) await new Promise<void>((resolve) => this.#wakes.add(resolve))
  }

  readonly #handle: DnsHandler = (request, send) => {
    const [question] = request.questions
    const kind = KINDS.find((one) => Packet.TYPE[one] === question?.type)
    if (!question || !kind) throw new Error(`a question that no test asks: ${question?.type}`)
    const name = question.name.toLowerCase()
    const response = Packet.createResponseFromRequest(request)
    const found = this.#names.get(name) ?? 'NXDOMAIN'
    const records = typeof found === 'string' ? found : (found[kind] ?? [])
    if (typeof records === 'string') response.header.rcode = { NXDOMAIN: 3, SERVFAIL: 2, silence: 0 }[records]
    else response.answers = records.map((one) => resource(name, kind, one, (found as Records).ttl ?? 60))
    if (records !== 'silence') void send(response)
    this.questions.push(`${kind} ${name}`)
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
  }
}

interface BitWriter {
  write(value: number, bits: number): void
}

// dns2 compresses every name. RFC 2782 forbids it for targets, and the resolver of Node 22 refuses them.
Object.assign((Packet.Resource as unknown as Record<'SRV', object>).SRV, {
  encode({ priority, weight, port, target }: Required<Service>, writer: BitWriter) {
    for (const number of [priority, weight, port]) writer.write(number, 16)
    for (const label of target.split('.').filter(Boolean)) {
      writer.write(label.length, 8)
      for (const byte of Buffer.from(label)) writer.write(byte, 8)
    }
    writer.write(0, 8)
  },
})

function resource(name: string, kind: Kind, record: string | Service, ttl: number) {
  const data = typeof record === 'string' ? { address: record } : { priority: 0, weight: 0, ...record }
  const question = new Packet.Question(name, Packet.TYPE[kind], Packet.CLASS.IN)
  return Packet.createResourceFromQuestion(question, { ...data, ttl })
}
