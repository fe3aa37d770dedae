/**
 * The data path: may this write, append or read be done, and where does it go.
 *
 * Order of checks for a write (as QEMU's hw/nvme/ctrl.c, and docs in ZNS 1.1): condition, write pointer, capacity, active
 * resources, open resources. A write to an empty or closed zone opens it implicitly; one that reaches the capacity makes
 * the zone full. Admission reserves: the write pointer moves before the bytes are copied, and the log says for whom.
 *
 * Fast path: the zone is open and does not fill up. One load, one compare-and-swap, one store; no lock. Everything else
 * goes through the transition lock. Hot file: no allocation, closure, throw, await or BigInt.
 */
import { acquireOpen, changeCondition, hasActiveRoom, hasOpenRoom } from './resources.js'
import {
  STATUS_INVALID_FIELD,
  STATUS_LBA_OUT_OF_RANGE,
  STATUS_SUCCESS,
  STATUS_ZONE_BOUNDARY_ERROR,
  STATUS_ZONE_INVALID_WRITE,
  STATUS_ZONE_IS_FULL,
  STATUS_ZONE_IS_OFFLINE,
  STATUS_ZONE_IS_READ_ONLY,
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
  UBLK_IO_OP_ZONE_APPEND,
  type ZoneCondition,
} from './uapi.js'
import type { ZoneTable } from './zone-table.js'
import { BUSY, conditionOf, packWord, WP_MASK, wpOf } from './zone-word.js'

/** How often a zone that another worker holds is looked at again before the lock is taken instead. */
const FAST_TRIES_MAX = 100

/** Implicitly or explicitly open, whoever holds it: the conditions 2 and 3 differ in their lowest bit only. */
function isOpen(word: number): boolean {
  return word >>> 29 === BLK_ZONE_COND_IMP_OPEN >>> 1
}

/**
 * Reserves a write. In a conventional zone anything inside the zone goes, and nothing is logged.
 *
 * @param slot - queue * depth + tag: whose log entry to use
 * @param op - `UBLK_IO_OP_WRITE` or `UBLK_IO_OP_WRITE_ZEROES`
 * @param offsetSectors - from the zone's start
 * @returns 0, or -status
 */
export function admitWrite(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  offsetSectors: number,
  countSectors: number,
): number {
  if (zone < 0 || zone >= table.zoneCount) return -STATUS_LBA_OUT_OF_RANGE
  if (offsetSectors < 0 || countSectors <= 0) return -STATUS_INVALID_FIELD
  if (((offsetSectors | countSectors) & table.blockMask) !== 0) return -STATUS_INVALID_FIELD
  const end = offsetSectors + countSectors
  if (zone < table.conventionalCount) {
    return end > table.zoneSizeSectors ? -STATUS_ZONE_BOUNDARY_ERROR : STATUS_SUCCESS
  }
  for (let tries = 0; tries < FAST_TRIES_MAX; tries++) {
    const word = tries === 0 ? table.load(zone) : table.loadAgain(zone)
    if (!isOpen(word) || end >= table.capacitySectors) break
    if ((word & BUSY) !== 0) continue
    if ((word & WP_MASK) !== offsetSectors) break
    if (!table.tryTake(zone, word)) continue
    table.log.reserve(slot, op, zone, offsetSectors, countSectors, word)
    table.countWrite(zone, 1)
    table.publish(zone, word + countSectors)
    return STATUS_SUCCESS
  }
  return admitWriteSlow(table, slot, op, zone, offsetSectors, countSectors)
}

/**
 * Reserves an append.
 *
 * @returns where in the zone it goes, in sectors from the zone's start, or -status
 */
export function admitAppend(
  table: ZoneTable,
  slot: number,
  zone: number,
  countSectors: number,
): number {
  if (zone < 0 || zone >= table.zoneCount) return -STATUS_LBA_OUT_OF_RANGE
  if (zone < table.conventionalCount) return -STATUS_INVALID_FIELD
  if (countSectors <= 0 || (countSectors & table.blockMask) !== 0) return -STATUS_INVALID_FIELD
  if (countSectors > table.maxAppendSectors) return -STATUS_INVALID_FIELD
  if (table.log.outstandingAppends > 0) {
    return admitAppendSlow(table, slot, zone, countSectors)
  }
  for (let tries = 0; tries < FAST_TRIES_MAX; tries++) {
    const word = tries === 0 ? table.load(zone) : table.loadAgain(zone)
    const wp = word & WP_MASK
    if (!isOpen(word) || wp + countSectors >= table.capacitySectors) break
    if ((word & BUSY) !== 0) continue
    if (!table.tryTake(zone, word)) continue
    table.log.reserve(slot, UBLK_IO_OP_ZONE_APPEND, zone, wp, countSectors, word)
    table.countWrite(zone, 1)
    table.publish(zone, word + countSectors)
    return wp
  }
  return admitAppendSlow(table, slot, zone, countSectors)
}

