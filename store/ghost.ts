/**
 * The ghost: which records left the cache's small queue a short while ago. S3-FIFO lets them into the main queue when they come
 * again.
 *
 * What it holds is a FIFO of limited bytes (the bytes that its records had), as libCacheSim's ghost queue is, but no keys and no
 * queue: only entries of 32 bits in buckets of 8, each record in one of two.
 *
 *     31        14  13  12         0
 *     |   tag     | 1 |   epoch    |     0: empty
 *
 * An epoch is 1/1024 of the ghost's bytes. The queue's end is an epoch, and what is older is dead where it lies. Bytes are counted
 * for each epoch, so that a record taken out makes room for others, as in a real queue; the end moves by whole epochs. In a
 * ghost so small that each record is an epoch of its own it is exactly a FIFO.
 *
 * A hand clears a 1024th of the slots for each new epoch, so that no dead entry is left when its epoch's number comes again.
 * Two records of one bucket and equal tag are one to the ghost: one in 2^14 at worst, and it costs a place in the wrong queue.
 * Nothing here allocates, but for the constructor.
 * Entries are signed: half of the unsigned ones would be objects when they cross a call.
 */

const SLOTS = 8
const EPOCH_BITS = 13
const EPOCH_MASK = (1 << EPOCH_BITS) - 1
const USED = 1 << EPOCH_BITS
const TAG_SHIFT = EPOCH_BITS + 1
const EPOCHS = 1024
/** Epochs that can be alive at once: records that are taken out make the queue longer in epochs than it is in bytes. */
const EPOCHS_ALIVE_MAX = 2048
const LOAD_MAX = 0.75
const BUCKETS_MIN = 8
const TWO_TO_MINUS_32 = 2 ** -32

export class Ghost {
  readonly capacityGranules: number
  readonly #epochGranules: number
  readonly #entries: Int32Array
  /** Granules of the records of each living epoch. */
  readonly #granules = new Uint32Array(EPOCHS_ALIVE_MAX)
  /** Buckets / 2^32, which turns a hash of 32 bits into a bucket. */
  readonly #scale: number
  readonly #sweepSlots: number
  #newest = 0
  #alive = 1
  #filledGranules = 0
  #totalGranules = 0
  #hand = 0
  /** Living entries that gave their slot to another, because both buckets were full. */
  lost = 0

  /** Bytes that a ghost for so many records takes. */
  static memoryBytes(recordsMax: number): number {
    return Ghost.#buckets(recordsMax) * SLOTS * 4 + EPOCHS_ALIVE_MAX * 4
  }

