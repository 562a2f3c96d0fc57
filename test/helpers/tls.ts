import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { onTestFinished } from 'vitest'
import { Peer } from './net.ts'
import { temporaryDirectory } from './temporary.ts'

export interface Certificate {
  key: Buffer
  cert: Buffer
}

const LOOPBACK = ['DNS:localhost', 'DNS:backend.test', 'IP:127.0.0.1', 'IP:::1']

/** Makes a self-signed certificate for the names of loopback, or for others like 'DNS:*.a.test'. It is its own `ca`. */
export function makeCertificate(names: readonly string[] = LOOPBACK, days = 60): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'badass-'))
  try {
    const key = join(folder, 'key.pem')
    const cert = join(folder, 'cert.pem')
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names.join()}`, '-days', String(days)]
    execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' })
    return { key: readFileSync(key), cert: readFileSync(cert) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Writes a certificate and its key into a directory. Returns their paths. */
export function saveCertificate({ cert, key }: Certificate, directory = temporaryDirectory()) {
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  writeFileSync(files.cert, cert)
  writeFileSync(files.key, key)
  return files
}

let made: Certificate | undefined

/** Like `makeCertificate`, but made once per test file. */
export function certificate(): Certificate {
  made ??= makeCertificate()
  return made
}

/** Connects a peer over TLS. Its own side stays open when the other ends. Destroyed after the test. */
export async function connectTls(port: number, options: tls.ConnectionOptions = {}): Promise<Peer> {
  const half: net.SocketConstructorOpts = { allowHalfOpen: true }
  const socket = tls.connect({ port, host: '127.0.0.1', ca: certificate().cert, ...half, ...options })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return new Peer(socket)
}
