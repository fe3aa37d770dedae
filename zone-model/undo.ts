/**
 * Taking a reservation back: what becomes of a zone when the bytes of an admitted write could not be copied.
 *
 * Guarantees: nothing that was acknowledged is touched, whatever other workers did to the zone since; the counters are
 * right; past the write pointer the zone still reads as zeros. Not in the path of a write that succeeds, but no garbage.
 */
import { changeCondition, hasActiveRoom, hasOpenRoom } from './resources.js'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_IMP_OPEN,
  BLK_ZONE_COND_NOT_WP,
  BLK_ZONE_COND_OFFLINE,
  BLK_ZONE_COND_READONLY,
  type ZoneCondition,
} from './uapi.js'
import type { ZoneTable } from './zone-table.js'
import { BUSY, conditionOf, packWord, wpOf } from './zone-word.js'

/**
 * Throws the bytes of an extent away: offset from the zone's start and length in sectors. At least 0, or -errno. Called
 * under the lock with the zone held, so it may call nothing of this table.
 */
export type DiscardExtent = (zone: number, offsetSectors: number, countSectors: number) => number

/**
 * Takes a reservation of the current turn back, because its bytes could not be copied. It must be called before the
 * queue's next `beginBatch` (later it does nothing and gives false); the tag is committed with an error afterwards.
 *
 * When nothing has been reserved behind it, the write pointer goes back; a zone that the write had filled becomes what
 * it was before, as far as the limits still allow (else closed), and one that it had opened from empty becomes empty
 * again, unless someone has opened it explicitly since. The media may hold some of the bytes, and zones read as zeros past
 * the write pointer, so the extent is discarded while the zone is held: not before, when a reset and a new write by
 * another worker may have made it somebody else's. When that fails, the write pointer stays.
 *
 * When a later write or append has followed, the write pointer stays, and the extent is a hole in the zone. Nobody was
 * told that it was written, and NVMe allows that for an append that failed.
 *
 * The log entry is dropped first. A crash between the two stores leaves the write pointer where it was: the request,
 * when it comes again, fails as it was about to, or is appended further on.
 *
 * @param discard - throws the extent's bytes away, if the slot's reservation still stands; without it the caller must know
 *   that nothing was copied
 * @returns whether the write pointer was taken back
 */
export function undoWrite(table: ZoneTable, slot: number, discard?: DiscardExtent): boolean {
  for (;;) {
    if (!table.log.isReserved(slot)) return false
    const zone = table.log.zoneOf(slot)
    table.lock()
    const word = table.take(zone)
    const isHeld = (word & BUSY) === 0
    const next = isHeld ? wordAfterUndo(table, slot, word, discard) : word
    if (isHeld) {
      table.log.drop(slot)
      if (next !== word) table.countWrite(zone, -1)
      table.publish(zone, next)
    }
    table.unlock()
    if (isHeld) return next !== word
    table.pause()
  }
}

/** The word to go back to, with the counters moved; the same one when there is no way back. Under lock and held. */
function wordAfterUndo(
  table: ZoneTable,
  slot: number,
  word: number,
  discard: DiscardExtent | undefined,
): number {
  const log = table.log
  // Whoever has reset the zone meanwhile has forgotten the reservation.
  if (!log.isReserved(slot)) return word
  const offset = log.offsetOf(slot)
  const count = log.countOf(slot)
  if (discard !== undefined && discard(log.zoneOf(slot), offset, count) < 0) return word
  if (wpOf(word) !== offset + count) return word
  const before = conditionOf(log.wordBefore(slot))
  const condition = conditionAfterUndo(table, conditionOf(word), before, offset)
  return condition === BLK_ZONE_COND_NOT_WP ? word : packWord(condition, offset)
}

/** The condition to go back to, with the counters moved; `BLK_ZONE_COND_NOT_WP` means that there is no way back. */
function conditionAfterUndo(
  table: ZoneTable,
  condition: ZoneCondition,
  before: ZoneCondition,
  offsetSectors: number,
): ZoneCondition {
  const wasEmpty = offsetSectors === 0 && before === BLK_ZONE_COND_EMPTY
  switch (condition) {
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_CLOSED:
      if (!wasEmpty) return condition
      changeCondition(table, condition, BLK_ZONE_COND_EMPTY)
      return BLK_ZONE_COND_EMPTY
    case BLK_ZONE_COND_FULL:
      return wasEmpty ? BLK_ZONE_COND_EMPTY : reactivate(table, before)
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_READONLY:
      return condition
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      return BLK_ZONE_COND_NOT_WP
  }
}

/** Makes a full zone active again: as it was if there is room for an open one, else closed, else not at all. */
function reactivate(table: ZoneTable, before: ZoneCondition): ZoneCondition {
  if (!hasActiveRoom(table)) return BLK_ZONE_COND_NOT_WP
  let after: ZoneCondition = BLK_ZONE_COND_CLOSED
  if (before === BLK_ZONE_COND_EXP_OPEN && hasOpenRoom(table)) after = before
  if (before === BLK_ZONE_COND_IMP_OPEN && hasOpenRoom(table)) after = before
  changeCondition(table, BLK_ZONE_COND_FULL, after)
  return after
}
