// The token, and requests that need it. This tab keeps it until it is closed.
import { open, say } from './dialogs.js'
import { at } from './dom.js'

const KEY = 'badass-token'
const TIMEOUT_MS = 5_000

/** Moves the token from the address bar to the tab's session storage. */
export function keepToken() {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1]
  if (!token) return
  sessionStorage.setItem(KEY, decoded(token))
  history.replaceState(null, '', location.pathname + location.search)
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null
}

/** Asks for the token. Resolves with whether the user gave one. */
export async function askToken(error = '') {
  const input = at('token')
  input.value = ''
  at('token-error').textContent = error
  if ((await open(at('ask-token'))) !== 'ok') return false
  sessionStorage.setItem(KEY, input.value.trim())
  return true
}

/** Sends a request with the token, if there is one. A 401 ends the token. @throws if badass does not answer */
export async function send(url, options = {}) {
  const headers = new Headers(options.headers)
  try {
    if (hasToken()) headers.set('Authorization', `Bearer ${sessionStorage.getItem(KEY)}`)
  } catch {
    // Characters that a header field cannot carry cannot be in the token.
    sessionStorage.removeItem(KEY)
    return new Response(null, { status: 401 })
  }
  const response = await fetch(url, { ...options, headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (response.status === 401) sessionStorage.removeItem(KEY)
  return response
}

/** Sends an action. Returns the answer, or undefined if there was none or the user gave no token. */
export async function act(id, action, body = {}) {
  if (!hasToken() && !(await askToken())) return undefined
  for (;;) {
    const response = await post(`api/backends/${encodeURIComponent(id)}/${action}`, body)
    if (response?.status !== 401) return response && (await answerOf(response))
    if (!(await askToken('That token is wrong.'))) return undefined
  }
}

async function post(url, body) {
  try {
    const headers = { 'Content-Type': 'application/json' }
    return await send(url, { method: 'POST', headers, body: JSON.stringify(body) })
  } catch {
    say('badass does not answer; nothing is known to have changed', true)
    return undefined
  }
}

async function answerOf(response) {
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return answer
  say(answer.error ?? `badass answered ${response.status}`, true)
  return undefined
}
