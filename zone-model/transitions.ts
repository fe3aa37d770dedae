/**
 * Zone management: one function a command, one line that says from which conditions it leads where (ZNS 1.1, Zone
 * Management Send, and the zone state machine; QEMU hw/nvme/ctrl.c nvme_zrm_*).
 *
 * Every function gives 0 or -status. Each takes the transition lock, then the zone; each is idempotent, so none needs a log
 * entry. A reset holds its zone while the bytes are thrown away, but not the lock: however long that takes, it stalls
 * nobody but those who want that zone. Killed meanwhile, it leaves the old zone word, and the reset is asked for again.
 * Where Linux's null_blk (drivers/block/null_blk/zoned.c) differs, the ZNS rule wins:
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
import { AGAIN, changeCondition, makeRoom } from './resources.js'
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
  BLK_ZONE_COND_OFFLINE,
  BLK_ZONE_COND_READONLY,
  type ZoneCondition,
} from './uapi.js'
import type { ZoneTable } from './zone-table.js'
import { BUSY, conditionOf, packWord, wpOf } from './zone-word.js'

/**
 * Throws a zone's bytes away. Called while the zone is held and before it is shown as empty, so that nobody is admitted
 * whose bytes are then discarded, and nobody reads old ones in an empty zone. At least 0, or -errno, which aborts the
 * reset. It may take long, and may use other zones of the table, but not this one: that would wait for ever.
 */
export type DiscardZone = (zone: number) => number

type Conditions = readonly ZoneCondition[]

/** A command leads from some conditions to one; from all others it is refused with 1BFh. */
interface Command {
  readonly to: ZoneCondition
  /** `to` is among them where the command on such a zone is not an error, and then changes nothing. */
  readonly from: Conditions
}

const OPEN_OR_CLOSED: Conditions = [
  BLK_ZONE_COND_IMP_OPEN,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_CLOSED,
]
const WRITTEN_AS_USUAL: Conditions = [BLK_ZONE_COND_EMPTY, ...OPEN_OR_CLOSED, BLK_ZONE_COND_FULL]

const OPEN: Command = {
  to: BLK_ZONE_COND_EXP_OPEN,
  from: [BLK_ZONE_COND_EMPTY, ...OPEN_OR_CLOSED],
}
/** Closed even when nothing has been written: the active resource is kept. null_blk would make it empty. */
const CLOSE: Command = { to: BLK_ZONE_COND_CLOSED, from: OPEN_OR_CLOSED }
const FINISH: Command = { to: BLK_ZONE_COND_FULL, from: WRITTEN_AS_USUAL }
const RESET: Command = { to: BLK_ZONE_COND_EMPTY, from: WRITTEN_AS_USUAL }
const OFFLINE: Command = {
  to: BLK_ZONE_COND_OFFLINE,
  from: [BLK_ZONE_COND_READONLY, BLK_ZONE_COND_OFFLINE],
}
const READ_ONLY: Command = {
  to: BLK_ZONE_COND_READONLY,
  from: [...WRITTEN_AS_USUAL, BLK_ZONE_COND_READONLY],
}

/** Whether a command may be done to a zone, with room made for it where it needs some: 0, -status, or AGAIN. */
function admit(table: ZoneTable, { to, from }: Command, condition: ZoneCondition): number {
  if (!from.includes(condition)) return -STATUS_INVALID_TRANSITION
  if (to !== BLK_ZONE_COND_EXP_OPEN) return STATUS_SUCCESS
  const isOpen = condition === BLK_ZONE_COND_IMP_OPEN || condition === BLK_ZONE_COND_EXP_OPEN
  return isOpen ? STATUS_SUCCESS : makeRoom(table, condition)
}

/** Does a command: 0, -status, or AGAIN. Under the lock. For all but resets, which have bytes to throw away first. */
function applyLocked(table: ZoneTable, zone: number, command: Command): number {
  const word = table.take(zone)
  if ((word & BUSY) !== 0) return AGAIN
  const { to } = command
  const condition = conditionOf(word)
  const result = admit(table, command, condition)
  if (result !== STATUS_SUCCESS || condition === to) {
    table.publish(zone, word)
    return result
  }
  changeCondition(table, condition, to)
  let wp = wpOf(word)
  if (to === BLK_ZONE_COND_FULL) {
    table.countFinish(zone, wp)
    wp = table.capacitySectors
  }
  table.publish(zone, packWord(to, wp))
  return STATUS_SUCCESS
}

/** Does something under the lock, again and again while a zone that it needs is held by somebody who holds it long. */
function locked(table: ZoneTable, command: () => number): number {
  for (;;) {
    table.lock()
    const result = command()
    table.unlock()
    if (result !== AGAIN) return result
    table.pause()
  }
}

function apply(table: ZoneTable, zone: number, command: Command): number {
  if (zone < 0 || zone >= table.zoneCount) return -STATUS_LBA_OUT_OF_RANGE
  return locked(table, () => applyLocked(table, zone, command))
}

