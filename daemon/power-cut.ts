/**
 * What a power cut takes from a drive in memory: of each sequential zone, what was written since it was flushed, or the last
 * part of that, as a seed decides. Open zones become closed or empty (losePower). Conventional zones keep their bytes: what of
 * them was flushed is not recorded.
 */
import {
  BLK_ZONE_COND_FULL,
  conditionOf,
  type Geometry,
  losePower,
  type Media,
  retreatZone,
  wpOf,
  type ZoneTable,
} from '../zone-model/index.js'
import { mulberry32 } from './fault-rules.js'

const SECTOR_BYTES = 512
const MULBERRY_STEP = 0x6d2b79f5

/** What was lost. */
export interface PowerCutLoss {
  /** Zones whose write pointer went back. */
  zones: number
  bytes: number
}

/**
 * The table and media must be the caller's alone, and nothing in flight. `marks`: how far each zone was flushed, in sectors; brought up to date.
 * The same seed on the same drive takes the same. Throws Error when the media cannot forget.
 */
export function loseUnflushed(
  table: ZoneTable,
  geometry: Geometry,
  media: Media,
  marks: Int32Array,
  seed: number,
): PowerCutLoss {
  // The disk was stopped: what the last batches wrote was acknowledged, and is no longer in flight.
  for (let queue = 0; queue < table.queueCount; queue++) table.beginBatch(queue)
  losePower(table)
  const lost: PowerCutLoss = { zones: 0, bytes: 0 }
  const zones = Array.from({ length: geometry.zoneCount }, (_, zone) => zone)
  const targets = zones.map(zone => targetOf(table, geometry, marks, seed, zone))
  const isFull = (zone: number) => conditionOf(table.load(zone)) === BLK_ZONE_COND_FULL
  // Full ones last: only then is known whether the limit of active zones has room for them.
  const full = zones.filter(isFull)
  for (const zone of [...zones.filter(zone => !full.includes(zone)), ...full]) {
    const before = wpOf(table.load(zone))
    const after = retreatZone(table, zone, targets[zone]!)
    marks[zone] = after
    if (after === before) continue
    forget(geometry, media, zone, after)
    lost.zones++
    lost.bytes += (before - after) * SECTOR_BYTES
  }
  return lost
}

/** Somewhere between flushed and written, in whole blocks. */
function targetOf(
  table: ZoneTable,
  geometry: Geometry,
  marks: Int32Array,
  seed: number,
  zone: number,
): number {
  const blockSectors = geometry.blockSizeBytes / SECTOR_BYTES
  const wp = wpOf(table.load(zone))
  // A write that failed took the write pointer back behind the mark.
  const flushed = Math.min(marks[zone]!, wp)
  const blocks = (wp - flushed) / blockSectors
  const random = mulberry32((seed + Math.imul(zone + 1, MULBERRY_STEP)) | 0) / 2 ** 32
  return flushed + Math.floor(random * (blocks + 1)) * blockSectors
}

function forget(geometry: Geometry, media: Media, zone: number, fromSectors: number): void {
  const zoneBytes = geometry.zoneSizeSectors * SECTOR_BYTES
  const start = zone * zoneBytes
  const from = fromSectors * SECTOR_BYTES
  const result =
    from === 0
      ? media.recycle(start, zoneBytes)
      : media.discard(start + from, geometry.zoneCapacitySectors * SECTOR_BYTES - from)
  if (result < 0) throw new Error(`zone ${zone}: the media cannot forget its bytes (${result})`)
}
