/**
 * Finds a cached record by its key: a cuckoo table of two buckets of 8 slots, 6 bytes a slot, at most 7/8 full.
 *
 * A slot has 16 bits of the record's tag and the granule where it begins. The other bucket follows from the one and these 16
 * bits alone, so that a record moves between them without being read. Taking one out clears its slot: there are no tombstones,
 * nothing to shift, and nothing rots. A key that is not here costs two lines of tags and no look at a record.
 *
 * Nothing here allocates, but for the constructor.
 */
import type { RecordMemory } from './record-memory.js'

const SLOTS = 8
const SLOT_BYTES = 6
const LOAD_MAX = 7 / 8
/** Below this, records whose two buckets are one and the same would matter. */
const BUCKETS_MIN = 64
/** At 7/8 a dozen is rare. */
const KICKS_MAX = 512
const TWO_TO_MINUS_32 = 2 ** -32

export class RecordTable {
  readonly #memory: RecordMemory
  /** 0: the slot is free. */
  readonly #marks: Uint16Array
  readonly #refs: Uint32Array
  readonly #buckets: number
  /** Buckets / 2^32, which turns a hash of 32 bits into a bucket. */
  readonly #scale: number
  #kick = 0

  /** Bytes that a table for so many records takes. */
  static memoryBytes(recordsMax: number): number {
    return RecordTable.#bucketsFor(recordsMax) * SLOTS * SLOT_BYTES
  }

  static #bucketsFor(recordsMax: number): number {
    return Math.max(BUCKETS_MIN, Math.ceil(recordsMax / (SLOTS * LOAD_MAX)))
  }

  constructor(memory: RecordMemory, recordsMax: number) {
    this.#memory = memory
    this.#buckets = RecordTable.#bucketsFor(recordsMax)
    this.#marks = new Uint16Array(this.#buckets * SLOTS)
    this.#refs = new Uint32Array(this.#buckets * SLOTS)
    this.#scale = this.#buckets * TWO_TO_MINUS_32
  }

  clear(): void {
    this.#marks.fill(0)
  }

  /** The slot of the key's record; -1: it is not here. */
  find(key: Uint8Array, keyBytes: number, place: number, tag: number): number {
    const mark = this.#markOf(tag)
    const bucket = this.#bucketOf(place, tag)
    const slot = this.#findIn(bucket, mark, key, keyBytes)
    return slot >= 0 ? slot : this.#findIn(this.#otherBucket(bucket, mark), mark, key, keyBytes)
  }

  /** The slot of the record that begins at `at`, which is here. */
  slotOf(at: number, place: number, tag: number): number {
    const mark = this.#markOf(tag)
    const bucket = this.#bucketOf(place, tag)
    const slot = this.#slotIn(bucket, mark, at)
    return slot >= 0 ? slot : this.#slotIn(this.#otherBucket(bucket, mark), mark, at)
  }

  /** Where the slot's record begins. */
  recordAt(slot: number): number {
    return this.#refs[slot]!
  }

  /** The slot's record begins elsewhere now. */
  moveTo(slot: number, at: number): void {
    this.#refs[slot] = at
  }

  take(slot: number): void {
    this.#marks[slot] = 0
  }

  /** Puts in a record whose key is not here. Where the record begins that found no slot for it (which hardly happens); -1: none. */
  add(at: number, place: number, tag: number): number {
    let mark = this.#markOf(tag)
    let bucket = this.#bucketOf(place, tag)
    let slot = this.#freeIn(bucket)
    if (slot < 0) {
      bucket = this.#otherBucket(bucket, mark)
      slot = this.#freeIn(bucket)
    }
    let ref = at
    for (let kicks = 0; slot < 0; kicks++) {
      if (kicks === KICKS_MAX) return ref
      this.#kick = (Math.imul(this.#kick, 1664525) + 1013904223) | 0
      const victim = bucket * SLOTS + (this.#kick >>> 29)
      const victimMark = this.#marks[victim]!
      const victimRef = this.#refs[victim]!
      this.#marks[victim] = mark
      this.#refs[victim] = ref
      mark = victimMark
      ref = victimRef
      bucket = this.#otherBucket(bucket, mark)
      slot = this.#freeIn(bucket)
    }
    this.#marks[slot] = mark
    this.#refs[slot] = ref
    return -1
  }

  #markOf(tag: number): number {
    const mark = tag & 0xffff
    return mark === 0 ? 1 : mark
  }

  #bucketOf(place: number, tag: number): number {
    const hash = ((place << 14) | (tag >>> 4)) >>> 0
    return (hash * this.#scale) | 0
  }

  /** The other of the two: the same function both ways. */
  #otherBucket(bucket: number, mark: number): number {
    const sum = ((Math.imul(mark, 0x9e3779b1) >>> 0) * this.#scale) | 0
    const other = sum - bucket
    return other < 0 ? other + this.#buckets : other
  }

  #findIn(bucket: number, mark: number, key: Uint8Array, keyBytes: number): number {
    const marks = this.#marks
    const end = (bucket + 1) * SLOTS
    for (let slot = bucket * SLOTS; slot < end; slot++) {
      if (marks[slot] !== mark) continue
      if (this.#memory.isKey(this.#refs[slot]!, key, keyBytes)) return slot
    }
    return -1
  }

  #slotIn(bucket: number, mark: number, at: number): number {
    const refs = this.#refs
    const end = (bucket + 1) * SLOTS
    for (let slot = bucket * SLOTS; slot < end; slot++) {
      if (refs[slot] === at && this.#marks[slot] === mark) return slot
    }
    return -1
  }

  #freeIn(bucket: number): number {
    const marks = this.#marks
    const end = (bucket + 1) * SLOTS
    for (let slot = bucket * SLOTS; slot < end; slot++) {
      if (marks[slot] === 0) return slot
    }
    return -1
  }
}
