import { createBackend } from './backend.ts'

// A backend, a process of its own: HOST PORT NAME. It says on stdout that it listens, and on stderr what was wrong.

const [host, port, name] = process.argv.slice(2)
const server = createBackend(name!, (what) => console.error(what))
server.listen({ host, port: Number(port), backlog: 4096 }, () => console.log('listens'))
