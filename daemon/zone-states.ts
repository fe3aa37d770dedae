/**
 * Zones as the tierer sees them, from the table that the queues are changing.
 */
import {
  BLK_ZONE_COND_FULL,
  conditionOf,
  type Geometry,
  wpOf,
  type ZoneTable,
} from '../zone-model/index.js'
import type { ZoneState } from './tierer.js'

const PAGE_SECTORS = 8

/**
 * How far a zone is written, and nothing of it is being written: a page in the tier that gets a part more moves back, and for a
 * moment is not there, neither for who reads nor for a commit.
 */
function settledSectors(table: ZoneTable, zone: number, written: number): number {
  let settled = written
  for (let slot = 0; slot < table.queueCount * table.depth; slot++)
    if (table.log.isReserved(slot) && table.log.zoneOf(slot) === zone)
      settled = Math.min(settled, table.log.offsetOf(slot))
  return settled
}

/** A zone's state, of now. */
export function zoneStates(
  table: ZoneTable,
  { blockSectors }: Geometry,
): (zone: number) => ZoneState {
  return zone => {
    const { writes, resets } = table.statistics(zone)
    const word = table.load(zone)
    const isFull = conditionOf(word) === BLK_ZONE_COND_FULL
    const written = isFull ? table.capacitySectors : wpOf(word)
    const writtenPages = Math.floor(written / PAGE_SECTORS)
    return {
      isFull,
      changes: writes + resets,
      writtenPages,
      get settledPages() {
        // Whole pages are there at once, or not yet.
        if (blockSectors >= PAGE_SECTORS) return writtenPages
        return Math.floor(settledSectors(table, zone, written) / PAGE_SECTORS)
      },
    }
  }
}
