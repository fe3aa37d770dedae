/**
 * Finds a slot for an entry: in one of its two buckets, or by moving others to their other bucket (cuckoo hashing).
 *
 * Two in three inserts find both buckets full, and then one move is enough as a rule: each full bucket has 16 entries with 16
 * other buckets, and a bit says of each whether it has room, without a look into it: some eight are looked at (IndexBuckets'
 * `#setLimit` has to do with that). Else entries are pushed on at random, each step with that
 * look ahead. What is still without a place goes to the spill.
 */
import { type IndexBuckets, SLOTS } from './index-buckets.js'
import { OFFSETS } from './index-offsets.js'
import type { IndexSpill } from './index-spill.js'
import type { IndexZones } from './index-zones.js'

const STEPS_MAX = 128

export class IndexPlacer {
  readonly #buckets: IndexBuckets
  readonly #zones: IndexZones
  readonly #spill: IndexSpill
  #random = 0x2545f491 | 0
  /** The entry that has no place yet. */
  #hash = 0
  #jump = 0
  #page = 0
  /** Of one that was pushed out: so many bits of its tag are right. */
  #known = 0

  constructor(buckets: IndexBuckets, zones: IndexZones, spill: IndexSpill) {
    this.#buckets = buckets
    this.#zones = zones
    this.#spill = spill
  }

  /** The entry is in the table afterwards. Another one may be in the spill, of whose tag less is known. */
  place(hash: number, jump: number, page: number): void {
    const buckets = this.#buckets
    const first = buckets.locate(hash)
    if (!buckets.isFull(first)) {
      this.#put(first, hash, jump, page)
      return
    }
    const hash2 = hash ^ OFFSETS[jump]!
    const second = buckets.locate(hash2)
    if (!buckets.isFull(second)) {
      this.#put(second, hash2, jump, page)
      return
    }
    this.#hash = hash
    this.#jump = jump
    this.#page = page
    if (this.#shift(first)) return
    this.#hash = hash2
    if (this.#shift(second)) return
    this.#walk(second)
  }

  /** Into a bucket with room. */
  #put(bucket: number, hash: number, jump: number, page: number): void {
    const buckets = this.#buckets
    const { entries } = buckets
    buckets.settle(bucket)
    buckets.look(bucket)
    const end = (bucket + 1) * SLOTS
    let at = end - SLOTS
    while (entries[at] !== 0) at++
    buckets.write(at, hash, jump, page)
    buckets.stored++
    do at++
    while (at < end && entries[at] !== 0)
    if (at === end) buckets.setFull(bucket)
  }

  /** A random slot. */
  #next(): number {
    let state = this.#random
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#random = state
    return (state >>> 8) & (SLOTS - 1)
  }

  /** Puts the entry into the full bucket in place of a stale one, or of one that has room elsewhere. */
  #shift(bucket: number): boolean {
    const buckets = this.#buckets
    buckets.settle(bucket)
    buckets.look(bucket)
    if (this.#zones.stale > 0 && this.#replaceStale(bucket)) return true
    const at = buckets.slotToMove(bucket, this.#next())
    if (at < 0) return false
    const { other } = buckets
    buckets.read(at)
    const { hash, jump, page } = buckets
    buckets.write(at, this.#hash, this.#jump, this.#page)
    this.#put(other, hash ^ OFFSETS[jump]!, jump, page)
    return true
  }

  /** `look` came before. */
  #replaceStale(bucket: number): boolean {
    const buckets = this.#buckets
    const end = (bucket + 1) * SLOTS
    for (let at = end - SLOTS; at < end; at++) {
      const page = buckets.pageAt(at)
      if (!this.#zones.isStale(page)) continue
      this.#zones.forget(page)
      buckets.write(at, this.#hash, this.#jump, this.#page)
      return true
    }
    return false
  }

  /** `bucket` is full, and so are those of all its entries: one of them is pushed out, and so on. */
  #walk(bucket: number): void {
    const buckets = this.#buckets
    let full = bucket
    for (let step = 0; step < STEPS_MAX; step++) {
      buckets.look(full)
      const at = full * SLOTS + this.#next()
      buckets.read(at)
      const { hash, jump, page } = buckets
      const known = buckets.knownHere()
      buckets.write(at, this.#hash, this.#jump, this.#page)
      this.#hash = hash ^ OFFSETS[jump]!
      this.#jump = jump
      this.#page = page
      this.#known = known
      full = buckets.locate(this.#hash)
      if (this.#shift(full)) return
    }
    this.#spill.push(this.#hash, this.#jump, this.#page, this.#known)
  }

  /** Tries again to place what was spilled, one entry: in turns, since one that fails goes to the end. */
  unspill(): void {
    const spill = this.#spill
    const hash = spill.hashOf(0)
    const jump = spill.jumpOf(0)
    const page = spill.pageOf(0)
    spill.remove(0)
    if (this.#zones.isStale(page)) this.#zones.forget(page)
    else this.place(hash, jump, page)
  }
}
