import { createBackend } from './backend.ts'

// A backend process. Arguments: HOST PORT NAME. Prints a line to stdout when it listens, and faults to stderr.

const [host, port, name] = process.argv.slice(2)
const server = createBackend(name!, (fault) => console.error(fault))
server.listen({ host, port: Number(port), backlog: 4096 }, () => console.log('listens'))
