// @ts-check
import { setTimeout } from 'node:timers/promises'
import { createServer } from 'badass'

/** Sends the time each second. badass asks for an event when the client has read the one before. */
const clock = () =>
  new ReadableStream({
    async pull(stream) {
      await setTimeout(1000)
      stream.enqueue(Buffer.from(`data: ${new Date().toISOString()}\n\n`))
    },
  })

createServer({
  requests: 'every',
  lookup(head) {
    if (head.path === '/healthz') return new Response('ok\n')
    if (head.path === '/version') return Response.json({ version: '1.2.3' })
    if (head.path === '/clock') return new Response(clock(), { headers: { 'Content-Type': 'text/event-stream' } })
    return { port: 3001, host: '127.0.0.1' }
  },
}).listen(8080)
