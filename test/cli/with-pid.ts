import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { Command } from './command.ts'
import { get } from './service/support.ts'

/** Starts the command with an admin page and a config module that sends backends the pid of the process. */
export async function startWithPid(routing: object, workers: number) {
  const settings = { listen: '127.0.0.1:0', admin: '127.0.0.1:0', requests: 'every' }
  const file = join(temporaryDirectory(), 'badass.mjs')
  writeFileSync(
    file,
    `export default ${JSON.stringify({ ...settings, ...routing })}
    export function lookup(head) { head.headers['X-Pid'] = String(process.pid) }`,
  )
  const command = Command.start('--config', file, '--workers', String(workers))
  const port = await command.port()
  const [, admin] = /admin page on (\S+)#/.exec(await command.said('admin page on'))!
  const ask = (path: string) => get({ port, host: '127.0.0.1', path })
  return { command, admin: admin!, ask }
}
