/**
 * What a power cut leaves of a zone table (NVM Express ZNS 1.1 §2.1.1, zone state machine: what a Controller Level Reset and
 * loss of power do; QEMU hw/nvme/ns.c nvme_clear_zone, nvme_zoned_ns_shutdown).
 *
 * | before                          | write pointer at the start | further on           |
 * | ------------------------------- | -------------------------- | -------------------- |
 * | empty                           | empty                      | -                    |
 * | implicitly, explicitly open     | empty                      | closed               |
 * | closed                          | empty                      | closed               |
 * | full, read-only, offline, not write pointer | the same       | the same             |
 *
 * Before that, writes and appends that were in flight are taken back: they were acknowledged to nobody. Only at the end of a
 * zone: what lies behind one may have been acknowledged, so in the middle it stays, and reads as zeros where its bytes had not
 * come. A zone that such a write had filled becomes closed again, if the limit of active zones has room for it; else it stays
 * full. No zone can become active that was not, so the limits hold.
 */
import { changeCondition, hasActiveRoom } from './resources.js'
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

/** What {@link losePower} changed. */
export interface PowerLoss {
  /** Writes and appends in flight that were taken back. */
  readonly undone: number
  /** Those that stay, because something has been written behind them. */
  readonly holes: number
  /** Zones that were open. */
  readonly closed: number
}

interface Extent {
  readonly offset: number
  readonly count: number
}

/**
 * Makes a table legal that power was taken from, and all its locks and counters of conditions right. Alone: nobody else may
 * use it. An entry of a queue's current batch must be one that was in flight. Statistics stay.
 */
export function losePower(table: ZoneTable): PowerLoss {
  const inFlight = extentsInFlight(table)
  // Gives back locks and zones, counts conditions, and forgets the log: nobody comes back for anything.
  table.recover(false)
  let undone = 0
  let holes = 0
  let closed = 0
  const undo = (zone: number): void => {
    const extents = inFlight.get(zone) ?? []
    const taken = takeBack(table, zone, extents)
    undone += taken
    holes += extents.length - taken
  }
  for (let zone = 0; zone < table.zoneCount; zone++) {
    const condition = conditionOf(table.load(zone))
    if (condition === BLK_ZONE_COND_FULL) continue
    undo(zone)
    if (condition === BLK_ZONE_COND_IMP_OPEN || condition === BLK_ZONE_COND_EXP_OPEN) closed++
    const wp = wpOf(table.load(zone))
    change(table, zone, conditionAfter(condition, wp), wp)
  }
  // Full ones last: whether there is room for them is only known now.
  for (const zone of [...inFlight.keys()].sort((a, b) => a - b)) {
    if (conditionOf(table.load(zone)) === BLK_ZONE_COND_FULL) undo(zone)
  }
  return { undone, holes, closed }
}

function extentsInFlight(table: ZoneTable): Map<number, Extent[]> {
  const extents = new Map<number, Extent[]>()
  const { log } = table
  for (let slot = 0; slot < table.queueCount * table.depth; slot++) {
    if (!log.isReserved(slot)) continue
    const zone = log.zoneOf(slot)
    const extent = { offset: log.offsetOf(slot), count: log.countOf(slot) }
    // Logged, but killed before the write pointer moved: it never happened.
    if (extent.offset >= wpOf(table.load(zone))) continue
    extents.set(zone, [...(extents.get(zone) ?? []), extent])
  }
  return extents
}

/** Moves the write pointer back over extents that end at it. Gives how many. */
function takeBack(table: ZoneTable, zone: number, extents: readonly Extent[]): number {
  const word = table.load(zone)
  const condition = conditionOf(word)
  let wp = wpOf(word)
  let taken = 0
  for (;;) {
    const last = extents.find(({ offset, count }) => offset + count === wp && offset < wp)
    if (last === undefined) break
    wp = last.offset
    taken++
  }
  if (taken === 0) return 0
  // Read-only and offline zones are as the drive made them.
  if (condition === BLK_ZONE_COND_READONLY || condition === BLK_ZONE_COND_OFFLINE) return 0
  const isFull = condition === BLK_ZONE_COND_FULL
  if (isFull && wp > 0 && !hasActiveRoom(table)) return 0
  let after = condition
  if (isFull) after = wp === 0 ? BLK_ZONE_COND_EMPTY : BLK_ZONE_COND_CLOSED
  table.countWrite(zone, -taken)
  change(table, zone, after, wp)
  return taken
}

function change(table: ZoneTable, zone: number, to: ZoneCondition, wp: number): void {
  changeCondition(table, conditionOf(table.load(zone)), to)
  table.publish(zone, packWord(to, wp))
}

function conditionAfter(condition: ZoneCondition, wp: number): ZoneCondition {
  switch (condition) {
    case BLK_ZONE_COND_IMP_OPEN:
    case BLK_ZONE_COND_EXP_OPEN:
    case BLK_ZONE_COND_CLOSED:
      return wp === 0 ? BLK_ZONE_COND_EMPTY : BLK_ZONE_COND_CLOSED
    case BLK_ZONE_COND_EMPTY:
    case BLK_ZONE_COND_FULL:
    case BLK_ZONE_COND_READONLY:
    case BLK_ZONE_COND_OFFLINE:
    case BLK_ZONE_COND_NOT_WP:
      return condition
  }
}
