import type { RequestLists } from '../recent-requests.ts'
import { all, json, onlyWith, refuse, sameOrigin } from './guards.ts'
import type { Route } from './routes.ts'

export interface RequestsOptions {
  /** The slowest and the failed requests of the last minutes. Undefined: they are not recorded. */
  recent(): RequestLists | undefined | Promise<RequestLists>
}

/** GET /api/requests. It needs the token, as it has addresses of clients and paths. */
export function requestsRoutes({ recent }: RequestsOptions, token: string): Route[] {
  const guard = all(sameOrigin, onlyWith(token))
  return [
    [
      /^\/api\/requests$/,
      'GET',
      async (request) => {
        const refusal = guard(request)
        if (refusal) return refusal
        const lists = await recent()
        return lists ? json(lists) : refuse(404, 'requests are not recorded: start with --admin-requests')
      },
    ],
  ]
}
