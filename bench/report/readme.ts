import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { documentsOf, replaceBlock } from './block.ts'

// Puts the figures of bench/results into the documents: none of them is written by hand.
const root = dirname(fileURLToPath(import.meta.resolve('badass/package.json')))
for (const { file, block } of documentsOf(root)) {
  writeFileSync(file, replaceBlock(readFileSync(file, 'utf8'), block))
  console.log(file)
}
