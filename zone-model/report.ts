/**
 * Zone reports: as the kernel wants them (struct blk_zone) and as people and JSON do.
 *
 * The write pointer of a full, read-only or offline zone means nothing (ZNS 1.1 reports all ones). Here, as in Linux's
 * null_blk, it is the end of the zone, start + len; so it is for conventional zones, which have none. Each zone is
 * reported as it is at one moment; different zones may be of different moments.
 */
import {
  BLK_ZONE_BYTES,
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_IMP_OPEN,
  BLK_ZONE_COND_NOT_WP,
  BLK_ZONE_COND_OFFLINE,
  BLK_ZONE_COND_READONLY,
  BLK_ZONE_TYPE_CONVENTIONAL,
  BLK_ZONE_TYPE_SEQWRITE_REQ,
  conditionName,
  type ZoneCondition,
} from './uapi.js'
import type { ZoneTable } from './zone-table.js'
import { conditionOf, wpOf } from './zone-word.js'

/** A zone for people and JSON. Absolute addresses and lengths in 512-byte sectors. */
export interface ZoneDescriptor {
  readonly zone: number
  readonly startSector: number
  readonly lengthSectors: number
  readonly capacitySectors: number
  /** Absolute; start + length for zones whose write pointer means nothing. */
  readonly wpSector: number
  readonly type: 'conventional' | 'sequential'
  /** As `conditionName` spells it: `empty`, `implicit-open`, … */
  readonly condition: string
}

/** Which zones to report; all by default. */
export interface ReportOptions {
  readonly firstZone?: number | undefined
  /** Most zones to report. */
  readonly zoneCount?: number | undefined
  /** Only zones in this condition. */
  readonly condition?: ZoneCondition | undefined
}

/** The write pointer as reported, from the zone's start. */
function reportedWp(word: number, zoneSizeSectors: number): number {
  switch (conditionOf(word)) {
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
      return wpOf(word)
    case BLK_ZONE_COND_FULL:
    case BLK_ZONE_COND_READONLY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      return zoneSizeSectors
  }
}

function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

/**
 * Writes `struct blk_zone` after `struct blk_zone` (64 bytes each, little-endian, include/uapi/linux/blkzoned.h).
 *
 * @param zoneCount - most entries to write; what `out` has room for, and the last zone, are limits too
 * @param out - bytes past the last entry written are left as they are
 * @param condition - only zones in this condition
 * @returns how many entries were written
 */
export function fillReport(
  table: ZoneTable,
  firstZone: number,
  zoneCount: number,
  out: Uint8Array,
  condition?: ZoneCondition,
): number {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  const room = Math.min(zoneCount, Math.floor(out.byteLength / BLK_ZONE_BYTES))
  const size = table.zoneSizeSectors
  let written = 0
  for (let zone = Math.max(0, firstZone); zone < table.zoneCount && written < room; zone++) {
    const word = table.load(zone)
    if (condition !== undefined && conditionOf(word) !== condition) continue
    const isConventional = zone < table.conventionalCount
    const at = written * BLK_ZONE_BYTES
    out.fill(0, at, at + BLK_ZONE_BYTES)
    setUint64(view, at, zone * size)
    setUint64(view, at + 8, size)
    setUint64(view, at + 16, zone * size + reportedWp(word, size))
    out[at + 24] = isConventional ? BLK_ZONE_TYPE_CONVENTIONAL : BLK_ZONE_TYPE_SEQWRITE_REQ
    out[at + 25] = conditionOf(word)
    setUint64(view, at + 32, isConventional ? size : table.capacitySectors)
    written++
  }
  return written
}

function getUint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
}

/** The inverse of {@link fillReport}, for reports of any device: as many zones as `bytes` has. */
export function parseReport(bytes: Uint8Array): ZoneDescriptor[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const zones: ZoneDescriptor[] = []
  for (let at = 0; at + BLK_ZONE_BYTES <= bytes.byteLength; at += BLK_ZONE_BYTES) {
    const startSector = getUint64(view, at)
    const lengthSectors = getUint64(view, at + 8)
    zones.push({
      zone: Math.floor(startSector / lengthSectors),
      startSector,
      lengthSectors,
      capacitySectors: getUint64(view, at + 32),
      wpSector: getUint64(view, at + 16),
      type: view.getUint8(at + 24) === BLK_ZONE_TYPE_CONVENTIONAL ? 'conventional' : 'sequential',
      condition: conditionName(view.getUint8(at + 25)),
    })
  }
  return zones
}

/** The same as plain objects. */
export function reportZones(table: ZoneTable, options: ReportOptions = {}): ZoneDescriptor[] {
  const firstZone = Math.max(0, options.firstZone ?? 0)
  const most = options.zoneCount ?? table.zoneCount
  const size = table.zoneSizeSectors
  const zones: ZoneDescriptor[] = []
  for (let zone = firstZone; zone < table.zoneCount && zones.length < most; zone++) {
    const word = table.load(zone)
    if (options.condition !== undefined && conditionOf(word) !== options.condition) continue
    const isConventional = zone < table.conventionalCount
    zones.push({
      zone,
      startSector: zone * size,
      lengthSectors: size,
      capacitySectors: isConventional ? size : table.capacitySectors,
      wpSector: zone * size + reportedWp(word, size),
      type: isConventional ? 'conventional' : 'sequential',
      condition: conditionName(conditionOf(word)),
    })
  }
  return zones
}
