// A backend that writes down each request before it answers: what has arrived is known after a kill too.
import { appendFileSync } from 'node:fs'
import http from 'node:http'

const { HOST, PORT, LOG } = process.env
const server = http.createServer((request, response) => {
  if (request.url === '/health') return response.end()
  appendFileSync(LOG, `${request.headers['x-id']}\n`)
  let length = 0
  request.on('data', (chunk) => {
    length += chunk.length
  })
  // Not at once, so that a kill finds requests at work.
  const answer = () => response.end(JSON.stringify({ pid: process.pid, length }))
  request.on('end', () => setTimeout(answer, Math.random() * 8))
})
process.on('disconnect', () => process.exit())
server.listen(Number(PORT), HOST, () => process.send({ port: server.address().port }))
