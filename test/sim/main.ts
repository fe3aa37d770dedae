/**
 * Power cuts by the thousand: `npm run sim [-- --points N | --seed S] [--faults]`.
 *
 * Without a seed it takes new ones until it has looked at N cuts (10,000), half of the lives with failing calls. A failure prints
 * its seed, and the command that shows it again.
 */
import { parseArgs } from 'node:util'
import { Simulation } from './life.js'

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    faults: { type: 'boolean', default: false },
  },
})

const started = performance.now()
const wanted = Number(values.points)
let points = 0
let flushes = 0
let failed = 0
let seeds = 0
let shown = started

function tell(): void {
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${points} power cuts, ${seeds} seeds, ${flushes} flushes and ${failed} that failed, ${seconds.toFixed(0)} s, ${(points / seconds).toFixed(0)} cuts/s`,
  )
}

const first = values.seed === undefined ? Date.now() % 1_000_000_007 : Number(values.seed)
console.log(`first seed ${first}`)
try {
  do {
    const seed = first + seeds
    const faults = values.seed === undefined ? seed % 2 === 1 : values.faults
    const result = await new Simulation(seed, faults).run()
    points += result.points
    flushes += result.flushes
    failed += result.failedFlushes
    seeds++
    if (performance.now() - shown > 5000) {
      shown = performance.now()
      tell()
    }
  } while (values.seed === undefined && points < wanted)
  tell()
} catch (error) {
  tell()
  console.error((error as Error).message)
  process.exitCode = 1
}
