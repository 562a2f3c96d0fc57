/** The samples of a metric at an admin page that are not 0: `labels` and value. */
export async function scrape(admin: string, name: string): Promise<Record<string, number>> {
  const text = await (await fetch(new URL('metrics', admin))).text()
  const samples = [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)].filter(([, of]) => of === name)
  return Object.fromEntries(samples.map(([, , labels, value]) => [labels, Number(value)]).filter(([, value]) => value))
}

/** Scrapes until the values of a metric add up to `sum`. */
export async function scrapeUntil(admin: string, name: string, sum: number): Promise<Record<string, number>> {
  for (;;) {
    const samples = await scrape(admin, name)
    if (Object.values(samples).reduce((all, one) => all + one, 0) === sum) return samples
  }
}
