/**
 * Finds a cached record by its key: a cuckoo table of two buckets of 8 slots, 6 bytes a slot, at most 7/8 full.
 *
 * A slot has a mark (16 bits of the record's tag) and the granule where it begins. The other bucket follows from the one and the
 * mark alone, so that a record moves between them without being read. Taking one out clears its mark: there are no tombstones,
 * nothing to shift, and nothing rots. A key that is not here costs two lines of memory and no look at a record.
 *
 *     bucket, 12 words:   marks 0 1 | 2 3 | 4 5 | 6 7 | granule 0 | … | granule 7        mark 0: the slot is free
 *
 * Marks are looked at two at a time: a word in which one of two halves is 0 is found without a branch for each.
 * Nothing here allocates, but for the constructor.
 */
import type { RecordMemory } from './record-memory.js'

const SLOTS = 8
const BUCKET_WORDS = 12
const MARK_WORDS = 4
const LOW_BITS = 0x00010001
const HIGH_BITS = 0x80008000 | 0
const LOAD_MAX = 7 / 8
/** Below this, records whose two buckets are one and the same would matter. */
const BUCKETS_MIN = 64
/** At 7/8 a dozen is rare. */
const KICKS_MAX = 512
const TWO_TO_MINUS_32 = 2 ** -32

export class RecordTable {
  readonly #memory: RecordMemory
  /** The same bytes as halves and as words. Signed: an unsigned word that crosses a call may be an object. */
  readonly #halves: Uint16Array
  readonly #words: Int32Array
  readonly #buckets: number
  /** Buckets / 2^32, which turns a hash of 32 bits into a bucket. */
  readonly #scale: number
  #kick = 0

  /** Bytes that a table for so many records takes. */
  static memoryBytes(recordsMax: number): number {
    return RecordTable.#bucketsFor(recordsMax) * BUCKET_WORDS * 4
  }

  static #bucketsFor(recordsMax: number): number {
    return Math.max(BUCKETS_MIN, Math.ceil(recordsMax / (SLOTS * LOAD_MAX)))
  }

  constructor(memory: RecordMemory, recordsMax: number) {
    this.#memory = memory
    this.#buckets = RecordTable.#bucketsFor(recordsMax)
    this.#words = new Int32Array(this.#buckets * BUCKET_WORDS)
    this.#halves = new Uint16Array(this.#words.buffer)
    this.#scale = this.#buckets * TWO_TO_MINUS_32
  }

  clear(): void {
    this.#words.fill(0)
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
    const slot = this.#slotIn(bucket, at)
    return slot >= 0 ? slot : this.#slotIn(this.#otherBucket(bucket, mark), at)
  }

  /** Where the slot's record begins. */
  recordAt(slot: number): number {
    return this.#words[slot]!
  }

  /** The slot's record begins elsewhere now. */
  moveTo(slot: number, at: number): void {
    this.#words[slot] = at
  }

  take(slot: number): void {
    this.#halves[this.#halfOf(slot)] = 0
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
      const victim = bucket * BUCKET_WORDS + MARK_WORDS + (this.#kick >>> 29)
      const half = this.#halfOf(victim)
      const victimMark = this.#halves[half]!
      const victimRef = this.#words[victim]!
      this.#halves[half] = mark
      this.#words[victim] = ref
      mark = victimMark
      ref = victimRef
      bucket = this.#otherBucket(bucket, mark)
      slot = this.#freeIn(bucket)
    }
    this.#halves[this.#halfOf(slot)] = mark
    this.#words[slot] = ref
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

  /** A slot is named by the word with its granule. Where its mark is, in halves. */
  #halfOf(slot: number): number {
    const bucket = (slot / BUCKET_WORDS) | 0
    return slot + bucket * BUCKET_WORDS - MARK_WORDS
  }

  #findIn(bucket: number, mark: number, key: Uint8Array, keyBytes: number): number {
    const words = this.#words
    const base = bucket * BUCKET_WORDS
    const pattern = mark | (mark << 16)
    for (let i = 0; i < MARK_WORDS; i++) {
      const pair = words[base + i]! ^ pattern
      if (((pair - LOW_BITS) & ~pair & HIGH_BITS) === 0) continue
      const slot = base + MARK_WORDS + 2 * i
      if ((pair & 0xffff) === 0 && this.#memory.isKey(words[slot]!, key, keyBytes)) return slot
      if (pair >>> 16 === 0 && this.#memory.isKey(words[slot + 1]!, key, keyBytes)) return slot + 1
    }
    return -1
  }

  #slotIn(bucket: number, at: number): number {
    const words = this.#words
    const end = (bucket + 1) * BUCKET_WORDS
    for (let slot = end - SLOTS; slot < end; slot++) {
      if (words[slot] === at && this.#halves[this.#halfOf(slot)] !== 0) return slot
    }
    return -1
  }

  #freeIn(bucket: number): number {
    const words = this.#words
    const base = bucket * BUCKET_WORDS
    for (let i = 0; i < MARK_WORDS; i++) {
      const pair = words[base + i]!
      if (((pair - LOW_BITS) & ~pair & HIGH_BITS) === 0) continue
      if ((pair & 0xffff) === 0) return base + MARK_WORDS + 2 * i
      if (pair >>> 16 === 0) return base + MARK_WORDS + 2 * i + 1
    }
    return -1
  }
}
