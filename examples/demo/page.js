/**
 * The demo page: one file that loads nothing from elsewhere. `cookies` is the Cookie field as the backend got it.
 * @param {{ backend: string, color: string, session: string, visits: number, cookies: string }} visit
 */
export function renderPage(visit) {
  /** @type {[term: string, text: string][]} */
  const rows = [
    ['session of the application', visit.session],
    ['visits that this backend remembers', String(visit.visits)],
    ['cookies that this backend sees', visit.cookies || 'none yet'],
  ]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>badass: ${escapeHtml(visit.backend)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
<body style="--home: ${escapeHtml(visit.color)}">
<main>
  <p class="brand">badass demo</p>
  <h1>Your home is <b id="backend">${escapeHtml(visit.backend)}</b></h1>
  <p>Three backends are behind this address. The first one to greet you was picked by chance; its session cookie got a
    sticky one beside it, and that brings you back here.</p>
  <dl>${rows.map(([term, text]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text)}</dd>`).join('')}</dl>
  <p class="actions">
    <button type="button" onclick="location.reload()">Reload: same home</button>
    <button type="button" onclick="fetch('/forget', { method: 'POST' }).then(() => location.reload())">
      Forget me: a new draw</button>
    <button type="button" onclick="fetch('/crash', { method: 'POST' }).then(() => location.reload())">
      Crash this backend for ten seconds</button>
    <button type="button" onclick="fetch('/restart', { method: 'POST' }).then(() => location.reload())">
      Restart all three: your request waits</button>
  </p>
  <p>Routes: <a href="/hello">/hello</a> is answered by badass itself, and <a href="/old">/old</a> leads back here.</p>
  <section>
    <h2>WebSocket <span id="status">connecting</span></h2>
    <p><output id="count">0</output> messages echoed by <b id="peer">?</b></p>
    <form id="form"><input id="text" aria-label="Message" value="hello" autocomplete="off"><button>Send</button></form>
    <ol id="log"></ol>
  </section>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`
}

/** @param {string} text */
function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  background: linear-gradient(160deg, color-mix(in srgb, var(--home) 30%, Canvas), Canvas 70%) }
main { width: min(40rem, calc(100% - 3rem)); padding: 2rem 0 }
.brand { letter-spacing: .2em; text-transform: uppercase; font-size: .8rem; opacity: .7; margin: 0 }
h1 { font-size: 2.4rem; line-height: 1.2; margin: .3rem 0 1rem }
h1 b { background: var(--home); color: white; padding: 0 .4em; border-radius: .3em }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1.2rem; margin: 1.2rem 0 }
dt { opacity: .7 } dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
section { margin-top: 1.5rem; padding: 1rem 1.2rem; border-radius: .8rem;
  background: color-mix(in srgb, CanvasText 6%, Canvas) }
h2 { font-size: 1.1rem; margin: 0 } #status { font-weight: normal; opacity: .7; font-size: .9rem }
output { font-size: 2rem; font-variant-numeric: tabular-nums; color: var(--home); filter: brightness(1.2) }
button, input { font: inherit; padding: .4em .9em; border-radius: .5em; border: 1px solid GrayText }
button { cursor: pointer; background: Canvas; color: CanvasText }
form { display: flex; gap: .5rem } input { flex: 1; min-width: 0 }
ol { list-style: none; padding: 0; margin: .8rem 0 0; font: .85rem ui-monospace, monospace; min-height: 6em; opacity: .8 }
`

const SCRIPT = `
const at = (id) => document.getElementById(id)
const socket = new WebSocket('ws://' + location.host + '/echo')
let count = 0
socket.onopen = () => { at('status').textContent = 'open' }
socket.onclose = () => { at('status').textContent = 'closed: reload to go on' }
socket.onmessage = ({ data }) => {
  const { backend, echo } = JSON.parse(data)
  at('peer').textContent = backend
  if (echo === undefined) return
  at('count').textContent = ++count
  const line = document.createElement('li')
  line.textContent = backend + ': ' + echo
  at('log').prepend(line)
  while (at('log').children.length > 5) at('log').lastChild.remove()
}
at('form').onsubmit = (event) => { event.preventDefault(); socket.send(at('text').value) }
setInterval(() => socket.readyState === 1 && socket.send('tick at ' + new Date().toLocaleTimeString()), 1000)
`
