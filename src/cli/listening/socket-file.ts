import { randomBytes } from 'node:crypto'
import { linkSync, lstatSync, renameSync, rmSync } from 'node:fs'
import type net from 'node:net'
import { closeDescriptorOf } from './descriptors.ts'

/** The socket file of each server, as it was when the server began to listen. */
const files = new WeakMap<net.Server, { path: string; id: string }>()

/** Identifies a socket file. The time tells a reused inode apart. Undefined if the file is not a socket. */
export function idOfSocket(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stats?.isSocket() ? `${stats.dev}:${stats.ino}:${stats.mtimeNs}` : undefined
}

/**
 * Removes a socket file unless it has been replaced since `id` was read. If two processes do this at once, one of them
 * moves the other's new socket away, and puts it back.
 */
export function takeAway(path: string, id: string): void {
  if (idOfSocket(path) !== id) return
  const taken = besides(path)
  try {
    renameSync(path, taken)
    if (idOfSocket(taken) !== id) linkSync(taken, path)
  } catch {
    // Another process was faster. The next listen() finds out.
  }
  rmSync(taken, { force: true })
}

/** Records the socket file of a server that has begun to listen. */
export function remember(server: net.Server, path: string): void {
  const id = idOfSocket(path)
  if (id !== undefined) files.set(server, { path, id })
}

/** Closes a server. Node would remove the file at its path even if it belongs to a successor by now: keep that one. */
export function stopListening(server: net.Server): void {
  const own = files.get(server)
  files.delete(server)
  const now = own && idOfSocket(own.path)
  const kept = own && now !== undefined && now !== own.id ? besides(own.path) : undefined
  if (kept) linkSync(own!.path, kept)
  closeDescriptorOf(server)
  server.close()
  if (kept) renameSync(kept, own!.path)
}

function besides(path: string): string {
  return `${path}.${randomBytes(4).toString('hex')}`
}
