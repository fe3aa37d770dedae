/**
 * Small tables for tests, and what of them is worth comparing.
 */
import {
  conditionName,
  conditionOf,
  Geometry,
  type GeometryOptions,
  wpOf,
  ZoneTable,
} from '../../zone-model/index.js'

export const BLOCK = 8

/** A geometry of 64-sector zones with a capacity of 48 (six 4 KiB blocks), the first zone conventional. */
export const SMALL: GeometryOptions = {
  zoneCount: 6,
  zoneSizeBytes: 64 * 512,
  zoneCapacityBytes: 48 * 512,
  conventionalCount: 1,
  maxAppendBytes: 48 * 512,
}

export function makeTable(
  options: Partial<GeometryOptions> = {},
  queues = 1,
  depth = 16,
): ZoneTable {
  const geometry = Geometry.create({ ...SMALL, ...options })
  const words = new Int32Array(
    new SharedArrayBuffer(ZoneTable.wordsNeeded(geometry, queues, depth) * 4),
  )
  ZoneTable.format(words, geometry, queues, depth)
  return new ZoneTable(words, geometry, queues, depth)
}

/** A zone's condition and write pointer, for people. */
export function zoneText(table: ZoneTable, zone: number): string {
  const word = table.load(zone)
  return `${conditionName(conditionOf(word))} ${wpOf(word)}`
}

/** A seed from SEED, or a new one; printed so that a failure can be run again. */
export function seedFromEnvironment(what: string): number {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`${what}: SEED=${seed}`)
  return seed
}

/** A small generator of random numbers (mulberry32): the same seed, the same numbers, everywhere. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
