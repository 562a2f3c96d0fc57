// Actions on backends. They ask for the token, and for confirmation where needed.

const at = (id) => document.getElementById(id)
const KEY = 'badass-token'
const TOAST_MS = 6_000

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

/** Shows a message for a while. */
export function say(text, isError = false) {
  const line = document.createElement('p')
  line.textContent = text
  if (isError) line.className = 'error'
  at('toasts').append(line)
  setTimeout(() => line.remove(), TOAST_MS)
}

/** Opens a dialog. Resolves with whether the user confirmed. */
function open(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = 'cancel'
    dialog.querySelector('[value=cancel]').onclick = () => dialog.close('cancel')
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'ok'), { once: true })
    dialog.showModal()
  })
}

export function confirmReset(title, text) {
  at('confirm-title').textContent = title
  at('confirm-text').textContent = text
  return open(at('confirm'))
}

async function askToken(error) {
  const input = at('token')
  input.value = ''
  at('token-error').textContent = error
  if (!(await open(at('ask-token')))) return false
  sessionStorage.setItem(KEY, input.value.trim())
  return true
}

/** Sends an action. Returns the answer, or undefined if there was none or the user gave no token. */
export async function act(id, action) {
  if (!sessionStorage.getItem(KEY) && !(await askToken(''))) return undefined
  for (;;) {
    const response = await post(`api/backends/${encodeURIComponent(id)}/${action}`)
    if (response?.status === 401) {
      sessionStorage.removeItem(KEY)
      if (!(await askToken('That token is wrong.'))) return undefined
    } else {
      return response && (await answerOf(response))
    }
  }
}

async function post(url) {
  const headers = new Headers({ 'Content-Type': 'application/json' })
  try {
    headers.set('Authorization', `Bearer ${sessionStorage.getItem(KEY)}`)
  } catch {
    // Characters that a header field cannot carry cannot be in the token.
    return new Response(null, { status: 401 })
  }
  try {
    return await fetch(url, { method: 'POST', headers, body: '{}', signal: AbortSignal.timeout(5_000) })
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
