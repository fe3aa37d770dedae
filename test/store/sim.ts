/**
 * Power cuts in the lives of stores, by the thousand: `npm run sim:store [-- --points N | --seed S] [--eviction MODE]`.
 *
 * Without a seed it takes new ones until it has looked at N cuts (10,000). A failure prints its seed, and the command that shows
 * it again.
 */
import { parseArgs } from 'node:util'
import type { Eviction } from '../../store/index.js'
import { Life } from './life.js'

const CUTS_PER_LIFE = 15
const MODES: readonly Eviction[] = ['noeviction', 'evict', 'reinsert']

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    eviction: { type: 'string' },
  },
})
const modes = values.eviction === undefined ? MODES : MODES.filter(mode => mode === values.eviction)
if (modes.length === 0) throw new Error(`--eviction is one of ${MODES.join(', ')}`)
const started = performance.now()
const wanted = Number(values.points)
const first = values.seed === undefined ? Date.now() % 1_000_000_007 : Number(values.seed)
let cuts = 0
let operations = 0
let resets = 0
let evictions = 0
let shown = started

function tell(): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  const done = `${cuts} power cuts, ${operations} operations, ${resets} zones reset`
  console.log(`${done}, ${evictions} evicted, ${seconds} s`)
}

console.log(`first seed ${first}`)
let seed = first
let mode = modes[0]!
try {
  do {
    mode = modes[seed % modes.length]!
    const result = await new Life(seed, mode).run(CUTS_PER_LIFE)
    cuts += result.cuts
    operations += result.operations
    resets += result.resets
    evictions += result.evictions
    seed++
    if (performance.now() - shown > 5000) {
      shown = performance.now()
      tell()
    }
  } while (values.seed === undefined && cuts < wanted)
  tell()
} catch (error) {
  tell()
  console.error(
    `${(error as Error).message}\nagain: npm run sim:store -- --seed ${seed} --eviction ${mode}`,
  )
  process.exitCode = 1
}
