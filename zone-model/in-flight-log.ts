/**
 * The in-flight log: never twice, never lost (docs/BOUNDARY.md).
 *
 * One entry a tag says which sectors that tag's write or append has reserved. Entries are written while the zone is
 * busy, before the zone word is published, and are never cleared on success: an entry counts only as long as its batch
 * is its queue's current one. After a crash {@link InFlightLog.recover} moves those that count to the outstanding
 * entries, which live apart, because the kernel may deliver *another* request with the same tag first.
 *
 * Taking an outstanding entry over must survive a crash at every store. First the tag's own entry becomes RESERVED, then the
 * outstanding one NONE. A crash between the two leaves both, and both have the same extent: no two reservations that
 * count begin at one place of a zone, so recovery knows the second for the first and keeps one.
 *
 * Hot file: `reserve` allocates nothing. State words are stored last, in program order: a thread that is killed has done a
 * prefix of its stores, and what it has done is in the shared memory.
 */
import {
  ENTRY_BEFORE,
  ENTRY_COUNT,
  ENTRY_OFFSET,
  ENTRY_OP,
  ENTRY_RECOVERY,
  ENTRY_STATE,
  ENTRY_WORDS,
  ENTRY_ZONE,
  HEADER_OUTSTANDING,
  HEADER_OUTSTANDING_APPENDS,
  HEADER_RECOVERIES,
  QUEUE_BATCH,
  QUEUE_MARKS,
  QUEUE_WORDS,
  type TableLayout,
  ZONE_WORD,
  ZONE_WORDS,
} from './table-layout.js'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_IMP_OPEN,
  UBLK_IO_OP_ZONE_APPEND,
} from './uapi.js'
import { conditionOf, wpOf } from './zone-word.js'

export const ENTRY_NONE = 0
export const ENTRY_RESERVED = 1
export const ENTRY_OUTSTANDING = 2

const STATE_MASK = 0xf
const BATCH_SHIFT = 4
const BATCH_MASK = 0x0fffffff

/** What {@link InFlightLog.recover} found. */
export interface LogRecovery {
  /** Entries that a request will come back for (writes of a turn without an append: may come back for). */
  readonly outstanding: number
  readonly outstandingAppends: number
  /** Entries of unmarked turns whose reservation had not taken place. */
  readonly notTaken: number
  /** Outstanding entries of earlier crashes that nobody came for, given up to make room: writes first. */
  readonly evicted: number
}

export class InFlightLog {
  /** Word index of each slot's queue: looked up, because a division costs more. */
  private readonly queues: Int32Array
  private readonly logBase: number

  constructor(
    private readonly words: Int32Array,
    private readonly layout: TableLayout,
    private readonly queueCount: number,
    private readonly depth: number,
  ) {
    this.logBase = layout.logBase
    this.queues = new Int32Array(queueCount * depth)
    for (let slot = 0; slot < queueCount * depth; slot++) {
      this.queues[slot] = layout.queueBase + Math.floor(slot / depth) * QUEUE_WORDS
    }
  }

  /** Word index of a slot's entry; slot is queue * depth + tag. */
  private entryOf(slot: number): number {
    return this.logBase + slot * ENTRY_WORDS
  }

  private outstandingEntry(index: number): number {
    return this.layout.outstandingBase + index * ENTRY_WORDS
  }

  private queueOf(slot: number): number {
    return this.queues[slot]!
  }

  /** Whether an entry with this state word belongs to the current batch of the slot's queue. */
  private isCurrent(slot: number, state: number): boolean {
    return state >>> BATCH_SHIFT === this.words[this.queueOf(slot) + QUEUE_BATCH]
  }