/** Explicitly opens a zone: 0, or -1BFh, -1BDh (too many active), -1BEh (too many open), -80h (no such zone). */
export function openZone(table: ZoneTable, zone: number): number {
  return apply(table, zone, OPEN)
}

/** Closes an open zone: 0, or -1BFh, -80h. A closed one stays so. */
export function closeZone(table: ZoneTable, zone: number): number {
  return apply(table, zone, CLOSE)
}

/** Makes a zone full without writing the rest, which reads as zeros: 0, or -1BFh, -80h. Needs no resources. */
export function finishZone(table: ZoneTable, zone: number): number {
  return apply(table, zone, FINISH)
}

/** Takes a read-only zone offline, as Zone Management Send does: 0, or -1BFh from any other condition, -80h. */
export function offlineZone(table: ZoneTable, zone: number): number {
  return apply(table, zone, OFFLINE)
}

/**
 * A fault, not a command: the zone becomes read-only, as a drive does of its own accord. From there `offlineZone` takes
 * it offline. Conventional zones are refused (-1BFh), because Linux refuses a disk that has one with any condition.
 */
export function readOnlyZone(table: ZoneTable, zone: number): number {
  return apply(table, zone, READ_ONLY)
}

/**
 * Empties a zone: 0, or -1BFh, -80h, or -{@link statusOfMediaErrno} when the bytes could not be discarded, and then the
 * zone is as it was. Reservations in the zone are forgotten: what comes back for them after a crash is refused.
 *
 * The zone is held from the decision to the end, and counts as open, closed or full until it is empty.
 */
export function resetZone(table: ZoneTable, zone: number, discard: DiscardZone): number {
  if (zone < 0 || zone >= table.zoneCount) return -STATUS_LBA_OUT_OF_RANGE
  let word = BUSY
  const begun = locked(table, () => {
    word = table.take(zone)
    if ((word & BUSY) !== 0) return AGAIN
    const result = admit(table, RESET, conditionOf(word))
    if (result < 0 || conditionOf(word) === RESET.to) table.publish(zone, word)
    return result
  })
  if (begun < 0 || conditionOf(word) === RESET.to) return begun
  const discarded = discard(zone)
  if (discarded < 0) {
    table.publish(zone, word)
    return -statusOfMediaErrno(discarded)
  }
  table.log.dropZone(zone)
  // Who has the lock waits for no zone for long (ZoneTable.take), so this cannot wait in a circle.
  table.lock()
  changeCondition(table, conditionOf(word), RESET.to)
  table.countReset(zone, wpOf(word))
  table.publish(zone, packWord(RESET.to, 0))
  table.unlock()
  return STATUS_SUCCESS
}

/** The zones that a Select All acts on, before it begins: closing one to open another must not open the first again. */
function zonesIn(table: ZoneTable, conditions: Conditions): number[] {
  const zones: number[] = []
  for (let zone = table.conventionalCount; zone < table.zoneCount; zone++) {
    if (conditions.includes(conditionOf(table.load(zone)))) zones.push(zone)
  }
  return zones
}

/** Does a command to zones in order and stops at the first that does not go. Under the lock. */
function applyToAll(table: ZoneTable, zones: readonly number[], command: Command): number {
  for (const zone of zones) {
    const result = applyLocked(table, zone, command)
    if (result !== STATUS_SUCCESS) return result
  }
  return STATUS_SUCCESS
}

/** Open, Select All: every closed zone is opened explicitly, or, when the limit has no room for all, none: -1BEh. */
export function openAll(table: ZoneTable): number {
  return locked(table, () => {
    const zones = zonesIn(table, [BLK_ZONE_COND_CLOSED])
    // Implicitly open zones can be closed to make room, explicitly open ones cannot.
    const isTooMany = table.maxOpen !== 0 && table.explicitOpen + zones.length > table.maxOpen
    return isTooMany ? -STATUS_TOO_MANY_OPEN : applyToAll(table, zones, OPEN)
  })
}

/** Close, Select All: every open zone. */
export function closeAll(table: ZoneTable): number {
  return locked(table, () => {
    const zones = zonesIn(table, [BLK_ZONE_COND_IMP_OPEN, BLK_ZONE_COND_EXP_OPEN])
    return applyToAll(table, zones, CLOSE)
  })
}

/** Finish, Select All: every open or closed zone; empty ones stay empty. */
export function finishAll(table: ZoneTable): number {
  return locked(table, () => {
    return applyToAll(table, zonesIn(table, OPEN_OR_CLOSED), FINISH)
  })
}

/**
 * Reset, Select All: every open, closed or full zone, one after the other; others may change zones in between. Stops at a
 * zone whose bytes cannot be discarded.
 */
export function resetAll(table: ZoneTable, discard: DiscardZone): number {
  const zones = zonesIn(table, [...OPEN_OR_CLOSED, BLK_ZONE_COND_FULL])
  for (const zone of zones) {
    const result = resetZone(table, zone, discard)
    // Read-only or offline by now: such zones are not selected.
    if (result === -STATUS_INVALID_TRANSITION) continue
    if (result !== STATUS_SUCCESS) return result
  }
  return STATUS_SUCCESS
}
