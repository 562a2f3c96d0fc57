import { vi } from 'vitest'

const INDEX = /^\d+$/

/**
 * Counts how many bytes are read and copied. A counted buffer is a Proxy that looks like a Buffer, as is each view of
 * it. Unknown methods throw, so that nothing goes uncounted.
 */
export class Tally {
  /** Bytes read by index or by a method. */
  looks = 0
  copied = 0
  /** The size of each buffer that was allocated while watched. */
  readonly allocations: number[] = []
  readonly #real = new WeakMap<object, Buffer>()

  /** Runs something that may allocate one way only, and counts what it allocates and does with it. */
  watch<T>(run: () => T): T {
    const allocate = Buffer.allocUnsafeSlow
    const spies = [
      vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation((size) => {
        this.allocations.push(size)
        return this.counted(allocate(size))
      }),
      ...(['alloc', 'allocUnsafe', 'concat', 'copyBytesFrom'] as const).map((name) =>
        vi.spyOn(Buffer, name).mockImplementation(() => {
          throw new Error(`Tally: Buffer.${name} is not counted`)
        }),
      ),
    ]
    try {
      return run()
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  }

  counted<B extends Buffer>(bytes: B): B {
    const methods = this.#methods(bytes)
    const proxy = new Proxy(bytes, {
      get: (target, key) => {
        if (typeof key === 'string' && INDEX.test(key)) {
          this.looks++
          return target[Number(key)]
        }
        if (typeof key === 'string' && key in methods) return methods[key as keyof typeof methods]
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value === 'function' && key !== 'constructor')
          throw new Error(`Tally: ${String(key)} is not counted`)
        return value
      },
      // A byte that is read to be written here is copied, not looked at.
      set: (target, key, byte) => {
        this.looks--
        this.copied++
        return Reflect.set(target, key, byte, target)
      },
    })
    this.#real.set(proxy, bytes)
    return proxy
  }

  #methods(bytes: Buffer) {
    return {
      subarray: (start?: number, end?: number) => this.counted(bytes.subarray(start, end)),
      copy: (target: Buffer, at = 0, start = 0, end = bytes.length) => {
        const count = bytes.copy(this.#real.get(target) ?? target, at, start, end)
        this.copied += count
        return count
      },
      set: (source: Buffer, at: number) => {
        bytes.set(this.#real.get(source) ?? source, at)
        this.copied += source.length
      },
      toString: (encoding: BufferEncoding, start = 0, end = bytes.length) => {
        this.looks += end - start
        return bytes.toString(encoding, start, end)
      },
      indexOf: (value: number, from: number) => {
        const at = bytes.indexOf(value, from)
        this.looks += (at < 0 ? bytes.length : at) - from
        return at
      },
    }
  }
}
