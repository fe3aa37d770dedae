/**
 * Hot records in DRAM: a cache of whole records under S3-FIFO, for devices whose bytes are not in this process' memory.
 *
 * Two FIFO rings of records share one memory (record-memory.ts). New records enter the small one, whose share is 10 %. At its
 * tail one that was found twice or more goes to the main ring, others leave, and the ghost remembers them for a while: one that
 * comes again enters the main ring at once. At the main ring's tail a record that was found goes round again with its
 * frequency (0 to 3) one less, others leave.
 *
 * The rules are libCacheSim's (S3FIFO.c), bytes where it has bytes: the ghost is 0.9 of the capacity; the small ring gives way
 * only while the main one is within its 90 %, so a main ring with little in it leaves its room to the small one. What differs:
 * - a record keeps no place when it is removed or replaced by one of another size: its room comes back at the tail;
 * - one insertion moves at most `MOVED_GRANULES_MAX` granules round; then records leave whatever their frequency, so that no call
 *   takes long. It needs a main ring in which everything was found;
 * - the ghost counts by epochs, see ghost.ts.
 *
 * `capacityBytes` is everything: the records' memory with its slack, the table, the ghost, the segment list. How many records
 * there may be is decided at the start, by `meanRecordBytes`; whichever runs out first, bytes or records, makes records leave.
 * The largest record is a tenth of the records' bytes, the small ring's share. All memory is there from the start (but
 * touched when it is used), nothing allocates later but for what record-memory.ts says of large values.
 *
 * A handle is good until the next `insert`, `remove`, `expire` or `clear`. Times cross by `times`: a double that crosses a call
 * would be an object.
 */
import { assert } from './assert.js'
import { type CachePlan, planCache, type RecordCacheOptions } from './cache-plan.js'
import { Ghost } from './ghost.js'
import {
  DEAD,
  FREQUENCY_MASK,
  GRANULE_BYTES,
  IN_MAIN,
  RecordMemory,
  recordGranules,
} from './record-memory.js'
import { RecordRing } from './record-ring.js'
import { RecordTable } from './record-table.js'

/** Found so often, a record goes from the small ring to the main one. */
const TO_MAIN_FREQUENCY = 2
/** What one insertion moves at most, 2 MiB: about half a millisecond. A record counts as many granules as it has, and 32 more. */
export const MOVED_GRANULES_MAX = 1 << 18
export const MOVE_GRANULES = 32

/** Indices of `times`. */
export const DEADLINE = 0
export const VERSION = 1

const HITS = 0
const MISSES = 1
const EVICTIONS = 2
const TO_MAIN = 3
const ROUNDS = 4
const GHOST_HITS = 5
const DISPLACED = 6
const COUNTERS = 7

/** Counts since the start, `objects` and `bytes` now. */
export interface RecordCacheStats {
  readonly objects: number
  /** More than these are not taken, however small. */
  readonly objectsMax: number
  /** Of the living records: headers, keys, values, each rounded up to 8. */
  readonly bytes: number
  /** What records, and dead ones that have not yet left, may take. */
  readonly bytesMax: number
  readonly hits: number
  readonly misses: number
  /** Records that left to make room. */
  readonly evictions: number
  /** Moves from the small ring to the main one. */
  readonly toMain: number
  /** Moves from the main ring's tail to its head. */
  readonly rounds: number
  /** Insertions that the ghost sent to the main ring. */
  readonly ghostHits: number
  /** Records that left because the table had no slot. */
  readonly displaced: number
  /** Ghosts that were forgotten early. */
  readonly ghostsLost: number
  /** The sum is at most `capacityBytes`. */
  readonly memoryBytes: {
    readonly records: number
    readonly table: number
    readonly ghost: number
    readonly segments: number
  }
}

export class RecordCache {
  /** Deadline (ms since the epoch, Infinity: none) and version: of `insert` and `relocate`, and from `loadTimes`. */
  readonly times = new Float64Array(2)
  readonly plan: CachePlan
  readonly #memory: RecordMemory
  readonly #small: RecordRing
  readonly #main: RecordRing
  readonly #table: RecordTable
  readonly #ghost: Ghost
  readonly #counters = new Float64Array(COUNTERS)
  readonly #granulesMax: number
  readonly #smallGranulesMax: number
  readonly #mainGranulesMax: number
  #objects = 0
  #liveGranules = 0
  /** What this insertion may still move. */
  #movable = 0

