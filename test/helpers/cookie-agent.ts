import http from 'node:http'
import { CookieJar } from 'tough-cookie'

/** The methods that agents of Node and npm override. Node does not document them. */
interface Adding {
  addRequest(request: http.ClientRequest, options: object): void
}

const { addRequest } = http.Agent.prototype as unknown as Adding

/** The connections and the cookies of one browser profile. Both are kept and never shared. */
export class CookieAgent extends http.Agent {
  readonly jar = new CookieJar()

  constructor() {
    super({ keepAlive: true, maxSockets: 6 })
  }

  addRequest(request: http.ClientRequest, options: object): void {
    const url = `http://${request.getHeader('host')}${request.path}`
    const cookies = this.jar.getCookieStringSync(url)
    if (cookies) request.setHeader('Cookie', cookies)
    const keep = (response: http.IncomingMessage) => {
      for (const cookie of response.headers['set-cookie'] ?? []) this.jar.setCookieSync(cookie, url)
    }
    // Runs before the caller's listeners: their next request may need the cookie.
    request.prependListener('response', keep)
    request.prependListener('upgrade', keep)
    addRequest.call(this, request, options)
  }
}
