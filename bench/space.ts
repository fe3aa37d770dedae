/**
 * Space held over space live: what lifetime classes cost a drive whose zones are reset only when all in them is dead.
 *
 * For each mix of TTLs, zone capacity and rate of writing, in the steady state (four times the longest TTL are simulated, the last
 * quarter is measured; bench/space-sim.ts):
 *
 *   one log     every object into one open zone
 *   half-oct.   fixed classes a factor of the square root of 2 apart, and how many open zones they take; ! where they are more than 14
 *   geometric   14 fixed classes, evenly between the shortest and the longest TTL of the mix, which they know
 *   learned K   {@link LifetimeClasses} with K active zones, which begins with nothing and learns while it is measured
 *   limit K     the best K classes there can be, by an oracle that knows the mix: zones x capacity + rate x longest TTL, summed
 *
 * Then the same where the mix does not stay (bench/space-drift.ts).
 *
 * Goal: learned <= 1.05 from 20 MB/s on. A mix whose TTLs spread has its limit above 1 at any rate: K classes cut the spread in K.
 *
 * Run: node dist/bench/space.js [--json]
 */
import { bestBounds } from '../store/class-bounds.js'
import { LifetimeClasses } from '../store/lifetime-classes.js'
import { type DriftCell, driftCells } from './space-drift.js'
import { MIXES, type Mix } from './space-mixes.js'
import { type Grid, gridOf, type Placement, type Setting, simulate } from './space-sim.js'
import { printTable } from './table.js'

const MIB = 2 ** 20
const ZONES_MIB = [1077, 96, 32]
const RATES_MB = [2, 20, 500]
const ACTIVE = [8, 12, 14]
const ACTIVE_MOST = 14
const GOAL = 1.05
const GOAL_RATE_MB = 20
const SEED = 20200301
/** Longest TTLs that are simulated, and how many of them before space is measured. */
const LONGEST = 4
const WARM_UP = 3
const STEPS = 4800
const LEARN_EVERY = 4

interface Cell {
  readonly mix: string
  readonly zoneMiB: number
  readonly rateMB: number
  readonly log: number
  readonly halfOctave: number
  readonly halfOctaveZones: number
  readonly geometric: number
  readonly learned: number[]
  readonly limit: number[]
  readonly moves: number[]
}

const finite = (grid: Grid): number[] => [...grid.longestMs].filter(Number.isFinite)

function settingOf(grid: Grid, zoneMiB: number, rateMB: number): Setting {
  const endMs = finite(grid).at(-1)! * LONGEST
  return {
    ...{ grid, bytesPerMs: rateMB * 1000, zoneBytes: zoneMiB * MIB, endMs, seed: SEED },
    ...{
      measureFromMs: (endMs / LONGEST) * WARM_UP,
      stepMs: endMs / STEPS,
      learnEvery: LEARN_EVERY,
    },
  }
}

/** Classes that stay as they are; the last is for objects without TTL. */
function fixed(boundariesMs: readonly number[]): Placement {
  const count = boundariesMs.length + 2
  return new LifetimeClasses({ count, zoneBytes: MIB, nowMs: 0, boundariesMs })
}

function halfOctaves(grid: Grid): Placement {
  const ttls = finite(grid)
  const first = Math.floor(2 * Math.log2(ttls[0]!))
  const last = Math.ceil(2 * Math.log2(ttls.at(-1)!))
  return fixed(Array.from({ length: last - first }, (_, i) => 2 ** ((first + i) / 2)))
}

function geometric(grid: Grid): Placement {
  const ttls = finite(grid)
  const classes = ACTIVE_MOST - (ttls.length < grid.share.length ? 1 : 0)
  const factor = (ttls.at(-1)! / ttls[0]!) ** (1 / classes)
  return fixed(Array.from({ length: classes - 1 }, (_, i) => ttls[0]! * factor ** (i + 1)))
}

/** The cheapest classes for the true mix, over its live bytes. */
function limitOf({ grid, bytesPerMs, zoneBytes }: Setting, active: number): number {
  const count = finite(grid).length
  const rate = grid.share.slice(0, count).map(share => share * bytesPerMs)
  const live = rate.reduce((sum, one, i) => sum + one * grid.meanMs[i]!, 0)
  const classes = active - (count < grid.share.length ? 1 : 0)
  return bestBounds(grid.longestMs.slice(0, count), rate, classes, zoneBytes).costBytes / live
}

