/**
 * Open and active resources: who may be open, and who is closed to make room (ZNS 1.1, Zone Resources).
 *
 * Everything here runs under the table's transition lock. An implicitly open zone gives way when an open resource is
 * needed; an explicitly open one never does. Which one gives way is not in the specification: a cursor goes round, as in
 * Linux's null_blk, so that finding one costs little however many zones there are.
 */
import { STATUS_SUCCESS, STATUS_TOO_MANY_ACTIVE, STATUS_TOO_MANY_OPEN } from './status.js'
import { BLK_ZONE_COND_CLOSED, BLK_ZONE_COND_IMP_OPEN, type ZoneCondition } from './uapi.js'
import type { ZoneTable } from './zone-table.js'
import { BUSY, conditionOf, packWord, wpOf } from './zone-word.js'

/**
 * In the place of 0 or -status: somebody holds a zone that is needed, and may do so for long (a reset that discards). Give
 * back the zone, then the lock, `pause()`, and begin again. Less than any -status.
 */
export const AGAIN = -0x100000

/** Whether one more zone may be active. */
export function hasActiveRoom(table: ZoneTable): boolean {
  if (table.maxActive === 0) return true
  return table.implicitOpen + table.explicitOpen + table.closed < table.maxActive
}

/** Whether one more zone may be open without closing another. */
export function hasOpenRoom(table: ZoneTable): boolean {
  if (table.maxOpen === 0) return true
  return table.implicitOpen + table.explicitOpen < table.maxOpen
}

/**
 * Closes one implicitly open zone: 0, -STATUS_TOO_MANY_OPEN when there is none, or AGAIN when all that there are are held
 * by others. The zone that the caller holds must not be one.
 */
function closeOneImplicit(table: ZoneTable): number {
  if (table.implicitOpen === 0) return -STATUS_TOO_MANY_OPEN
  let refused = -STATUS_TOO_MANY_OPEN
  let zone = table.nextToClose
  for (let visited = 0; visited < table.zoneCount; visited++) {
    const candidate = zone
    zone = zone + 1 === table.zoneCount ? 0 : zone + 1
    if (conditionOf(table.load(candidate)) !== BLK_ZONE_COND_IMP_OPEN) continue
    const word = table.take(candidate)
    if ((word & BUSY) !== 0) {
      refused = AGAIN
      continue
    }
    changeCondition(table, BLK_ZONE_COND_IMP_OPEN, BLK_ZONE_COND_CLOSED)
    table.publish(candidate, packWord(BLK_ZONE_COND_CLOSED, wpOf(word)))
    table.nextToClose = zone
    return STATUS_SUCCESS
  }
  return refused
}

/** Moves the counters when a zone goes from one condition to another. */
export function changeCondition(table: ZoneTable, from: ZoneCondition, to: ZoneCondition): void {
  table.countCondition(from, -1)
  table.countCondition(to, 1)
}

/**
 * Sees to it that a zone in `from` (empty or closed, held by the caller) may become open. Active resources are checked
 * before open ones, and nothing is changed when refused. The caller counts the change.
 *
 * @returns 0, -STATUS_TOO_MANY_ACTIVE, -STATUS_TOO_MANY_OPEN, or AGAIN
 */
export function makeRoom(table: ZoneTable, from: ZoneCondition): number {
  if (from !== BLK_ZONE_COND_CLOSED && !hasActiveRoom(table)) return -STATUS_TOO_MANY_ACTIVE
  return hasOpenRoom(table) ? STATUS_SUCCESS : closeOneImplicit(table)
}
