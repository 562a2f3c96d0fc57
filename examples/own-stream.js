// @ts-check
import { spawn } from 'node:child_process'
import { Duplex } from 'node:stream'
import { createServer } from 'badass'

// Reaches a backend behind a jump host: each connection is an `ssh -W`.
const connect = () => {
  const { stdin, stdout } = spawn('ssh', ['-W', '127.0.0.1:3001', 'jump.example'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  return Duplex.from({ writable: stdin, readable: stdout })
}

createServer(() => ({ connect })).listen(8080)