  static #buckets(recordsMax: number): number {
    return Math.max(BUCKETS_MIN, Math.ceil(recordsMax / (SLOTS * LOAD_MAX)))
  }

  /** `capacityGranules`: of the records that it remembers. `recordsMax`: how many these may be before it forgets early. */
  constructor(capacityGranules: number, recordsMax: number) {
    const buckets = Ghost.#buckets(recordsMax)
    this.capacityGranules = capacityGranules
    this.#epochGranules = Math.max(1, Math.ceil(capacityGranules / EPOCHS))
    this.#entries = new Int32Array(buckets * SLOTS)
    this.#scale = buckets * TWO_TO_MINUS_32
    this.#sweepSlots = Math.ceil((buckets * SLOTS) / EPOCHS)
  }

  /** The record has left the small queue. */
  add(place: number, tag: number, granules: number): void {
    if (granules > this.capacityGranules) return
    if (this.#filledGranules >= this.#epochGranules) this.#turnEpoch()
    const at = this.#newest & (EPOCHS_ALIVE_MAX - 1)
    this.#filledGranules += granules
    this.#totalGranules += granules
    this.#granules[at] = this.#granules[at]! + granules
    while (this.#totalGranules > this.capacityGranules && this.#alive > 1) this.#dropOldest()
    this.#entries[this.#slotFor(place, tag)] = (tag << TAG_SHIFT) | USED | this.#newest
  }

  /** True if the record was here; it no longer is. `granules`: its size. */
  take(place: number, tag: number, granules: number): boolean {
    let slot = this.#find(this.#firstBucket(place, tag), tag)
    if (slot < 0) slot = this.#find(this.#secondBucket(place, tag), tag)
    if (slot < 0) return false
    const at = this.#entries[slot]! & (EPOCHS_ALIVE_MAX - 1)
    // Its size may have changed since, so the epoch may hold less.
    const freed = Math.min(granules, this.#granules[at]!)
    this.#granules[at] = this.#granules[at]! - freed
    this.#totalGranules -= freed
    this.#entries[slot] = 0
    return true
  }

  clear(): void {
    this.#entries.fill(0)
    this.#granules.fill(0)
    this.#alive = 1
    this.#filledGranules = 0
    this.#totalGranules = 0
  }

  #firstBucket(place: number, tag: number): number {
    const hash = ((place << 14) | (tag >>> 4)) >>> 0
    return ((hash * this.#scale) | 0) * SLOTS
  }

  #secondBucket(place: number, tag: number): number {
    let hash = Math.imul(place ^ (tag << 13), 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
    return ((((hash ^ (hash >>> 13)) >>> 0) * this.#scale) | 0) * SLOTS
  }

  /** How many epochs ago the entry came; what is not used is too old. */
  #age(entry: number): number {
    return (entry & USED) === 0 ? EPOCH_MASK : (this.#newest - entry) & EPOCH_MASK
  }

  #find(bucket: number, tag: number): number {
    const entries = this.#entries
    for (let slot = bucket; slot < bucket + SLOTS; slot++) {
      const entry = entries[slot]!
      if (entry >>> TAG_SHIFT === tag && this.#age(entry) < this.#alive) return slot
    }
    return -1
  }

  /** The first slot that is free, looked for in both buckets at once: mostly that of the emptier one. If none is, the oldest entry's. */
  #slotFor(place: number, tag: number): number {
    const first = this.#firstBucket(place, tag)
    const second = this.#secondBucket(place, tag)
    const entries = this.#entries
    const newest = this.#newest
    const alive = this.#alive
    for (let i = 0; i < SLOTS; i++) {
      const entry = entries[first + i]!
      if ((entry & USED) === 0 || ((newest - entry) & EPOCH_MASK) >= alive) return first + i
      const other = entries[second + i]!
      if ((other & USED) === 0 || ((newest - other) & EPOCH_MASK) >= alive) return second + i
    }
    this.lost++
    return this.#oldestOf(first, second)
  }

  #oldestOf(first: number, second: number): number {
    let oldest = first
    for (let i = 0; i < SLOTS; i++) {
      if (this.#age(this.#entries[first + i]!) > this.#age(this.#entries[oldest]!))
        oldest = first + i
      if (this.#age(this.#entries[second + i]!) > this.#age(this.#entries[oldest]!))
        oldest = second + i
    }
    return oldest
  }

  #turnEpoch(): void {
    this.#newest = (this.#newest + 1) & EPOCH_MASK
    this.#filledGranules = 0
    if (this.#alive === EPOCHS_ALIVE_MAX) this.#dropOldest()
    this.#alive++
    this.#granules[this.#newest & (EPOCHS_ALIVE_MAX - 1)] = 0
    for (let i = 0; i < this.#sweepSlots; i++) {
      if (this.#age(this.#entries[this.#hand]!) >= this.#alive) this.#entries[this.#hand] = 0
      this.#hand = this.#hand + 1 === this.#entries.length ? 0 : this.#hand + 1
    }
  }

  #dropOldest(): void {
    const oldest = (this.#newest - this.#alive + 1) & (EPOCHS_ALIVE_MAX - 1)
    this.#totalGranules -= this.#granules[oldest]!
    this.#granules[oldest] = 0
    this.#alive--
  }
}
