// @ts-check
import { createServer } from 'badass'

createServer(
  (head, client) => {
    head.headers['X-Forwarded-For'] = client.remoteAddress // replaces what the client sent; undefined deletes the field
    head.first = head.first.replace(/ (https?:\/\/[^/ ]*)?\/old\//i, ' $1/new/') // the target may be a whole URL
    delete head.headers['X-Debug']
    return { port: 3001, host: '127.0.0.1' }
  },
  (head, dest) => {
    head.headers['X-Served-By'] = `backend ${dest.port}`
    head.append('Set-Cookie', 'seen=1') // adds a field and keeps the others of that name
  },
).listen(8080)
