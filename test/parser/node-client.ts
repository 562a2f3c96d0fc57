import http from 'node:http'
import { duplexPair } from '../helpers/pair.ts'

/** A response as Node's client reads it, up to the end of the connection. */
export interface Reading {
  version: string
  status: number
  reason: string
  fields: [name: string, value: string][]
  body: string
  /** The body is incomplete, or unexpected bytes follow it. */
  isBroken: boolean
}

/** Lets Node's client read a response, in memory. Returns undefined if it refuses the head. */
export function readByNode(bytes: Buffer, insecureHTTPParser: boolean): Promise<Reading | undefined> {
  const [near, far] = duplexPair()
  return new Promise((resolve) => {
    const request = http.get({ createConnection: () => near, insecureHTTPParser })
    let reading: Reading | undefined
    const done = (isBroken: boolean) => {
      resolve(reading && { ...reading, isBroken })
      near.destroy()
      far.destroy()
    }
    request.on('error', () => done(true))
    request.on('response', (response) => {
      const { httpVersion: version, statusCode, statusMessage, rawHeaders } = response
      const fields = rawHeaders.flatMap((name, i) => (i % 2 ? [] : [[name, rawHeaders[i + 1]!] as [string, string]]))
      reading = { version, status: statusCode!, reason: statusMessage!, fields, body: '', isBroken: false }
      response.setEncoding('latin1')
      response.on('data', (chunk) => (reading!.body += chunk))
      response.on('error', () => done(true))
      response.on('end', () => setImmediate(done, false))
    })
    far.once('data', () => far.end(bytes)).resume()
  })
}
