// Dialogs and short messages. A modal dialog keeps the focus, closes with Escape, and gives the focus back.
import { at, make } from './dom.js'

const TOAST_MS = 8_000

/** Shows a message for a while. */
export function say(text, isError = false) {
  const line = make('p', { textContent: text, className: isError ? 'error' : '' })
  at('toasts').append(line)
  setTimeout(() => line.remove(), TOAST_MS)
}

/** Opens a dialog. Resolves with the value of the button that closed it: 'cancel' also for Escape. */
export function open(dialog) {
  // The event of its last close may still come, and would find it open again.
  if (!dialog.open) dialog.dispatchEvent(new Event('close'))
  return new Promise((resolve) => {
    const closed = () => {
      if (dialog.open) return
      dialog.removeEventListener('close', closed)
      resolve(dialog.returnValue)
    }
    dialog.returnValue = 'cancel'
    dialog.querySelector('[value=cancel]').onclick = () => dialog.close('cancel')
    dialog.addEventListener('close', closed)
    dialog.showModal()
  })
}

/** Asks whether to go on. `ok`: the text of the button. `isRisky`: something is lost. */
export async function confirm({ title, text, warning = '', ok, isRisky = false }) {
  at('confirm-title').textContent = title
  at('confirm-text').textContent = text
  at('confirm-warning').textContent = warning
  at('confirm-ok').textContent = ok
  at('confirm-ok').className = isRisky ? 'danger' : 'primary'
  return (await open(at('confirm'))) === 'ok'
}

/** Asks for a weight. `shareOf(weight)` tells what it would mean. Resolves with a number, null for the config's, or undefined. */
export async function askWeight({ id, weight, configured, shareOf }) {
  const input = at('weight')
  at('weight-title').textContent = `Weight of ${id}`
  at('weight-config').textContent = `The config says ${configured}.`
  at('weight-reset').hidden = weight === configured
  at('weight-reset').textContent = `Back to ${configured}`
  at('weight-reset').onclick = () => at('ask-weight').close('reset')
  input.value = weight
  input.oninput = () => {
    at('weight-share').textContent = input.validity.valid ? shareOf(Number(input.value)) : ''
  }
  input.oninput()
  const answer = await open(at('ask-weight'))
  if (answer === 'reset') return null
  return answer === 'ok' ? Number(input.value) : undefined
}
