import type { Controls } from './controls.ts'
import { bodyOfAtMost, json, onlyJson, onlyWith, refuse, sameOrigin } from './guards.ts'
import type { Handler, Route } from './routes.ts'

const MAX_BODY_BYTES = 4_096

/** Routes that need the token. */
export function actions(balancer: Controls, token: string): Route[] {
  const guards = [sameOrigin, onlyWith(token), onlyJson, bodyOfAtMost(MAX_BODY_BYTES)]
  const act = {
    drain: async (id: string) => {
      await balancer.drain(id)
      return { draining: true }
    },
    ready: async (id: string) => {
      await balancer.ready(id)
      return { draining: false }
    },
    kill: async (id: string) => ({ reset: await balancer.kill(id) }),
  }
  const handle: Handler = async (request, id, action) => {
    for (const guard of guards) {
      const refusal = guard(request)
      if (refusal) return refusal
    }
    try {
      return json(await act[action as keyof typeof act](id!))
    } catch (error) {
      if (error instanceof RangeError) return refuse(404, error.message)
      throw error
    }
  }
  return [[/^\/api\/backends\/([^/]+)\/(drain|ready|kill)$/, 'POST', handle]]
}
