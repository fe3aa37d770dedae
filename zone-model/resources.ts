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
import { conditionOf, packWord, wpOf } from './zone-word.js'

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

/** Closes one implicitly open zone. False: there is none. The zone that the caller holds must not be one. */
function closeOneImplicit(table: ZoneTable): boolean {
  if (table.implicitOpen === 0) return false
  let zone = table.nextToClose
  for (let visited = 0; visited < table.zoneCount; visited++) {
    const candidate = zone
    zone = zone + 1 === table.zoneCount ? 0 : zone + 1
    if (conditionOf(table.load(candidate)) !== BLK_ZONE_COND_IMP_OPEN) continue
    const word = table.take(candidate)
    changeCondition(table, BLK_ZONE_COND_IMP_OPEN, BLK_ZONE_COND_CLOSED)
    table.publish(candidate, packWord(BLK_ZONE_COND_CLOSED, wpOf(word)))
    table.nextToClose = zone
    return true
  }
  return false
}

/** Moves the counters when a zone goes from one condition to another. */
export function changeCondition(table: ZoneTable, from: ZoneCondition, to: ZoneCondition): void {
  table.countCondition(from, -1)
  table.countCondition(to, 1)
}

/**
 * Claims what a zone needs that goes from `from` (empty or closed, held by the caller) to `to` (implicitly or
 * explicitly open), and counts it. Active resources are checked before open ones, and nothing is changed when refused.
 *
 * @returns 0, or -STATUS_TOO_MANY_ACTIVE, or -STATUS_TOO_MANY_OPEN
 */
export function acquireOpen(table: ZoneTable, from: ZoneCondition, to: ZoneCondition): number {
  if (from !== BLK_ZONE_COND_CLOSED && !hasActiveRoom(table)) return -STATUS_TOO_MANY_ACTIVE
  if (!hasOpenRoom(table) && !closeOneImplicit(table)) return -STATUS_TOO_MANY_OPEN
  changeCondition(table, from, to)
  return STATUS_SUCCESS
}
