/**
 * Everything about a simulated drive that its seed decides before it begins.
 */
import { join } from 'node:path'
import { type ImageDescription, TIER_HEAD_BYTES } from '../../image/index.js'
import { type NativeMedia, openMedia } from '../../ublk-native/index.js'
import * as zones from '../../zone-model/index.js'
import type { Prng } from '../fakes/prng.js'

/** A step of the simulation, for the tierer's clock. */
export const STEP_MS = 100
export const QUEUES = 2
export const DEPTH = 3

/** Everything that one seed decides before it begins. */
export interface Shape {
  readonly description: ImageDescription
  readonly spareBytes: number
  readonly sameFill: boolean
  readonly journalBytesMax: number
  readonly tier: { slotCount: number; coldMs: number; budgetBytesPerSecond: number } | null
}

export function shapeOf(rng: Prng): Shape {
  const isWide = rng.below(4) === 0
  const zoneSizeBytes = isWide ? 65536 : 32768
  const geometry = {
    zoneCount: isWide ? 64 : 8,
    zoneSizeBytes,
    zoneCapacityBytes: rng.below(2) === 0 ? zoneSizeBytes : zoneSizeBytes - 8192,
    conventionalCount: isWide ? 58 : 2,
    maxOpen: 3,
    maxActive: 4,
    blockSizeBytes: rng.below(3) === 0 ? 4096 : 512,
  }
  const tableWords = zones.ZoneTable.wordsNeeded(zones.Geometry.create(geometry), QUEUES, DEPTH)
  return {
    description: {
      geometry,
      queueCount: QUEUES,
      depth: DEPTH,
      // Something behind the table, as the daemon has its counters there.
      tableBytes: tableWords * 4 + 64,
      compression: rng.pick(['none', 'lz4', 'zstd'] as const),
      device: { simulated: true },
    },
    spareBytes: rng.below(2) === 0 ? 0 : 65536,
    sameFill: rng.below(4) !== 0,
    journalBytesMax: rng.pick([16384, 65536, 1 << 20]),
    tier:
      rng.below(3) === 0
        ? null
        : {
            slotCount: rng.pick([1, 2, 6]),
            coldMs: rng.pick([0, 5]) * STEP_MS,
            budgetBytesPerSecond: rng.pick([0, 20_000]),
          },
  }
}

export function mediaOf(shape: Shape, dataDirectory: string, directory: string): NativeMedia {
  const geometry = zones.Geometry.create(shape.description.geometry)
  return openMedia({
    directory,
    dataDirectory,
    bytes: geometry.totalBytes,
    regionBytes: geometry.zoneSizeBytes,
    inPlaceBytes: geometry.conventionalCount * geometry.zoneSizeBytes,
    sameFill: shape.sameFill,
    compression: shape.description.compression,
    spareBytes: shape.spareBytes,
    tier: shape.tier === null ? null : join(dataDirectory, 'tier'),
    tierOffsetBytes: TIER_HEAD_BYTES,
    create: false,
  })
}
