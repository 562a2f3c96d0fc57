import type { Head } from '../../index.ts'

/** Takes options out of the Connection field (RFC 9110 7.6.1). */
export function dropOptions(head: Head, names: readonly string[]): void {
  const options = optionsOf(head)
  const others = without(options, names)
  if (others.length === options.length) return
  if (others.length > 0) head.set('Connection', others.join(', '))
  else head.delete('Connection')
}

/** Asks the backend for one response, and the end of the connection after it. Not where the protocol is to change. */
export function askToClose(head: Head): void {
  if (head.version === 'HTTP/2.0' || head.has('upgrade')) return
  head.set('Connection', [...without(optionsOf(head), ['close', 'keep-alive']), 'close'].join(', '))
}

function optionsOf(head: Head): string[] {
  const options = head.get('connection')?.split(',') ?? []
  return options.map((option) => option.trim()).filter((option) => option !== '')
}

function without(options: readonly string[], names: readonly string[]): string[] {
  const unwanted = new Set(names.map((name) => name.toLowerCase()))
  return options.filter((option) => !unwanted.has(option.toLowerCase()))
}
