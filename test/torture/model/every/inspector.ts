import { BackendConnection, type BackendUser } from '../../../../src/proxy/backend-connection.ts'
import { Pool } from '../../../../src/proxy/pool.ts'
import { type ConnectionState, StateMachine } from '../../../../src/proxy/states.ts'
import { BackendSocket } from '../../../../src/proxy/tunnel/backend-socket.ts'

type Connect = (socket: BackendSocket, to: { port: number }) => void

/** Looks into the engine, and gives its sockets to backends another network. `restore` undoes that. */
export class Inspector {
  readonly states = new Map<StateMachine, ConnectionState[]>()
  pool: Pool | undefined
  readonly #users = new WeakMap<BackendConnection, BackendUser>()
  readonly #undo: (() => void)[] = []

  constructor(connect: Connect) {
    const { states } = this
    const users = this.#users
    const { put } = Pool.prototype
    const pooled = (pool: Pool) => {
      this.pool = pool
    }
    this.#replace(Pool.prototype, 'put', {
      value(this: Pool, connection: BackendConnection) {
        pooled(this)
        put.call(this, connection)
      },
    })
    const setUser = Object.getOwnPropertyDescriptor(BackendConnection.prototype, 'user')!.set!
    this.#replace(BackendConnection.prototype, 'user', {
      set(this: BackendConnection, user: BackendUser | undefined) {
        if (user) users.set(this, user)
        else users.delete(this)
        setUser.call(this, user)
      },
    })
    const { enter } = StateMachine.prototype
    this.#replace(StateMachine.prototype, 'enter', {
      value(this: StateMachine, state: ConnectionState) {
        const entered = states.get(this)
        if (entered) entered.push(state)
        else states.set(this, [state])
        enter.call(this, state)
      },
    })
    this.#replace(BackendSocket.prototype, 'connect', {
      value(this: BackendSocket, to: { port: number }) {
        connect(this, to)
        return this
      },
    })
  }

  /** Whether an exchange has a backend connection. */
  hasUser(connection: BackendConnection): boolean {
    return this.#users.has(connection)
  }

  restore(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  #replace(prototype: object, name: string, property: PropertyDescriptor): void {
    const before = Object.getOwnPropertyDescriptor(prototype, name)
    Object.defineProperty(prototype, name, { configurable: true, ...property })
    this.#undo.push(() => {
      if (before) Object.defineProperty(prototype, name, before)
      else Reflect.deleteProperty(prototype, name)
    })
  }
}
