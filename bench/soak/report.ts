import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format } from '../report/rows.ts'
import { writeResults } from '../report/save.ts'
import { drawLines } from '../report/svg.ts'
import { OUTCOMES } from './judge.ts'
import { type Sample, type Soak, slopeOf, totalOf } from './results.ts'
import type { Standing } from './run.ts'

const MB = 2 ** 20
const mb = (bytes: number) => `${format(bytes / MB)} MB`
const count = (value: number) => value.toLocaleString('en-US')
const minutes = (seconds: number) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`

/** How it stands, in a line. */
export function formatStanding({ sample, connections, bytes, mismatches, faults, kills }: Standing): string {
  return [
    minutes(sample.at),
    `${count(connections)} connections`,
    `${format(bytes / 2 ** 30)} GB`,
    `${mismatches} mismatches`,
    ...(faults > 0 ? [`${faults} faults`] : []),
    `${kills} backends killed`,
    `RSS ${mb(sample.rss)}`,
    `heap ${mb(sample.heap)}`,
    `delay p99 ${format(sample.delay.p99)} ms`,
  ].join(', ')
}

const BARS = '▁▂▃▄▅▆▇█'
const WIDTH = 60

/** A value over time as a line of bars, each the most of its part of the time; from 0 on. */
export function sparkline(values: readonly number[], width: number = WIDTH): string {
  const most = Math.max(...values)
  const columns = Math.min(width, values.length)
  return Array.from({ length: columns }, (_, i) => {
    const part = values.slice(
      Math.floor((i * values.length) / columns),
      Math.floor(((i + 1) * values.length) / columns),
    )
    return BARS[Math.round((Math.max(...part) / (most || 1)) * (BARS.length - 1))]
  }).join('')
}

/** What is said of a value over time. */
function course(samples: readonly Sample[], figureOf: (sample: Sample) => number | undefined): string[] {
  const values = samples.flatMap((sample) => figureOf(sample) ?? [])
  if (values.length === 0) return ['-', '-', '-', '-', '']
  const ends = [values[0]!, Math.max(...values), values.at(-1)!].map((value) => format(value / MB))
  const slope = slopeOf(samples, figureOf) / MB
  return [...ends, `${slope >= 0 ? '+' : '-'}${Math.abs(slope).toFixed(2)}`, sparkline(values)]
}

/** Lines of a table: the first column to the left, the others to the right. */
function aligned(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n')
}

const COURSES: readonly [name: string, figureOf: (sample: Sample) => number | undefined][] = [
  ['RSS', ({ rss }) => rss],
  ['heap', ({ heap }) => heap],
  ['heap after GC', ({ clean }) => clean],
  ['buffers', ({ external }) => external],
]

/** Rows on memory over time, in MB; the last column is a chart of it. */
function courses({ samples }: Soak): string[][] {
  return COURSES.map(([name, figureOf]) => [name, ...course(samples, figureOf)])
}

function exchangeRows({ exchanges }: Soak): string[][] {
  const all = [...Object.entries(exchanges), ['in all', totalOf(exchanges)] as const]
  return all.map(([name, counts]) => [name, ...OUTCOMES.map((outcome) => count(counts[outcome]))])
}

/** What it was run on and for how long. */
function captionOf({ versions, machine, seconds, workers, seed, date, commit, isDirty }: Soak): string {
  return [
    `Node ${versions.node}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}`,
    `${minutes(seconds)} minutes, ${workers} worker${workers === 1 ? '' : 's'}, seed ${seed}`,
    `${date.slice(0, 10)}, commit ${commit.slice(0, 10)}${isDirty ? ' with changes' : ''}`,
  ].join('; ')
}

/** What it came to, in a few sentences. */
function summaryOf(soak: Soak): string {
  const { connections, received, sent, backends, mismatches, faultCount, delay, sockets, clean, samples } = soak
  const open = Math.max(0, ...samples.map((sample) => sample.open))
  return [
    `${count(connections)} connections (${count(open)} at a time), ${mb(received)} to clients and ${mb(sent)} from them`,
    `${mismatches} mismatches, ${faultCount} faults`,
    `${backends.kills} backends killed (${backends.blackouts} times all), ${backends.pauses} held up`,
    `event loop late by ${format(delay.p50)} ms (p50), ${format(delay.p99)} ms (p99), ${format(delay.max)} ms (max)`,
    `without load, before and after: ${sockets.before} and ${sockets.after} sockets, ${mb(clean.before)} and ${mb(clean.after)} of heap`,
  ].join('; ')
}

export function formatReport(soak: Soak): string {
  return [
    captionOf(soak),
    aligned([['exchanges', ...OUTCOMES], ...exchangeRows(soak)]),
    aligned([['MB', 'first', 'most', 'last', 'a minute', ''], ...courses(soak)]),
    summaryOf(soak).replaceAll('; ', '\n'),
  ].join('\n\n')
}

/** The same for the document. */
export function soakBlock(soak: Soak): string {
  const table = (lines: string[][]) =>
    lines.flatMap((line, i) => [
      `| ${line.join(' | ')} |`,
      ...(i === 0 ? [`|---${'|---:'.repeat(line.length - 1)}|`] : []),
    ])
  const memory = courses(soak).map((row) => row.slice(0, -1))
  return [
    `Soak: ${summaryOf(soak)}.`,
    '',
    ...table([['soak, exchanges', ...OUTCOMES], ...exchangeRows(soak)]),
    '',
    ...table([['soak, MB', 'first', 'most', 'last', 'a minute, over the second half'], ...memory]),
    '',
    `${captionOf(soak)}.`,
  ].join('\n')
}

/** Memory, delay and open connections over time. */
export function drawSoak(soak: Soak): string {
  const { samples } = soak
  const axis = { xName: 'minutes', xs: samples.map(({ at }) => (at / 60).toFixed(1)), isDense: true }
  const inMb = (figureOf: (sample: Sample) => number | undefined) =>
    samples.map((sample) => {
      const bytes = figureOf(sample)
      return bytes === undefined ? null : bytes / MB
    })
  const memory = COURSES.map(([name, figureOf]) => ({ name, isOurs: name === 'RSS', values: inMb(figureOf) }))
  const delays = (['p50', 'p99', 'max'] as const).map((key) => ({
    name: `delay ${key}`,
    values: samples.map(({ delay }) => delay[key]),
  }))
  const head = { title: 'The command under load while its backends are killed', subtitle: captionOf(soak) }
  return drawLines(head, [
    { title: 'memory, MB', ...axis, lines: memory },
    { title: 'event-loop delay, ms', ...axis, lines: delays },
  ])
}

/** Writes results and chart, and returns their paths. */
export function saveSoak(soak: Soak, folder: string): string[] {
  mkdirSync(folder, { recursive: true })
  const chart = join(folder, 'soak.svg')
  writeFileSync(chart, drawSoak(soak))
  return [writeResults(soak, folder, 'soak'), chart]
}
