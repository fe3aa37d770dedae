/**
 * Zone management: one function a command, one switch over all eight conditions (ZNS 1.1, Zone Management Send, and the
 * zone state machine; QEMU hw/nvme/ctrl.c nvme_zrm_*).
 *
 * Every function gives 0 or -status. Each takes the transition lock, then the zone; each is idempotent, so none needs a log
 * entry. Where Linux's null_blk (drivers/block/null_blk/zoned.c) differs, the ZNS rule wins:
 *
 * | operation                          | ZNS, and this | null_blk                                       |
 * | ---------------------------------- | ------------- | ---------------------------------------------- |
 * | close of an open zone, wp at start | closed        | empty                                          |
 * | close of an empty zone             | refused, 1BFh | refused, EIO                                   |
 * | finish of an empty or closed zone  | full          | full, but refused when no open resource is left |
 * | open of an empty zone at the open limit, none active left | active limit is checked first | the same |
 * | automatic close when max-active is reached | allowed: a closed zone stays active | refused        |
 * | any of them on a conventional zone | refused, 1BFh | refused, EIO                                   |
 */
import { acquireOpen, changeCondition } from './resources.js'
import {
  STATUS_INVALID_TRANSITION,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_SUCCESS,
  STATUS_TOO_MANY_OPEN,
  statusOfMediaErrno,
} from './status.js'
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
import { conditionOf, packWord, wpOf } from './zone-word.js'

/**
 * Throws a zone's bytes away. Called while the zone is held and before it is shown as empty, so that nobody writes bytes
 * that are then discarded and nobody reads old ones in an empty zone. At least 0, or -errno, which aborts the reset.
 */
export type DiscardZone = (zone: number) => number

function exists(table: ZoneTable, zone: number): boolean {
  return zone >= 0 && zone < table.zoneCount
}

/** Explicitly opens a zone: 0, or -1BFh, -1BDh (too many active), -1BEh (too many open). */
export function openZone(table: ZoneTable, zone: number): number {
  if (!exists(table, zone)) return -STATUS_LBA_OUT_OF_RANGE
  table.lock()
  const result = openLocked(table, zone)
  table.unlock()
  return result
}

function openLocked(table: ZoneTable, zone: number): number {
  const word = table.take(zone)
  const condition = conditionOf(word)
  let result = STATUS_SUCCESS
  let next = word
  switch (condition) {
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_CLOSED:
      result = acquireOpen(table, condition, BLK_ZONE_COND_EXP_OPEN)
      if (result === STATUS_SUCCESS) next = packWord(BLK_ZONE_COND_EXP_OPEN, wpOf(word))
      break
    case BLK_ZONE_COND_IMP_OPEN:
      changeCondition(table, condition, BLK_ZONE_COND_EXP_OPEN)
      next = packWord(BLK_ZONE_COND_EXP_OPEN, wpOf(word))
      break
    case BLK_ZONE_COND_EXP_OPEN:
      // Open on an explicitly open zone is not an error.
      break
    case BLK_ZONE_COND_FULL:
    case BLK_ZONE_COND_READONLY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      result = -STATUS_INVALID_TRANSITION
      break
  }
  table.publish(zone, next)
  return result
}

/** Closes an open zone: 0, or -1BFh. */
export function closeZone(table: ZoneTable, zone: number): number {
  if (!exists(table, zone)) return -STATUS_LBA_OUT_OF_RANGE
  table.lock()
  const result = closeLocked(table, zone)
  table.unlock()
  return result
}

function closeLocked(table: ZoneTable, zone: number): number {
  const word = table.take(zone)
  const condition = conditionOf(word)
  let result = STATUS_SUCCESS
  let next = word
  switch (condition) {
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
      // Closed even when nothing has been written: the active resource is kept. null_blk would make it empty.
      changeCondition(table, condition, BLK_ZONE_COND_CLOSED)
      next = packWord(BLK_ZONE_COND_CLOSED, wpOf(word))
      break
    case BLK_ZONE_COND_CLOSED:
      // Close on a closed zone is not an error.
      break
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_FULL:
    case BLK_ZONE_COND_READONLY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      result = -STATUS_INVALID_TRANSITION
      break
  }
  table.publish(zone, next)
  return result
}

/** Makes a zone full without writing the rest, which reads as zeros: 0, or -1BFh. Needs no resources. */
export function finishZone(table: ZoneTable, zone: number): number {
  if (!exists(table, zone)) return -STATUS_LBA_OUT_OF_RANGE
  table.lock()
  const result = finishLocked(table, zone)
  table.unlock()
  return result
}

function finishLocked(table: ZoneTable, zone: number): number {
  const word = table.take(zone)
  const condition = conditionOf(word)
  let result = STATUS_SUCCESS
  let next = word
  switch (condition) {
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
      changeCondition(table, condition, BLK_ZONE_COND_FULL)
      table.countFinish(zone, wpOf(word))
      next = packWord(BLK_ZONE_COND_FULL, table.capacitySectors)
      break
    case BLK_ZONE_COND_FULL:
      // Finish on a full zone is not an error.
      break
    case BLK_ZONE_COND_READONLY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      result = -STATUS_INVALID_TRANSITION
      break
  }
  table.publish(zone, next)
  return result
}

/**
 * Empties a zone: 0, -1BFh, or -{@link statusOfMediaErrno} when the bytes could not be discarded, and then the zone is as
 * it was. Reservations in the zone are forgotten: what comes back for them after a crash is refused.
 */
