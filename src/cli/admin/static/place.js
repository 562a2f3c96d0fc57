// What the page shows is kept behind the '#' of the address, so that a link or a reload shows the same.

const read = () => new URLSearchParams(location.hash.slice(1))

export function placeOf(name) {
  return read().get(name) ?? ''
}

/** Changes parts of the address. `isStep`: the browser's Back returns to what was shown before. */
export function goTo(changes, isStep = false) {
  const all = read()
  for (const [name, value] of Object.entries(changes)) {
    if (value) all.set(name, value)
    else all.delete(name)
  }
  const url = `${location.pathname}${location.search}${all.size > 0 ? `#${all}` : ''}`
  history[isStep ? 'pushState' : 'replaceState'](null, '', url)
  if (isStep) dispatchEvent(new PopStateEvent('popstate'))
}
