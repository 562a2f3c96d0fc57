import type http from 'node:http'
import { WEIGHT } from '../../balancer/index.ts'
import { capture, peerName } from '../../proxy/index.ts'
import { messageOf } from '../../show.ts'
import { anObject, optional, validateOptions } from '../../validate.ts'
import { type Controls, NoAnswer } from './controls.ts'
import { all, bodyOfAtMost, json, onlyJson, onlyWith, refuse, sameOrigin } from './guards.ts'
import { type Handler, orRefusal, type Route } from './routes.ts'

const MAX_BODY_BYTES = 4_096

/** Does it. Returns the answer, and text for the log such as 'drained backend x'. */
type Action = (id: string, request: http.IncomingMessage) => Promise<[answer: object, done: string]>

/** Routes that need the token. `say` gets a line for each action that was done. */
export function actions(balancer: Controls, token: string, say: (line: string) => void): Route[] {
  const guard = all(sameOrigin, onlyWith(token), onlyJson, bodyOfAtMost(MAX_BODY_BYTES))
  const act = actionsOn(balancer)
  const handle: Handler = async (request, id, action) => {
    const refusal = guard(request)
    if (refusal) return refusal
    const peer = nameOf(request)
    try {
      return await orRefusal(async () => {
        const [answer, done] = await act[action as keyof typeof act](id!, request).catch((error: unknown) => {
          if (error instanceof NoAnswer) say(`admin: ${peer} requested ${action} for backend ${id}: ${error.message}`)
          throw error
        })
        say(`admin: ${peer} ${done}`)
        return json(answer)
      })
    } catch (error) {
      if (error instanceof BadBody) return refuse(400, error.message)
      throw error
    }
  }
  return [[/^\/api\/backends\/([^/]+)\/(drain|ready|kill|weight)$/, 'POST', handle]]
}

function actionsOn(balancer: Controls): Record<'drain' | 'ready' | 'kill' | 'weight', Action> {
  return {
    drain: async (id) => {
      await balancer.drain(id)
      return [{ draining: true }, `drained backend ${id}: it gets no new clients`]
    },
    ready: async (id) => {
      await balancer.ready(id)
      return [{ draining: false }, `ended the drain of backend ${id}`]
    },
    kill: async (id) => {
      const reset = await balancer.kill(id)
      return [{ reset }, `reset ${reset} ${reset === 1 ? 'connection' : 'connections'} of backend ${id}`]
    },
    weight: async (id, request) => {
      const weight = await readWeight(request)
      await balancer.setWeight(id, weight)
      if (weight === undefined) return [{ weight: null }, `gave backend ${id} its configured weight again`]
      return [{ weight }, `set the weight of backend ${id} to ${weight}`]
    },
  }
}

/** The body of a request is not as expected. */
class BadBody extends Error {}

/** Undefined takes the operator's weight away. @throws {BadBody} */
async function readWeight(request: http.IncomingMessage): Promise<number | undefined> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  try {
    const { body } = validateOptions('', { body: anObject }, { body: JSON.parse(text) }) as { body: object }
    const { weight } = validateOptions('body', { weight: optional(WEIGHT, null) }, body)
    return (weight as number | null | undefined) ?? undefined
  } catch (error) {
    // The message of a SyntaxError differs between versions of Node.
    throw new BadBody(error instanceof SyntaxError ? 'body: expected JSON, as in {"weight":2}' : messageOf(error))
  }
}

/** Who asks: the other end of the connection. Anybody can write something else into a field. */
function nameOf({ socket }: http.IncomingMessage): string {
  return peerName(capture(socket).info)
}
