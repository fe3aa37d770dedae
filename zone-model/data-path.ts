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
import { AGAIN, changeCondition, makeRoom } from './resources.js'
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
  UBLK_IO_OP_WRITE_ZEROES,
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

/** What holds for every extent: it begins in a zone of the device, and is whole blocks. 0, or -status. */
function checkExtent(
  table: ZoneTable,
  zone: number,
  offsetSectors: number,
  countSectors: number,
): number {
  if (zone < 0 || zone >= table.zoneCount) return -STATUS_LBA_OUT_OF_RANGE
  if (offsetSectors < 0 || countSectors <= 0) return -STATUS_INVALID_FIELD
  const isAligned = ((offsetSectors | countSectors) & table.blockMask) === 0
  return isAligned ? STATUS_SUCCESS : -STATUS_INVALID_FIELD
}

/** Reserves at the write pointer of an open zone that stays open, if its word is still this one. */
function reserveOpen(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  word: number,
  countSectors: number,
): boolean {
  if (!table.tryTake(zone, word)) return false
  table.log.reserve(slot, op, zone, wpOf(word), countSectors, word)
  table.countWrite(zone, 1)
  table.publish(zone, word + countSectors)
  return true
}

/**
 * Reserves a write. In a conventional zone anything inside the zone goes, and nothing is logged; write-zeroes may also
 * run on into the next conventional zones, because Linux does not split it at zone borders (block/blk-merge.c).
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
  const refusedExtent = checkExtent(table, zone, offsetSectors, countSectors)
  if (refusedExtent !== STATUS_SUCCESS) return refusedExtent
  const end = offsetSectors + countSectors
  if (zone < table.conventionalCount) {
    const zones = op === UBLK_IO_OP_WRITE_ZEROES ? table.conventionalCount - zone : 1
    return end > zones * table.zoneSizeSectors ? -STATUS_ZONE_BOUNDARY_ERROR : STATUS_SUCCESS
  }
  for (let tries = 0; tries < FAST_TRIES_MAX; tries++) {
    const word = tries === 0 ? table.load(zone) : table.loadAgain(zone)
    if (!isOpen(word) || end >= table.capacitySectors) break
    if ((word & BUSY) !== 0) continue
    if ((word & WP_MASK) !== offsetSectors) break
    if (reserveOpen(table, slot, op, zone, word, countSectors)) return STATUS_SUCCESS
  }
  return admitSlow(table, slot, op, zone, offsetSectors, countSectors)
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
    return admitSlow(table, slot, UBLK_IO_OP_ZONE_APPEND, zone, 0, countSectors)
  }
  for (let tries = 0; tries < FAST_TRIES_MAX; tries++) {
    const word = tries === 0 ? table.load(zone) : table.loadAgain(zone)
    const wp = word & WP_MASK
    if (!isOpen(word) || wp + countSectors >= table.capacitySectors) break
    if ((word & BUSY) !== 0) continue
    if (reserveOpen(table, slot, UBLK_IO_OP_ZONE_APPEND, zone, word, countSectors)) return wp
  }
  return admitSlow(table, slot, UBLK_IO_OP_ZONE_APPEND, zone, 0, countSectors)
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
  const refusedExtent = checkExtent(table, zone, offsetSectors, countSectors)
  if (refusedExtent !== STATUS_SUCCESS) return refusedExtent
  if (offsetSectors + countSectors > table.zoneSizeSectors) return -STATUS_ZONE_BOUNDARY_ERROR
  if (conditionOf(table.load(zone)) === BLK_ZONE_COND_OFFLINE) return -STATUS_ZONE_IS_OFFLINE
  return STATUS_SUCCESS
}

/**
 * Whether a discard (NVMe Dataset Management, Deallocate) is legal. It changes bytes, so not in read-only and offline
 * zones (1BAh, 1BBh); write pointers stay. It may reach over any number of zones, because Linux does not split discards at
 * zone borders (block/blk-merge.c, bio_split_discard).
 *
 * @param offsetSectors - from the zone's start
 * @returns 0, or -status
 */
