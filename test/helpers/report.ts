/** Prints a measured figure. The section "What it withstands" of README has a row for each. */
export function report(what: string, figure: string): void {
  console.log(`withstands: ${what}: ${figure}`)
}