export function resetZone(table: ZoneTable, zone: number, discard: DiscardZone): number {
  if (!exists(table, zone)) return -STATUS_LBA_OUT_OF_RANGE
  table.lock()
  const result = resetLocked(table, zone, discard)
  table.unlock()
  return result
}

function resetLocked(table: ZoneTable, zone: number, discard: DiscardZone): number {
  const word = table.take(zone)
  const condition = conditionOf(word)
  let result = STATUS_SUCCESS
  let next = word
  switch (condition) {
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
    case BLK_ZONE_COND_FULL: {
      const discarded = discard(zone)
      if (discarded < 0) {
        result = -statusOfMediaErrno(discarded)
        break
      }
      table.log.dropZone(zone)
      changeCondition(table, condition, BLK_ZONE_COND_EMPTY)
      table.countReset(zone, wpOf(word))
      next = packWord(BLK_ZONE_COND_EMPTY, 0)
      break
    }
    case BLK_ZONE_COND_EMPTY:
      // Reset on an empty zone is not an error.
      break
    case BLK_ZONE_COND_READONLY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      result = -STATUS_INVALID_TRANSITION
      break
  }
  table.publish(zone, next)
  return result
}

/** Takes a read-only zone offline, as Zone Management Send does: 0, or -1BFh from any other condition. */
export function offlineZone(table: ZoneTable, zone: number): number {
  if (!exists(table, zone)) return -STATUS_LBA_OUT_OF_RANGE
  table.lock()
  const word = table.take(zone)
  let result = STATUS_SUCCESS
  let next = word
  switch (conditionOf(word)) {
    case BLK_ZONE_COND_READONLY:
      next = packWord(BLK_ZONE_COND_OFFLINE, wpOf(word))
      break
    case BLK_ZONE_COND_OFFLINE:
      // Offline on an offline zone is not an error.
      break
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
    case BLK_ZONE_COND_FULL:
    case BLK_ZONE_COND_NOT_WP:
      result = -STATUS_INVALID_TRANSITION
      break
  }
  table.publish(zone, next)
  table.unlock()
  return result
}

/**
 * A fault, not a command: the zone becomes read-only, as a drive does of its own accord. From there `offlineZone` takes
 * it offline. Conventional zones are refused (-1BFh), because Linux refuses a disk that has one with any condition.
 */
export function readOnlyZone(table: ZoneTable, zone: number): number {
  if (!exists(table, zone)) return -STATUS_LBA_OUT_OF_RANGE
  table.lock()
  const word = table.take(zone)
  const condition = conditionOf(word)
  let result = STATUS_SUCCESS
  let next = word
  switch (condition) {
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
    case BLK_ZONE_COND_FULL:
      changeCondition(table, condition, BLK_ZONE_COND_READONLY)
      next = packWord(BLK_ZONE_COND_READONLY, wpOf(word))
      break
    case BLK_ZONE_COND_READONLY:
      // A read-only zone that fails again is still read-only.
      break
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      result = -STATUS_INVALID_TRANSITION
      break
  }
  table.publish(zone, next)
  table.unlock()
  return result
}

/** The zones that a Select All acts on, before it begins: closing one to open another must not open the first again. */
function zonesIn(table: ZoneTable, conditions: readonly ZoneCondition[]): number[] {
  const zones: number[] = []
  for (let zone = table.conventionalCount; zone < table.zoneCount; zone++) {
    if (conditions.includes(conditionOf(table.load(zone)))) zones.push(zone)
  }
  return zones
}

/** Applies a command to zones in order and stops at the first refusal. Under the lock. */
function applyTo(zones: readonly number[], command: (zone: number) => number): number {
  for (const zone of zones) {
    const result = command(zone)
    if (result !== STATUS_SUCCESS) return result
  }
  return STATUS_SUCCESS
}

/** Open, Select All: every closed zone is opened explicitly, or, when the limit has no room for all, none. */
export function openAll(table: ZoneTable): number {
  table.lock()
  const zones = zonesIn(table, [BLK_ZONE_COND_CLOSED])
  // Implicitly open zones can be closed to make room, explicitly open ones cannot.
  const isTooMany = table.maxOpen !== 0 && table.explicitOpen + zones.length > table.maxOpen
  const result = isTooMany ? -STATUS_TOO_MANY_OPEN : applyTo(zones, zone => openLocked(table, zone))
  table.unlock()
  return result
}

/** Close, Select All: every open zone. */
export function closeAll(table: ZoneTable): number {
  table.lock()
  const zones = zonesIn(table, [BLK_ZONE_COND_IMP_OPEN, BLK_ZONE_COND_EXP_OPEN])
  const result = applyTo(zones, zone => closeLocked(table, zone))
  table.unlock()
  return result
}

/** Finish, Select All: every open or closed zone; empty ones stay empty. */
export function finishAll(table: ZoneTable): number {
  table.lock()
  const zones = zonesIn(table, [
    BLK_ZONE_COND_IMP_OPEN,
    BLK_ZONE_COND_EXP_OPEN,
    BLK_ZONE_COND_CLOSED,
  ])
  const result = applyTo(zones, zone => finishLocked(table, zone))
  table.unlock()
  return result
}

/** Reset, Select All: every open, closed or full zone. Stops at a zone whose bytes cannot be discarded. */
export function resetAll(table: ZoneTable, discard: DiscardZone): number {
  table.lock()
  const zones = zonesIn(table, [
    BLK_ZONE_COND_IMP_OPEN,
    BLK_ZONE_COND_EXP_OPEN,
    BLK_ZONE_COND_CLOSED,
    BLK_ZONE_COND_FULL,
  ])
  const result = applyTo(zones, zone => resetLocked(table, zone, discard))
  table.unlock()
  return result
}