export function admitDiscard(
  table: ZoneTable,
  zone: number,
  offsetSectors: number,
  countSectors: number,
): number {
  const refusedExtent = checkExtent(table, zone, offsetSectors, countSectors)
  if (refusedExtent !== STATUS_SUCCESS) return refusedExtent
  const end = offsetSectors + countSectors
  if (end > (table.zoneCount - zone) * table.zoneSizeSectors) return -STATUS_LBA_OUT_OF_RANGE
  let at = zone
  for (let start = 0; start < end; start += table.zoneSizeSectors) {
    const refused = refuseCondition(conditionOf(table.load(at++)))
    if (refused !== STATUS_SUCCESS) return refused
  }
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

/** Under the lock. For an append the offset means nothing, and the result is where it goes. */
function admitSlow(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  offsetSectors: number,
  countSectors: number,
): number {
  for (;;) {
    table.lock()
    const word = table.take(zone)
    let result = AGAIN
    if ((word & BUSY) === 0) {
      result = refuseCondition(conditionOf(word))
      if (result !== STATUS_SUCCESS) table.publish(zone, word)
      else if (op === UBLK_IO_OP_ZONE_APPEND) {
        result = appendLocked(table, slot, zone, word, countSectors)
      } else result = writeLocked(table, slot, op, zone, word, offsetSectors, countSectors)
    }
    table.unlock()
    if (result !== AGAIN) return result
    table.pause()
  }
}

/** Gives the zone back, as does {@link appendLocked}. */
function writeLocked(
  table: ZoneTable,
  slot: number,
  op: number,
  zone: number,
  word: number,
  offsetSectors: number,
  countSectors: number,
): number {
  if (offsetSectors < wpOf(word) && table.log.outstanding > 0) {
    return claimWrite(table, slot, op, zone, word, offsetSectors, countSectors)
  }
  const isFull = conditionOf(word) === BLK_ZONE_COND_FULL
  if (isFull || offsetSectors !== wpOf(word)) {
    table.publish(zone, word)
    return isFull ? -STATUS_ZONE_IS_FULL : -STATUS_ZONE_INVALID_WRITE
  }
  return reserve(table, slot, op, zone, word, countSectors)
}

function appendLocked(
  table: ZoneTable,
  slot: number,
  zone: number,
  word: number,
  countSectors: number,
): number {
  const found = table.log.outstandingAppends > 0 ? table.log.findAppend(zone, countSectors) : -1
  if (found >= 0) {
    const offset = table.log.offsetOfOutstanding(found)
    table.log.claim(slot, found, UBLK_IO_OP_ZONE_APPEND, countSectors)
    table.publish(zone, word)
    return offset
  }
  if (conditionOf(word) === BLK_ZONE_COND_FULL) {
    table.publish(zone, word)
    return -STATUS_ZONE_IS_FULL
  }
  const result = reserve(table, slot, UBLK_IO_OP_ZONE_APPEND, zone, word, countSectors)
  return result === STATUS_SUCCESS ? wpOf(word) : result
}

/** The word after a write that ends at `end`, with the counters moved: full when that is the capacity. */
function wordAfter(table: ZoneTable, condition: ZoneCondition, end: number): number {
  if (end < table.capacitySectors) return packWord(condition, end)
  changeCondition(table, condition, BLK_ZONE_COND_FULL)
  return packWord(BLK_ZONE_COND_FULL, end)
}

/** Opens the zone if it must be: gives the condition in which it takes writes, -status, or AGAIN. Under lock and held. */
function openForWrite(table: ZoneTable, condition: ZoneCondition): number {
  if (condition === BLK_ZONE_COND_IMP_OPEN) return condition
  if (condition === BLK_ZONE_COND_EXP_OPEN) return condition
  const refused = makeRoom(table, condition)
  if (refused !== STATUS_SUCCESS) return refused
  changeCondition(table, condition, BLK_ZONE_COND_IMP_OPEN)
  return BLK_ZONE_COND_IMP_OPEN
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
