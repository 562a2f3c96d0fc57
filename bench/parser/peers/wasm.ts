import { createRequire } from 'node:module'
import type { Peer } from './types.ts'

// @types/node 20 does not declare it.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: new (code: Buffer) => object
    Instance: new (module: object, imports: object) => { exports: Llhttp }
  }
}

interface Llhttp {
  memory: { buffer: ArrayBuffer }
  _initialize(): void
  malloc(size: number): number
  llhttp_alloc(type: number): number
  llhttp_execute(parser: number, at: number, length: number): number
  llhttp_get_method(parser: number): number
}

const REQUEST = 1
const GET = 1
const SIZE = 65_536

/** undici's build, used as undici does, but without a Buffer for each part: the parts stay offsets. */
export const wasm: Peer = {
  name: 'undici llhttp WASM',
  note: 'copies each chunk into the memory of the module; fields as offsets; no strings; no check of Host',
  start() {
    const require = createRequire(import.meta.url)
    const code = require('undici/lib/llhttp/llhttp_simd-wasm.js') as Buffer
    // Start and end of the target, then of each name and value.
    let marks: number[] = []
    let isDone = false
    const part = (_parser: number, at: number, length: number): number => {
      // A part that spans chunks comes in pieces.
      if (marks[marks.length - 1] === at) marks[marks.length - 1] = at + length
      else marks.push(at, at + length)
      return 0
    }
    const nothing = () => 0
    const { exports: llhttp } = new WebAssembly.Instance(new WebAssembly.Module(code), {
      env: {
        wasm_on_message_begin: nothing,
        wasm_on_url: part,
        wasm_on_status: nothing,
        wasm_on_header_field: part,
        wasm_on_header_value: part,
        wasm_on_headers_complete() {
          isDone = true
          return 0
        },
        wasm_on_body: nothing,
        wasm_on_message_complete: nothing,
      },
    })
    llhttp._initialize()
    const parser = llhttp.llhttp_alloc(REQUEST)
    const base = llhttp.malloc(SIZE)
    const memory = Buffer.from(llhttp.memory.buffer)
    return {
      parse(chunks) {
        isDone = false
        marks = []
        let at = base
        for (const chunk of chunks) {
          memory.set(chunk, at)
          if (llhttp.llhttp_execute(parser, at, chunk.length) !== 0) return false
          at += chunk.length
        }
        return isDone
      },
      found: () => ({
        method: llhttp.llhttp_get_method(parser) === GET ? 'GET' : 'another',
        target: memory.toString('latin1', marks[0], marks[1]),
        fields: (marks.length - 2) / 4,
      }),
    }
  },
}
