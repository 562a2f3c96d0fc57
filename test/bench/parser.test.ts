import { expect, test } from 'vitest'
import { CUTS, INPUTS } from '../../bench/parser/inputs.ts'
import { check } from '../../bench/parser/measure.ts'
import { PEERS } from '../../bench/parser/peers/index.ts'

test.for(PEERS.map((peer) => [peer.name, peer] as const))('%s parses each head in any cut', ([name, peer]) => {
  const parser = peer.start()
  for (const input of INPUTS.slice(0, 2)) {
    for (const cut of CUTS) check(name, parser, cut.chunks(input.bytes), input)
  }
})

test('a parser that finds nothing or something else is refused', () => {
  const input = INPUTS[0]!
  const wrong = { parse: () => true, found: () => ({ method: 'GET', fields: 7 }) }
  expect(() => check('x', wrong, [input.bytes], input)).toThrow(new Error('x: small: fields is 7, not 2'))
  const blind = { parse: () => false, found: () => ({}) }
  expect(() => check('x', blind, [input.bytes], input)).toThrow(new Error('x: small: no head found'))
})

test('the heads have the documented sizes, and cuts keep all bytes', () => {
  expect(INPUTS.map(({ bytes }) => bytes.length)).toEqual([48, 697, 16_384])
  for (const { bytes } of INPUTS) {
    for (const cut of CUTS) expect(Buffer.concat(cut.chunks(bytes))).toEqual(bytes)
  }
})
