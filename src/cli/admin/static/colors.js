// Assigns each backend a colour for as long as the page is open. None of them is used for anything else.

const LIGHT = [
  '#e8590c',
  '#2f9e44',
  '#c026d3',
  '#b7791f',
  '#0d9488',
  '#db2777',
  '#5f6b2d',
  '#7c3aed',
  '#0369a1',
  '#8d5524',
]
const DARK = [
  '#ff9f4a',
  '#69db7c',
  '#e879f9',
  '#facc15',
  '#2dd4bf',
  '#f783ac',
  '#b5c26a',
  '#b794f6',
  '#5fb3e6',
  '#d6a77a',
]
const GOLDEN_ANGLE = 137.508

export const dark = matchMedia('(prefers-color-scheme: dark)')
const places = new Map()

export function colorOf(id) {
  if (!places.has(id)) places.set(id, places.size)
  const place = places.get(id)
  const palette = dark.matches ? DARK : LIGHT
  if (place < palette.length) return palette[place]
  return `hsl(${Math.round(place * GOLDEN_ANGLE) % 360} ${dark.matches ? '70% 68%' : '65% 42%'})`
}
