/**
 * Power cuts in the lives of stores, by the thousand: `npm run sim:store [-- --points N | --seed S]`.
 *
 * Without a seed it takes new ones until it has looked at N cuts (10,000). A failure prints its seed, and the command that shows
 * it again.
 */
import { parseArgs } from 'node:util'
import { Life } from './life.js'

const CUTS_PER_LIFE = 15

const { values } = parseArgs({
  options: { points: { type: 'string', default: '10000' }, seed: { type: 'string' } },
})
const started = performance.now()
const wanted = Number(values.points)
const first = values.seed === undefined ? Date.now() % 1_000_000_007 : Number(values.seed)
let cuts = 0
let operations = 0
let resets = 0
let shown = started

function tell(): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`${cuts} power cuts, ${operations} operations, ${resets} zones reset, ${seconds} s`)
}

console.log(`first seed ${first}`)
let seed = first
try {
  do {
    const result = await new Life(seed).run(CUTS_PER_LIFE)
    cuts += result.cuts
    operations += result.operations
    resets += result.resets
    seed++
    if (performance.now() - shown > 5000) {
      shown = performance.now()
      tell()
    }
  } while (values.seed === undefined && cuts < wanted)
  tell()
} catch (error) {
  tell()
  console.error(`${(error as Error).message}\nagain: npm run sim:store -- --seed ${seed}`)
  process.exitCode = 1
}
