// node slow.js 1000 < access.log: which backend took 1 s or more to begin a response, since when, and for whom.
import { createInterface } from 'node:readline'

const slowMs = Number(process.argv[2] ?? 1000)
const backends = new Map()
for await (const line of createInterface({ input: process.stdin })) {
  const { time, client, pool, backend, firstByteMs } = JSON.parse(line)
  if (firstByteMs === null) continue
  const name = `${pool} ${backend}`
  const one = backends.get(name) ?? { requests: 0, slow: 0, since: time, last: time, clients: new Map() }
  backends.set(name, one)
  one.requests++
  if (firstByteMs < slowMs) continue
  if (one.slow++ === 0) one.since = time
  one.last = time
  const address = client.replace(/:\d+$/, '')
  one.clients.set(address, (one.clients.get(address) ?? 0) + 1)
}
for (const [name, { requests, slow, since, last, clients }] of backends) {
  const most = [...clients].sort(([, a], [, b]) => b - a).slice(0, 3)
  const whom = most.map(([client, count]) => `${client} (${count})`).join(', ')
  console.log(`${name}: ${slow} of ${requests}${slow > 0 ? `, from ${since} to ${last}, for ${whom}` : ''}`)
}
