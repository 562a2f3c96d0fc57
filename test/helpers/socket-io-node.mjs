// One node of a socket.io cluster: it knows the sessions that began here, and no others.
import http from 'node:http'
import { Server } from 'socket.io'

const { HOST, PORT, NAME } = process.env
// Longer than any test: the XHR of socket.io's client in Node does not get over a request that meets the end of an idle
// connection. It sends it once more, but never to its end.
const server = http.createServer({ keepAliveTimeout: 300_000 })
const io = new Server(server)
io.on('connection', (socket) => {
  socket.emit('home', NAME)
  socket.on('echo', (text, reply) => reply(`${NAME}: ${text}`))
})
io.engine.on('connection_error', ({ code, message }) => process.send({ code, message }))
process.on('disconnect', () => process.exit())
server.listen(Number(PORT), HOST, () => process.send({ port: server.address().port }))