/**
 * Whether a read is legal. Reading past the write pointer is: the media gives zeros there.
 *
 * @returns 0, or -status
 */
export function admitRead(
  table: ZoneTable,
  zone: number,
  offsetSectors: number,
  countSectors: number,
): number {
  if (zone < 0 || zone >= table.zoneCount) return -STATUS_LBA_OUT_OF_RANGE
  if (offsetSectors < 0 || countSectors <= 0) return -STATUS_INVALID_FIELD
  if (((offsetSectors | countSectors) & table.blockMask) !== 0) return -STATUS_INVALID_FIELD
  if (offsetSectors + countSectors > table.zoneSizeSectors) return -STATUS_ZONE_BOUNDARY_ERROR
  if (conditionOf(table.load(zone)) === BLK_ZONE_COND_OFFLINE) return -STATUS_ZONE_IS_OFFLINE
  return STATUS_SUCCESS
}

/** Why a zone in this condition takes no writes at all: 0 if it may, or -status. Full zones are a case of their own. */
function refuseCondition(condition: ZoneCondition): number {
  switch (condition) {
    case BLK_ZONE_COND_READONLY:
      return -STATUS_ZONE_IS_READ_ONLY
    case BLK_ZONE_COND_OFFLINE:
      return -STATUS_ZONE_IS_OFFLINE
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
    case BLK_ZONE_COND_FULL:
    case BLK_ZONE_COND_NOT_WP:
      return STATUS_SUCCESS
  }
}

function admitWriteSlow(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  offsetSectors: number,
  countSectors: number,
): number {
  table.lock()
  const word = table.take(zone)
  let result = refuseCondition(conditionOf(word))
  if (result !== STATUS_SUCCESS) {
    table.publish(zone, word)
  } else if (offsetSectors < wpOf(word) && table.log.outstanding > 0) {
    result = claimWrite(table, slot, op, zone, word, offsetSectors, countSectors)
  } else if (conditionOf(word) === BLK_ZONE_COND_FULL) {
    table.publish(zone, word)
    result = -STATUS_ZONE_IS_FULL
  } else if (offsetSectors !== wpOf(word)) {
    table.publish(zone, word)
    result = -STATUS_ZONE_INVALID_WRITE
  } else {
    result = reserve(table, slot, op, zone, word, countSectors)
  }
  table.unlock()
  return result
}

function admitAppendSlow(
  table: ZoneTable,
  slot: number,
  zone: number,
  countSectors: number,
): number {
  table.lock()
  const word = table.take(zone)
  const condition = conditionOf(word)
  const found = table.log.outstandingAppends > 0 ? table.log.findAppend(zone, countSectors) : -1
  let result = refuseCondition(condition)
  if (result !== STATUS_SUCCESS) {
    table.publish(zone, word)
  } else if (found >= 0) {
    result = table.log.offsetOfOutstanding(found)
    table.log.claim(slot, found, UBLK_IO_OP_ZONE_APPEND, countSectors)
    table.publish(zone, word)
  } else if (condition === BLK_ZONE_COND_FULL) {
    table.publish(zone, word)
    result = -STATUS_ZONE_IS_FULL
  } else {
    result = reserve(table, slot, UBLK_IO_OP_ZONE_APPEND, zone, word, countSectors)
    if (result === STATUS_SUCCESS) result = wpOf(word)
  }
  table.unlock()
  return result
}

/** The word after a write that ends at `end`, with the counters moved: full when that is the capacity. */
function wordAfter(table: ZoneTable, condition: ZoneCondition, end: number): number {
  if (end < table.capacitySectors) return packWord(condition, end)
  changeCondition(table, condition, BLK_ZONE_COND_FULL)
  return packWord(BLK_ZONE_COND_FULL, end)
}

/** Opens the zone if it must be: gives the condition in which it takes writes, or -status. Under lock and held. */
function openForWrite(table: ZoneTable, condition: ZoneCondition): number {
  if (condition === BLK_ZONE_COND_IMP_OPEN) return condition
  if (condition === BLK_ZONE_COND_EXP_OPEN) return condition
  const refused = acquireOpen(table, condition, BLK_ZONE_COND_IMP_OPEN)
  return refused === STATUS_SUCCESS ? BLK_ZONE_COND_IMP_OPEN : refused
}

