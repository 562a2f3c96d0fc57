/** The part of a response head that `mapReferences` uses. */
interface Fields {
  getAll(name: string): string[]
  set(name: string, values: readonly string[]): unknown
}

/** Fields whose value is a reference to a resource (RFC 9110 8.7, 10.2.2). */
const REFERENCES = ['Location', 'Content-Location']

/** Changes the references and the cookies of a response. Fields that stay the same are not touched. */
export function mapReferences(
  head: Fields,
  reference: (value: string) => string,
  cookie: (value: string) => string,
): void {
  for (const name of REFERENCES) mapValues(head, name, reference)
  mapValues(head, 'Set-Cookie', cookie)
}

function mapValues(head: Fields, name: string, map: (value: string) => string): void {
  const values = head.getAll(name)
  const mapped = values.map(map)
  if (mapped.some((value, i) => value !== values[i])) head.set(name, mapped)
}

/** Begins a reference with one slash. Browsers drop tabs, and read "//" or "/\" at its start as another host. */
export function withOneSlash(path: string): string {
  return path.replace(/^[/\\\t]*/, '/')
}