  /** Logs a reservation. The zone is busy; `before` is its word without busy. */
  reserve(
    slot: number,
    op: number,
    zone: number,
    offsetSectors: number,
    countSectors: number,
    before: number,
  ): void {
    const words = this.words
    const entry = this.entryOf(slot)
    const batch = words[this.queueOf(slot) + QUEUE_BATCH]!
    words[entry + ENTRY_OP] = op
    words[entry + ENTRY_ZONE] = zone
    words[entry + ENTRY_OFFSET] = offsetSectors
    words[entry + ENTRY_COUNT] = countSectors
    words[entry + ENTRY_BEFORE] = before
    words[entry + ENTRY_STATE] = (batch << BATCH_SHIFT) | ENTRY_RESERVED
  }

  /** Entries that still wait for their request: 0 except after a crash, and set before any worker runs. */
  get outstanding(): number {
    return this.words[HEADER_OUTSTANDING]!
  }

  get outstandingAppends(): number {
    return this.words[HEADER_OUTSTANDING_APPENDS]!
  }

  /** The outstanding write (not append) that begins at this offset, or -1. The zone is busy. */
  findWrite(zone: number, offsetSectors: number): number {
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      if ((this.words[entry + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) continue
      if (this.words[entry + ENTRY_ZONE] !== zone) continue
      if (this.words[entry + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND) continue
      if (this.words[entry + ENTRY_OFFSET] === offsetSectors) return index
    }
    return -1
  }

  /** The outstanding append of this length with the lowest offset, or -1. The zone is busy. */
  findAppend(zone: number, countSectors: number): number {
    let found = -1
    let lowest = 0
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      if ((this.words[entry + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) continue
      if (this.words[entry + ENTRY_ZONE] !== zone) continue
      if (this.words[entry + ENTRY_OP] !== UBLK_IO_OP_ZONE_APPEND) continue
      if (this.words[entry + ENTRY_COUNT] !== countSectors) continue
      const offset = this.words[entry + ENTRY_OFFSET]!
      if (found >= 0 && offset > lowest) continue
      found = index
      lowest = offset
    }
    return found
  }

  offsetOfOutstanding(index: number): number {
    return this.words[this.outstandingEntry(index) + ENTRY_OFFSET]!
  }

  countOfOutstanding(index: number): number {
    return this.words[this.outstandingEntry(index) + ENTRY_COUNT]!
  }

  /**
   * The slot takes an outstanding entry over, in the order that the header gives. `countSectors` may be more than the entry
   * had, when the kernel has merged; entries of writes that lie within are covered by this one and dropped.
   */
  claim(slot: number, index: number, op: number, countSectors: number): void {
    const words = this.words
    const entry = this.entryOf(slot)
    const claimed = this.outstandingEntry(index)
    const zone = words[claimed + ENTRY_ZONE]!
    const offset = words[claimed + ENTRY_OFFSET]!
    const batch = words[this.queueOf(slot) + QUEUE_BATCH]! << BATCH_SHIFT
    Atomics.store(words, entry + ENTRY_STATE, ENTRY_NONE)
    words[entry + ENTRY_OP] = op
    words[entry + ENTRY_ZONE] = zone
    words[entry + ENTRY_OFFSET] = offset
    words[entry + ENTRY_COUNT] = countSectors
    words[entry + ENTRY_BEFORE] = words[claimed + ENTRY_BEFORE]!
    Atomics.store(words, entry + ENTRY_STATE, batch | ENTRY_RESERVED)
    this.clearOutstanding(index)
    if (op !== UBLK_IO_OP_ZONE_APPEND) this.dropWithin(zone, offset, offset + countSectors)
  }

  private dropWithin(zone: number, from: number, to: number): void {
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      if ((this.words[entry + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) continue
      if (this.words[entry + ENTRY_ZONE] !== zone) continue
      if (this.words[entry + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND) continue
      const offset = this.words[entry + ENTRY_OFFSET]!
      if (offset >= from && offset < to) this.clearOutstanding(index)
    }
  }

  private clearOutstanding(index: number): void {
    const entry = this.outstandingEntry(index)
    const isAppend = this.words[entry + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND
    Atomics.store(this.words, entry + ENTRY_STATE, ENTRY_NONE)
    Atomics.sub(this.words, HEADER_OUTSTANDING, 1)
    if (isAppend) Atomics.sub(this.words, HEADER_OUTSTANDING_APPENDS, 1)
  }

  /** Whether the slot holds a reservation of the current turn; one of an earlier turn has been committed. */
  isReserved(slot: number): boolean {
    const state = this.words[this.entryOf(slot) + ENTRY_STATE]!
    return (state & STATE_MASK) === ENTRY_RESERVED && this.isCurrent(slot, state)
  }

  zoneOf(slot: number): number {
    return this.words[this.entryOf(slot) + ENTRY_ZONE]!
  }

  offsetOf(slot: number): number {
    return this.words[this.entryOf(slot) + ENTRY_OFFSET]!
  }

  countOf(slot: number): number {
    return this.words[this.entryOf(slot) + ENTRY_COUNT]!
  }

  wordBefore(slot: number): number {
    return this.words[this.entryOf(slot) + ENTRY_BEFORE]!
  }

  /** Forgets the slot's reservation. */
  drop(slot: number): void {
    Atomics.store(this.words, this.entryOf(slot) + ENTRY_STATE, ENTRY_NONE)
  }

  /** Forgets every entry of a queue: when its batch numbers start again from 0. */
  dropQueue(queue: number): void {
    for (let tag = 0; tag < this.depth; tag++) this.drop(queue * this.depth + tag)
  }

  /**
   * Forgets everything about a zone that is about to be empty. The zone is busy, so nobody adds entries of it; a slot
   * that is being reused for another zone meanwhile is recognised by its state word, which has a new batch.
   */
  dropZone(zone: number): void {
    const words = this.words
    for (let slot = 0; slot < this.queueCount * this.depth; slot++) {
      const entry = this.entryOf(slot)
      const state = Atomics.load(words, entry + ENTRY_STATE)
      if ((state & STATE_MASK) === ENTRY_NONE) continue
      if (words[entry + ENTRY_ZONE] !== zone) continue
      Atomics.compareExchange(words, entry + ENTRY_STATE, state, ENTRY_NONE)
    }
    if (this.outstanding === 0) return
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      if ((words[entry + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) continue
      if (words[entry + ENTRY_ZONE] === zone) this.clearOutstanding(index)
    }
  }

  /**
   * After a crash, alone: decides which entries count, moves them to the outstanding ones, and clears all others. Busy
   * bits must have been cleared. A crash in the middle of this leaves a log from which it comes out the same. With
   * `isReissued` false nothing is kept: the kernel has failed the requests in flight and sends none of them again.
   */
  recover(isReissued: boolean): LogRecovery {
    let notTaken = 0
    let evicted = 0
    this.words[HEADER_RECOVERIES] = this.words[HEADER_RECOVERIES]! + 1
    this.dropImpossible(isReissued)
    for (let slot = 0; slot < this.queueCount * this.depth; slot++) {
      const entry = this.entryOf(slot)
      const state = this.words[entry + ENTRY_STATE]!
      if ((state & STATE_MASK) === ENTRY_NONE) continue
      if (isReissued && this.isCurrent(slot, state) && !this.isMarked(slot)) {
        const taken = this.sectorsTaken(entry)
        if (taken === 0) notTaken++
        else if (this.moveToOutstanding(entry, taken)) evicted++
      }
      Atomics.store(this.words, entry + ENTRY_STATE, ENTRY_NONE)
    }
    this.recount()
    const { outstanding, outstandingAppends } = this
    return { outstanding, outstandingAppends, notTaken, evicted }
  }

  private isMarked(slot: number): boolean {
    const queue = this.queueOf(slot)
    const mark = queue + QUEUE_MARKS + (this.words[queue + QUEUE_BATCH]! & 1) * 2
    return this.words[mark] !== 0 || this.words[mark + 1] !== 0
  }

  /** How many sectors of the entry lie below the write pointer of its zone; 0 when the reservation did not happen. */
  private sectorsTaken(entry: number): number {
    const zone = this.words[entry + ENTRY_ZONE]!
    const offset = this.words[entry + ENTRY_OFFSET]!
    const word = this.words[this.layout.zoneBase + zone * ZONE_WORDS + ZONE_WORD]!
    switch (conditionOf(word)) {
      case BLK_ZONE_COND_IMP_OPEN:
      case BLK_ZONE_COND_EXP_OPEN:
      case BLK_ZONE_COND_CLOSED:
      case BLK_ZONE_COND_FULL:
        return Math.max(0, Math.min(this.words[entry + ENTRY_COUNT]!, wpOf(word) - offset))
      default:
        // An empty zone holds nothing, and what comes back for a read-only or offline one is refused anyway.
        return 0
    }
  }

  private dropImpossible(isReissued: boolean): void {
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      if ((this.words[entry + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) continue
      if (isReissued && this.sectorsTaken(entry) === this.words[entry + ENTRY_COUNT]) continue
      Atomics.store(this.words, entry + ENTRY_STATE, ENTRY_NONE)
    }
  }

  private isSameExtent(entry: number, other: number): boolean {
    const words = this.words
    const isAppend = words[entry + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND
    if (isAppend !== (words[other + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND)) return false
    if (words[entry + ENTRY_ZONE] !== words[other + ENTRY_ZONE]) return false
    return words[entry + ENTRY_OFFSET] === words[other + ENTRY_OFFSET]
  }

  /**
   * Copies an entry to the outstanding ones, unless it is there: because an interrupted recovery has copied it, or because
   * a claim of it was interrupted. True: an old one had to give way.
   */
  private moveToOutstanding(entry: number, countSectors: number): boolean {
    const words = this.words
    let free = -1
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const other = this.outstandingEntry(index)
      if ((words[other + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) {
        if (free < 0) free = index
      } else if (this.isSameExtent(entry, other)) return false
    }
    const target = this.outstandingEntry(free >= 0 ? free : this.leastLikely())
    Atomics.store(words, target + ENTRY_STATE, ENTRY_NONE)
    words[target + ENTRY_OP] = words[entry + ENTRY_OP]!
    words[target + ENTRY_ZONE] = words[entry + ENTRY_ZONE]!
    words[target + ENTRY_OFFSET] = words[entry + ENTRY_OFFSET]!
    words[target + ENTRY_COUNT] = countSectors
    words[target + ENTRY_BEFORE] = words[entry + ENTRY_BEFORE]!
    words[target + ENTRY_RECOVERY] = words[HEADER_RECOVERIES]!
    Atomics.store(words, target + ENTRY_STATE, ENTRY_OUTSTANDING)
    return free < 0
  }

  /**
   * The outstanding entry that is least likely to be waited for: of the earliest crash, and a write if there is one. A
   * turn without an append has no mark, so its writes may be kept although they had been committed.
   */
  private leastLikely(): number {
    let found = 0
    let lowest = Number.POSITIVE_INFINITY
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      const isAppend = this.words[entry + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND
      const rank = this.words[entry + ENTRY_RECOVERY]! + (isAppend ? 2 ** 31 : 0)
      if (rank >= lowest) continue
      found = index
      lowest = rank
    }
    return found
  }

  private recount(): void {
    let outstanding = 0
    let appends = 0
    for (let index = 0; index < this.layout.outstandingCapacity; index++) {
      const entry = this.outstandingEntry(index)
      if ((this.words[entry + ENTRY_STATE]! & STATE_MASK) !== ENTRY_OUTSTANDING) continue
      outstanding++
      if (this.words[entry + ENTRY_OP] === UBLK_IO_OP_ZONE_APPEND) appends++
    }
    Atomics.store(this.words, HEADER_OUTSTANDING, outstanding)
    Atomics.store(this.words, HEADER_OUTSTANDING_APPENDS, appends)
  }
}

/** The batch after this one, in the 28 bits that an entry has for it. */
export function nextBatch(batch: number): number {
  return (batch + 1) & BATCH_MASK
}