  /** Throws a RangeError that names the option, its value and the range. */
  constructor(options: RecordCacheOptions) {
    const plan = planCache(options)
    this.plan = plan
    this.#granulesMax = plan.recordBytes / GRANULE_BYTES
    this.#smallGranulesMax = Math.floor(this.#granulesMax / 10)
    this.#mainGranulesMax = this.#granulesMax - this.#smallGranulesMax
    this.#memory = new RecordMemory(plan.segments, plan.segmentBytes / GRANULE_BYTES)
    this.#small = new RecordRing(this.#memory)
    this.#main = new RecordRing(this.#memory)
    this.#table = new RecordTable(this.#memory, plan.objectsMax)
    this.#ghost = new Ghost(Math.floor(this.#granulesMax * 0.9), plan.ghostsMax)
  }

  /** The record of this key, or -1. Counts a hit or a miss. `key` has the key in its first `keyBytes` bytes. */
  find(key: Uint8Array, keyBytes: number, place: number, tag: number): number {
    const slot = this.#table.find(key, keyBytes, place, tag)
    if (slot < 0) {
      this.#count(MISSES)
      return -1
    }
    const at = this.#table.recordAt(slot)
    const flags = this.#memory.flagsOf(at)
    if ((flags & FREQUENCY_MASK) < FREQUENCY_MASK) this.#memory.setFlags(at, flags + 1)
    this.#count(HITS)
    return at
  }

  valueBytesOf(handle: number): number {
    return this.#memory.valueBytesOf(handle)
  }

  /** The value, into `target`, which has room for it from `targetOffset` on. */
  copyValue(handle: number, target: Uint8Array, targetOffset: number): void {
    this.#memory.readValue(handle, target, targetOffset)
  }

  deadlineOf(handle: number): number {
    return this.#memory.deadlineOf(handle)
  }

  versionOf(handle: number): number {
    return this.#memory.versionOf(handle)
  }

  /** Deadline and version, into `times`. */
  loadTimes(handle: number): void {
    this.#memory.loadTimes(handle, this.times)
  }

  locatorOf(handle: number): number {
    return this.#memory.locatorOf(handle)
  }

  /**
   * Takes the record in, or replaces the one of the same key. Deadline and version are in `times`. False: it is larger than what
   * the cache takes; the key has no record in the cache then.
   */
  insert(
    key: Uint8Array,
    keyBytes: number,
    place: number,
    tag: number,
    value: Uint8Array,
    valueOffset: number,
    valueBytes: number,
    locator: number,
  ): boolean {
    const memory = this.#memory
    const granules = recordGranules(keyBytes, valueBytes)
    const slot = this.#table.find(key, keyBytes, place, tag)
    let flags = 0
    let at = -1
    if (slot >= 0) {
      at = this.#table.recordAt(slot)
      flags = memory.flagsOf(at)
      if (memory.granulesOf(at) !== granules) {
        this.#kill(slot, at)
        at = -1
      }
    }
    if (at < 0) {
      if (granules > this.#smallGranulesMax) return false
      if (slot < 0 && this.#ghost.take(place, tag, granules)) {
        this.#count(GHOST_HITS)
        flags = IN_MAIN
      }
      this.#makeRoom(granules)
      const ring = (flags & IN_MAIN) === 0 ? this.#small : this.#main
      at = ring.append(granules, keyBytes)
      this.#objects++
      this.#liveGranules += granules
      memory.writeHead(at, flags, key, keyBytes, place, tag, valueBytes)
      const displaced = this.#table.add(at, place, tag)
      if (displaced >= 0) this.#bury(displaced)
    } else {
      memory.writeHead(at, flags, key, keyBytes, place, tag, valueBytes)
    }
    memory.setLocator(at, locator)
    memory.setTimes(at, this.times)
    memory.writeValue(at, value, valueOffset)
    return true
  }

  /** True if the key had a record here. */
  remove(key: Uint8Array, keyBytes: number, place: number, tag: number): boolean {
    const slot = this.#table.find(key, keyBytes, place, tag)
    if (slot < 0) return false
    this.#kill(slot, this.#table.recordAt(slot))
    return true
  }

  /** What `find` has found is past its deadline: it goes, and was a miss. */
  expire(handle: number): void {
    const memory = this.#memory
    const slot = this.#table.slotOf(handle, memory.placeOf(handle), memory.tagOf(handle))
    this.#kill(slot, handle)
    this.#counters[HITS] = this.#counters[HITS]! - 1
    this.#count(MISSES)
  }

  /** The record lies elsewhere on the drive now; its version is in `times`, its deadline is as it was. */
  relocate(handle: number, locator: number): void {
    this.#memory.setLocator(handle, locator)
    this.#memory.setVersion(handle, this.times)
  }

  /** Forgets all records and ghosts; counts stay. */
  clear(): void {
    this.#memory.clear()
    this.#small.clear()
    this.#main.clear()
    this.#table.clear()
    this.#ghost.clear()
    this.#objects = 0
    this.#liveGranules = 0
  }

  get stats(): RecordCacheStats {
    return {
      objects: this.#objects,
      objectsMax: this.plan.objectsMax,
      bytes: this.#liveGranules * GRANULE_BYTES,
      bytesMax: this.plan.recordBytes,
      hits: this.#counters[HITS]!,
      misses: this.#counters[MISSES]!,
      evictions: this.#counters[EVICTIONS]!,
      toMain: this.#counters[TO_MAIN]!,
      rounds: this.#counters[ROUNDS]!,
      ghostHits: this.#counters[GHOST_HITS]!,
      displaced: this.#counters[DISPLACED]!,
      ghostsLost: this.#ghost.lost,
      memoryBytes: this.plan.memoryBytes,
    }
  }

  #count(counter: number): void {
    this.#counters[counter] = this.#counters[counter]! + 1
  }

