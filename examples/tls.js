// @ts-check
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { handler } from 'badass'

const cert = readFileSync('cert.pem')
const key = readFileSync('key.pem')

// TLS from the client ends here. TLS to the backend starts here.
tls
  .createServer(
    { cert, key },
    handler(() => ({ port: 3443, host: 'localhost', tls: { ca: cert } })),
  )
  .listen(8443)