/** Reserves at the write pointer; the zone is neither full nor read-only nor offline. Gives the zone back. */
function reserve(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  word: number,
  countSectors: number,
): number {
  const end = wpOf(word) + countSectors
  if (end > table.capacitySectors) {
    table.publish(zone, word)
    return -STATUS_ZONE_BOUNDARY_ERROR
  }
  const opened = openForWrite(table, conditionOf(word))
  if (opened < 0) {
    table.publish(zone, word)
    return opened
  }
  table.log.reserve(slot, op, zone, wpOf(word), countSectors, word)
  table.countWrite(zone, 1)
  table.publish(zone, wordAfter(table, opened as ZoneCondition, end))
  return STATUS_SUCCESS
}

/**
 * After a crash: a write below the write pointer is legal if it is one that was reserved and never acknowledged. It
 * begins where an outstanding write begins. It may be longer, when the kernel has merged other requests to its end: what
 * is longer must be outstanding too, or lie past the write pointer, which then moves on. It is never shorter: the kernel
 * does not split what it issues again. Gives the zone back.
 */
function claimWrite(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  word: number,
  offsetSectors: number,
  countSectors: number,
): number {
  const wp = wpOf(word)
  const end = offsetSectors + countSectors
  const found = table.log.findWrite(zone, offsetSectors)
  let covered = found < 0 ? -1 : offsetSectors + table.log.countOfOutstanding(found)
  while (covered >= 0 && covered < end && covered < wp) {
    const next = table.log.findWrite(zone, covered)
    covered = next < 0 ? -1 : covered + table.log.countOfOutstanding(next)
  }
  const isFull = conditionOf(word) === BLK_ZONE_COND_FULL
  if (covered < 0 || covered > end) {
    table.publish(zone, word)
    return isFull ? -STATUS_ZONE_IS_FULL : -STATUS_ZONE_INVALID_WRITE
  }
  if (end <= wp) {
    table.log.claim(slot, found, op, countSectors)
    table.publish(zone, word)
    return STATUS_SUCCESS
  }
  if (end > table.capacitySectors) {
    table.publish(zone, word)
    return -STATUS_ZONE_BOUNDARY_ERROR
  }
  const opened = openForWrite(table, conditionOf(word))
  if (opened < 0) {
    table.publish(zone, word)
    return opened
  }
  table.log.claim(slot, found, op, countSectors)
  table.publish(zone, wordAfter(table, opened as ZoneCondition, end))
  return STATUS_SUCCESS
}

/**
 * Takes a reservation of the current turn back, because its bytes could not be copied. It must be called before the
 * queue's next `beginBatch` (later it does nothing and gives false); the tag is committed with an error afterwards.
 *
 * When nothing has been reserved behind it, the write pointer goes back; a zone that the write had filled becomes what
 * it was before, as far as the limits still allow (else closed), and one that it had opened from empty becomes empty
 * again, unless someone has opened it explicitly since. The media may hold some of the bytes: whoever calls this must
 * discard the extent before, because zones read as zeros past the write pointer.
 *
 * When a later write or append has followed, the write pointer stays, and the extent is a hole in the zone. Nobody was
 * told that it was written, and NVMe allows that for an append that failed.
 *
 * The log entry is dropped first. A crash between the two stores leaves the write pointer where it was: the request,
 * when it comes again, fails as it was about to, or is appended further on.
 *
 * @returns whether the write pointer was taken back
 */
export function undoWrite(table: ZoneTable, slot: number): boolean {
  if (!table.log.isReserved(slot)) return false
  const zone = table.log.zoneOf(slot)
  const offset = table.log.offsetOf(slot)
  const count = table.log.countOf(slot)
  const before = conditionOf(table.log.wordBefore(slot))
  table.lock()
  const word = table.take(zone)
  let next = word
  if (table.log.isReserved(slot) && wpOf(word) === offset + count) {
    const condition = conditionAfterUndo(table, conditionOf(word), before, offset)
    if (condition !== BLK_ZONE_COND_NOT_WP) next = packWord(condition, offset)
  }
  table.log.drop(slot)
  if (next !== word) table.countWrite(zone, -1)
  table.publish(zone, next)
  table.unlock()
  return next !== word
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
