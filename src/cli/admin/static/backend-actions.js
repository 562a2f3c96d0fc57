// What an operator can do with a backend. Each says what will happen, asks, and says what happened.
import { askWeight, confirm, say } from './dialogs.js'
import { count, plural } from './format.js'
import { act } from './token.js'

const opens = (n) => plural(n, 'open connection')
/** Share of a pool's new clients, in percent. */
const percent = (share) => `${share >= 0.0995 || share === 0 ? Math.round(share * 100) : (share * 100).toFixed(1)} %`

/** The backends of the pool that take new clients, backups aside. */
function takers(others) {
  return others.filter(({ condition, backend }) => condition === 'up' && !backend.backup && backend.weight > 0)
}

/** `others`: the other backends of the pool. Resolves with whether something has changed, as the other actions do. */
export async function drain({ backend: { id, connections } }, others) {
  const left = takers(others).length
  const isMeant = await confirm({
    title: `Drain ${id}?`,
    text: [
      'It takes no new clients.',
      `${connections > 0 ? `Its ${opens(connections)} ${connections === 1 ? 'stays' : 'stay'}, and clients` : 'Clients'} with its cookie keep coming.`,
      left > 0 && `New clients go to ${left === 1 ? 'the other backend' : `the ${count(left)} others`} of its pool.`,
    ]
      .filter(Boolean)
      .join(' '),
    warning: left > 0 ? '' : 'No other backend of its pool takes new clients now.',
    ok: 'Drain',
  })
  if (!isMeant || !(await act(id, 'drain'))) return false
  say(`${id} is draining: it keeps its clients and takes no new ones`)
  return true
}

export async function bringBack({ backend: { id, drainedBy } }) {
  const isHeld = drainedBy.includes('check')
  const isMeant = await confirm({
    title: `Bring ${id} back?`,
    text: isHeld
      ? 'Your drain ends. Its health checks drain it too: it takes new clients when they stop.'
      : 'It takes new clients again.',
    ok: 'Bring back',
  })
  if (!isMeant || !(await act(id, 'ready'))) return false
  say(`${id} ${isHeld ? 'stays drained, because its health checks say so' : 'is back'}`)
  return true
}

export async function reset({ backend: { id, connections, draining } }) {
  const what = connections === 1 ? 'the one open connection' : opens(connections)
  const where = draining
    ? 'Their clients may come back, to other backends.'
    : 'Clients that come back may be sent here again: drain it first to prevent that.'
  const isMeant = await confirm({
    title: `Reset ${what} of ${id}?`,
    text: `What is under way on ${connections === 1 ? 'it' : 'them'} is lost. ${where}`,
    ok: `Reset ${plural(connections, 'connection')}`,
    isRisky: true,
  })
  const answer = isMeant && (await act(id, 'kill'))
  if (!answer) return false
  say(`${plural(answer.reset, 'connection')} of ${id} ${answer.reset === 1 ? 'was' : 'were'} reset`)
  return true
}

export async function changeWeight({ backend }, others) {
  const { id, weight, configuredWeight: configured = weight } = backend
  const rest = takers(others).reduce((sum, other) => sum + other.backend.weight, 0)
  const chosen = await askWeight({
    id,
    weight,
    configured,
    shareOf: (n) => shareText(n, weight, rest),
  })
  if (chosen === undefined || chosen === weight) return false
  const answer = await act(id, 'weight', { weight: chosen })
  if (!answer) return false
  say(
    chosen === null ? `${id} has the weight of the config again: ${configured}` : `${id} has the weight ${chosen} now`,
  )
  return true
}

function shareText(wanted, weight, rest) {
  const shareAt = (n) => percent(n + rest > 0 ? n / (n + rest) : 0)
  if (wanted === 0) return 'It takes no new clients: only those that return to it by their cookie.'
  const change = wanted === weight ? shareAt(weight) : `${shareAt(weight)} now, ${shareAt(wanted)} then`
  return `Its share of its pool’s new clients, when it is up: about ${change}.`
}