  /** The record stays in its ring until it is at the tail. */
  #kill(slot: number, at: number): void {
    this.#table.take(slot)
    this.#memory.setFlags(at, this.#memory.flagsOf(at) | DEAD)
    this.#objects--
    this.#liveGranules -= this.#memory.granulesOf(at)
  }

  /** The table has lost it. */
  #bury(at: number): void {
    this.#memory.setFlags(at, this.#memory.flagsOf(at) | DEAD)
    this.#objects--
    this.#liveGranules -= this.#memory.granulesOf(at)
    this.#count(DISPLACED)
  }

  #makeRoom(granules: number): void {
    this.#movable = MOVED_GRANULES_MAX
    while (
      this.#small.granules + this.#main.granules + granules > this.#granulesMax ||
      this.#objects >= this.plan.objectsMax
    ) {
      if (this.#main.granules > this.#mainGranulesMax || this.#small.granules === 0)
        this.#shrinkMain()
      else this.#shrinkSmall()
    }
  }

  /** Until one record, living or dead, has left the small ring. */
  #shrinkSmall(): void {
    const memory = this.#memory
    for (;;) {
      const at = this.#small.tailAt()
      if (at < 0) return
      const flags = memory.flagsOf(at)
      const granules = memory.granulesOf(at)
      const isKept = (flags & FREQUENCY_MASK) >= TO_MAIN_FREQUENCY && this.#movable > 0
      if ((flags & DEAD) !== 0 || !isKept) {
        if ((flags & DEAD) === 0) {
          this.#ghost.add(memory.placeOf(at), memory.tagOf(at), granules)
          this.#evict(at, granules)
        }
        this.#small.dropTail(granules)
        return
      }
      memory.setFlags(at, IN_MAIN)
      this.#move(this.#small, at, granules)
      this.#count(TO_MAIN)
    }
  }

  /** Until one record, living or dead, has left the main ring. */
  #shrinkMain(): void {
    const memory = this.#memory
    for (;;) {
      const at = this.#main.tailAt()
      if (at < 0) return
      const flags = memory.flagsOf(at)
      const granules = memory.granulesOf(at)
      const isKept = (flags & FREQUENCY_MASK) > 0 && this.#movable > 0
      if ((flags & DEAD) !== 0 || !isKept) {
        if ((flags & DEAD) === 0) this.#evict(at, granules)
        this.#main.dropTail(granules)
        return
      }
      memory.setFlags(at, flags - 1)
      this.#move(this.#main, at, granules)
      this.#count(ROUNDS)
    }
  }

  /** The tail of `from` goes to the main ring's head. */
  #move(from: RecordRing, at: number, granules: number): void {
    const memory = this.#memory
    const slot = this.#table.slotOf(at, memory.placeOf(at), memory.tagOf(at))
    assert(slot >= 0, 'a living record is in the table')
    this.#table.moveTo(slot, from.moveTail(this.#main, granules))
    this.#movable -= granules + MOVE_GRANULES
  }

  #evict(at: number, granules: number): void {
    const memory = this.#memory
    const slot = this.#table.slotOf(at, memory.placeOf(at), memory.tagOf(at))
    assert(slot >= 0, 'a living record is in the table')
    this.#table.take(slot)
    this.#objects--
    this.#liveGranules -= granules
    this.#count(EVICTIONS)
  }
}
