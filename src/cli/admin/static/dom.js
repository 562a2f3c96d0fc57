// Finds, makes and changes elements. Text is never read as HTML.

export const at = (id) => document.getElementById(id)

/** Makes an element with properties, `data` for its dataset, and children, which may be text. */
export function make(tag, { data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  Object.assign(element.dataset, data)
  element.append(...children.filter((child) => child !== undefined && child !== false))
  return element
}

/** Sets the text if it differs: an unchanged page costs nothing, and a screen reader stays quiet. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** Sets an attribute if it differs. `undefined` removes it. */
export function attribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name)
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value)
}

export function hide(element, isHidden) {
  if (element.hidden !== isHidden) element.hidden = isHidden
}

/** The parts of a template's copy, by `data-part`, and the copy itself. */
export function copyOf(id) {
  const element = at(id).content.firstElementChild.cloneNode(true)
  const parts = [...element.querySelectorAll('[data-part]')].map((part) => [part.dataset.part, part])
  return { element, parts: Object.fromEntries(parts) }
}

/** Makes these the children, in this order. Children that stay are not touched, and keep the focus. */
export function arrange(parent, children) {
  const focused = document.activeElement
  const wanted = new Set(children)
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove()
  let place = parent.firstElementChild
  for (const child of children) {
    if (child === place) place = place.nextElementSibling
    else parent.insertBefore(child, place)
  }
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true })
}
