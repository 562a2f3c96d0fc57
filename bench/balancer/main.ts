import { channel } from 'node:diagnostics_channel'
import { type BalancerOptions, createBalancer } from 'badass'
import { parseHead } from 'badass/parser'

// The cost of choosing a backend, by the number of backends: npm run bench:balancer. A turn is a lookup, a new connection and
// the end of an older one, while 1,000 are open. Median of 7 rounds.

const COUNTS = [10, 100, 1000, 5000, 10_000]
const ALGORITHMS = ['round-robin', 'least-connections', 'random-two', 'hash'] as const
const ROUNDS = 7
const ROUND_MS = 100
const OPEN = 1000

const head = parseHead(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'request')
const [routed, closed] = [channel('badass:connection:routed'), channel('badass:connection:close')]

/** Returns µs of CPU a turn. */
function measure(algorithm: NonNullable<BalancerOptions['algorithm']>, count: number, heaviest: number): number {
  const backends = Array.from({ length: count }, (_, i) => ({
    port: 80,
    host: `10.0.${i >> 8}.${i & 255}`,
    weight: 1 + ((i * 7919) % heaviest),
  }))
  const balancer = createBalancer({ algorithm, backends })
  const open: object[] = []
  let client = 0
  const turn = () => {
    const remoteAddress = `10.1.${(client >> 8) & 255}.${client & 255}`
    client++
    const dest = balancer.lookup(head, {
      remoteAddress,
      remotePort: 1,
      localPort: 2,
      encrypted: false,
      transport: 'tcp',
    })
    if (!dest) throw new Error('no backend')
    const connection = { state: 'Routing', bytesRead: 0, bytesWritten: 0 }
    routed.publish({ connection, head, dest })
    open.push(connection)
    if (open.length > OPEN) closed.publish({ connection: open.shift() })
  }
  for (let i = 0; i < OPEN; i++) turn()
  const times = Array.from({ length: ROUNDS }, () => {
    const start = process.cpuUsage()
    const elapsed = () => process.cpuUsage(start).user + process.cpuUsage(start).system
    let turns = 0
    for (; elapsed() < ROUND_MS * 1000; turns += 50) for (let i = 0; i < 50; i++) turn()
    return elapsed() / turns
  })
  balancer.close()
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!
}

console.log(`| µs of CPU a turn, Node ${process.versions.node} | ${COUNTS.join(' | ')} backends |`)
console.log(`|---|${'---:|'.repeat(COUNTS.length)}`)
for (const algorithm of ALGORITHMS) {
  for (const heaviest of [1, 100]) {
    const cells = COUNTS.map((count) => measure(algorithm, count, heaviest).toFixed(2))
    console.log(`| ${algorithm}, weights ${heaviest === 1 ? 'equal' : `1 to ${heaviest}`} | ${cells.join(' | ')} |`)
  }
}
