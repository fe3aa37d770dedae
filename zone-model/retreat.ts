/**
 * A write pointer that goes back, as after a power cut: what lay between was in a cache, and is gone.
 */
import { changeCondition, hasActiveRoom } from './resources.js'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_NOT_WP,
  BLK_ZONE_COND_OFFLINE,
  BLK_ZONE_COND_READONLY,
} from './uapi.js'
import type { ZoneTable } from './zone-table.js'
import { conditionOf, packWord, wpOf } from './zone-word.js'

/**
 * Moves the write pointer of a zone back to `wpSectors`. Alone: nobody else may use the table. The zone is closed then, or empty
 * at 0. One that was full stays as it is when the limit of active zones has no room for another; so does a zone that is
 * read-only, offline or conventional, and one whose write pointer is not further on. The bytes are the caller's to forget.
 *
 * @returns where the write pointer is now, in sectors from the zone's start; the capacity of one that stayed full
 */
export function retreatZone(table: ZoneTable, zone: number, wpSectors: number): number {
  const word = table.load(zone)
  const condition = conditionOf(word)
  const wp = wpOf(word)
  if (wpSectors >= wp) return wp
  if (
    condition === BLK_ZONE_COND_READONLY ||
    condition === BLK_ZONE_COND_OFFLINE ||
    condition === BLK_ZONE_COND_NOT_WP
  ) {
    return wp
  }
  const isFull = condition === BLK_ZONE_COND_FULL
  if (isFull && wpSectors > 0 && !hasActiveRoom(table)) return wp
  const after = wpSectors === 0 ? BLK_ZONE_COND_EMPTY : BLK_ZONE_COND_CLOSED
  changeCondition(table, condition, after)
  table.publish(zone, packWord(after, wpSectors))
  return wpSectors
}