function cellOf(mix: Mix, zoneMiB: number, rateMB: number): Cell {
  const grid = gridOf(mix)
  const setting = settingOf(grid, zoneMiB, rateMB)
  const halves = simulate(halfOctaves(grid), setting)
  const { zoneBytes } = setting
  const learned = ACTIVE.map(count =>
    simulate(new LifetimeClasses({ count, zoneBytes, nowMs: 0, lendLast: true }), setting),
  )
  return {
    ...{ mix: mix.name, zoneMiB, rateMB },
    log: simulate(fixed([]), setting).ratio,
    halfOctave: halves.ratio,
    halfOctaveZones: halves.classes,
    geometric: simulate(geometric(grid), setting).ratio,
    learned: learned.map(({ ratio }) => ratio),
    limit: ACTIVE.map(count => limitOf(setting, count)),
    moves: learned.map(({ moves }) => moves),
  }
}

const three = (value: number): string => value.toFixed(3)

function rowOf(cell: Cell): string[] {
  const { halfOctave, halfOctaveZones } = cell
  return [
    ...[cell.mix, `${cell.zoneMiB}`, `${cell.rateMB}`, cell.log.toFixed(2), three(halfOctave)],
    ...[`${halfOctaveZones}${halfOctaveZones > ACTIVE_MOST ? '!' : ''}`, three(cell.geometric)],
    ...cell.learned.map(three),
    ...cell.limit.map(three),
    cell.moves.join(' '),
  ]
}

/** Nanoseconds of CPU time that putting an object into its class and noting it take: the best of five. */
function callNs(): number {
  const classes = new LifetimeClasses({ count: ACTIVE_MOST, zoneBytes: MIB, nowMs: 0 })
  const ttls = new Float64Array(4096).map((_, i) => 2 ** (i / 100))
  const calls = 5_000_000
  let best = Infinity
  for (let round = 0; round < 5; round++) {
    let sum = 0
    const start = process.cpuUsage()
    for (let i = 0; i < calls; i++) {
      const ttl = ttls[(i * 2039) & 4095]!
      sum += classes.classOf(ttl)
      classes.note(ttl, 160)
    }
    const { user, system } = process.cpuUsage(start)
    if (sum > 0) best = Math.min(best, ((user + system) * 1000) / calls)
  }
  return best
}

const HEAD = [
  ...['mix', 'zone MiB', 'MB/s', 'one log', 'half-oct.', 'zones', 'geometric'],
  ...ACTIVE.map(count => `learned ${count}`),
  ...ACTIVE.map(count => `limit ${count}`),
  'moves',
]

const DRIFT_HEAD = ['mix', 'zone MiB', 'one log', 'half-oct.', 'frozen', 'learned', 'moves']

function driftRow({ what, zoneMiB, log, halfOctave, frozen, learned, moves }: DriftCell): string[] {
  const ratios = [halfOctave, frozen, learned].map(three)
  return [what, `${zoneMiB}`, log.toFixed(2), ...ratios, `${moves}`]
}

const cells = MIXES.flatMap(mix =>
  ZONES_MIB.flatMap(zone => RATES_MB.map(rate => cellOf(mix, zone, rate))),
)
const drift = driftCells(SEED)
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ cells, drift }))
} else {
  printTable(HEAD, cells.map(rowOf))
  const asked = cells.filter(({ rateMB }) => rateMB >= GOAL_RATE_MB)
  ACTIVE.forEach((count, i) => {
    const met = asked.filter(({ learned }) => learned[i]! <= GOAL).length
    const possible = asked.filter(({ limit }) => limit[i]! <= GOAL).length
    console.log(
      `${count} active zones, ${GOAL_RATE_MB} MB/s and more: ${met} of ${asked.length} cells at most ${GOAL}; ${possible} can be.`,
    )
  })
  printTable(DRIFT_HEAD, drift.map(driftRow))
  console.log(`classOf and note together: ${callNs().toFixed(1)} ns, TTLs at random`)
  const { user, system } = process.cpuUsage()
  console.log(`${((user + system) / 1e6).toFixed(0)} s of CPU time, seed ${SEED}`)
}
