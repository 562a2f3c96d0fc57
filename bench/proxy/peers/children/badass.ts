import { createServer, createStickyServer } from 'badass'
import { backend, serve } from './say.ts'

const dest = { port: backend, host: '127.0.0.1' }
const stickyDest = { ...dest, sticky: 'one' }

function create() {
  switch (process.argv[3]) {
    case 'every':
      return createServer({ lookup: () => dest, requests: 'every' })
    case 'modify':
      return createServer(
        () => dest,
        (head) => void head.set('x-proxy', 'badass'),
      )
    case 'sticky':
      return createStickyServer(() => stickyDest, undefined, { cookie: { secret: 'a secret of the bench' } })
    default:
      return createServer(() => dest)
  }
}

serve(create(), 'badass')
