/**
 * Space held over space live where the mix does not stay: learned classes beside classes that were the best for what was before.
 *
 *   switch      the reference mix until day 0, from then on that of Twitter's clusters 27 and 52
 *   day         every part of the reference mix swells and shrinks with the time of day (1 to 19 parts in 20), at hours of its own
 *   batch       the reference mix, but what lives 7 days is written in one hour of each night
 *
 * For each: one log, half-octave classes, the best classes for the mix before (switch) or for the mean of the day (day, batch) that stay
 * as they are, and learned ones. 20 MB/s, 12 active zones; bench/space.ts runs it.
 */
import { bestBounds } from '../store/class-bounds.js'
import { LifetimeClasses } from '../store/lifetime-classes.js'
import { MIXES, type Mode } from './space-mixes.js'
import { type Grid, gridOf, type Placement, type Setting, simulate } from './space-sim.js'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const ACTIVE = 12
const BYTES_PER_MS = 20_000
const STEP_MS = 5 * 60_000

export interface DriftCell {
  readonly what: string
  readonly zoneMiB: number
  readonly log: number
  readonly halfOctave: number
  readonly frozen: number
  readonly learned: number
  readonly moves: number
}

interface Scene {
  readonly name: string
  readonly modes: readonly Mode[]
  /** Share of its mean that a mode gets. */
  part(mode: number, nowMs: number): number
  /** For which modes the frozen classes are the best. */
  isBefore(mode: number): boolean
  /** Measured days: first and last. */
  readonly days: readonly (readonly [string, number, number])[]
}

const mixOf = (name: string): readonly Mode[] => MIXES.find(mix => mix.name === name)!.modes

const REFERENCE = mixOf('reference')
const LATER = ['twitter 27', 'twitter 52'].flatMap(name =>
  mixOf(name).map(mode => ({ ...mode, share: mode.share / 2 })),
)
const SWITCH_MS = 20 * DAY_MS

const SCENES: readonly Scene[] = [
  {
    name: 'switch',
    modes: [...REFERENCE, ...LATER],
    part: (mode, nowMs) => (mode < REFERENCE.length === nowMs < SWITCH_MS ? 1 : 0),
    isBefore: mode => mode < REFERENCE.length,
    days: [
      ['day -7 to 0', 13, 20],
      ['day 0 to 7', 20, 27],
      ['day 7 to 30', 27, 50],
      ['day 100 to 130', 120, 150],
    ],
  },
  {
    name: 'day',
    modes: REFERENCE,
    part: (mode, nowMs) => 1 + 0.9 * Math.sin((nowMs / DAY_MS) * 2 * Math.PI + mode * 2.4),
    isBefore: () => true,
    days: [['day 21 to 28', 21, 28]],
  },
  {
    name: 'batch',
    modes: REFERENCE,
    part: (mode, nowMs) =>
      mode < REFERENCE.length - 1 ? 1 : nowMs % DAY_MS < HOUR_MS ? DAY_MS / HOUR_MS : 0,
    isBefore: () => true,
    days: [['day 21 to 28', 21, 28]],
  },
]

function fixed(boundariesMs: readonly number[]): Placement {
  const count = boundariesMs.length + 2
  return new LifetimeClasses({ count, zoneBytes: 2 ** 20, nowMs: 0, boundariesMs })
}

/** The best classes for some of the modes. */
function frozen(grid: Grid, scene: Scene, zoneBytes: number): Placement {
  const some = [...grid.mode.keys()].filter(i => scene.isBefore(grid.mode[i]!))
  const longestMs = Float64Array.from(some, i => grid.longestMs[i]!)
  const rates = Float64Array.from(some, i => grid.share[i]! * BYTES_PER_MS)
  const { lasts } = bestBounds(longestMs, rates, ACTIVE, zoneBytes)
  return fixed([...lasts.slice(0, -1)].map(last => longestMs[last]!))
}

export function driftCells(seed: number): DriftCell[] {
  const halves = Array.from({ length: 80 }, (_, i) => 2 ** (i / 2))
  return SCENES.flatMap(scene =>
    [1077, 32].flatMap(zoneMiB =>
      scene.days.map(([what, first, last]) => {
        const grid = gridOf(scene)
        const zoneBytes = zoneMiB * 2 ** 20
        const setting: Setting = {
          ...{ grid, bytesPerMs: BYTES_PER_MS, zoneBytes, seed, part: scene.part },
          ...{
            measureFromMs: first * DAY_MS,
            endMs: last * DAY_MS,
            stepMs: STEP_MS,
            learnEvery: 1,
          },
        }
        const learning = new LifetimeClasses({ count: ACTIVE, zoneBytes, nowMs: 0, lendLast: true })
        const learned = simulate(learning, setting)
        return {
          ...{ what: `${scene.name}, ${what}`, zoneMiB },
          log: simulate(fixed([]), setting).ratio,
          halfOctave: simulate(fixed(halves), setting).ratio,
          frozen: simulate(frozen(grid, scene, zoneBytes), setting).ratio,
          ...{ learned: learned.ratio, moves: learned.moves },
        }
      }),
    ),
  )
}
