/** Prints a figure that a test has measured; README's "What it withstands" has a row for each. */
export function report(what: string, figure: string): void {
  console.log(`withstands: ${what}: ${figure}`)
}
