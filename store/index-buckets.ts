/**
 * The buckets of the index: 16 entries of 32 bits each, a cache line, in one array that grows at its end, bucket by bucket.
 *
 * Linear hashing decides which bucket. A hash is 30 bits: 12 of a key's place, its home, and above them its tag. A bucket's
 * number are the lowest of these: the home, and as many bits of the tag as there are levels. One round splits the buckets of
 * a level one after the other; what a split makes is appended. So the table is as large as it has to be at any count: no half
 * empty table after a doubling, no pause, nothing to give back.
 *
 * An entry is in one of two buckets. The second is that of the hash combined with the offset of `jump`, the other six bits of
 * the place, which the entry keeps: from either bucket the other can be told without the key.
 *
 * ```
 *   entry   [ tag bits from depth to kept | jump: 6 | page ]       32 bits; 0 is an empty slot
 * ```
 * `depth` are the tag bits that the bucket's own number tells, `kept` those that are known in all. A split spends the lowest of
 * them, so `page` gains a bit whenever the table doubles, as it should: twice the objects lie in twice the pages. If pages
 * grow faster than objects (large objects), `kept` falls. Where too little would be known, whole tags go to a plane of 16
 * bits a slot beside the table, and come back into the entries when the table has grown.
 */

import { HOME_BITS, JUMP_BITS, OFFSETS } from './index-offsets.js'

export const SLOT_BITS = 4
export const SLOTS = 1 << SLOT_BITS
export const PAGE_BITS_MAX = 32 - JUMP_BITS
const HOMES = 1 << HOME_BITS
const HOME_MASK = HOMES - 1
const JUMP_MASK = (1 << JUMP_BITS) - 1

/** Of a tag's 18 bits at most these are kept: more would hardly be missed, and the plane has no room for them. */
const KEPT_MAX = 16
/** So many must be known of every tag: at ten million objects a search has 0.01 false candidates then. */
export const KNOWN_MIN = 13

/**
 * Free slots of all, where inserts are hard and where they are easy: parts of a round. A large table has more than eight million
 * entries; below ten million nobody counts a tenth of a byte.
 */
const LEVEL_LARGE = 7
const ROOM_SMALL = 1 / 16
const ROOM_LARGE = 9 / 256
const ROOM_MIN = 0.03
const HARD_UNTIL = 0.6
const EASY_FROM = 0.95

/** By bucket two bits count the falls of `kept` that it lags behind: 16 buckets a word. */
const LAG_MAX = 3
const LAG_OF_ALL = 0x55555555

export class IndexBuckets {
  readonly entries: Int32Array
  readonly bucketsMax: number
  buckets = HOMES
  /** Tag bits that the numbers of all buckets tell; those below `split`, and those appended in this round, tell one more. */
  level = 0
  split = 0
  /** The bits of a hash that the numbers of all buckets tell. */
  mask = HOMES - 1
  /** Occupied slots, and from how many on the table is to grow. */
  stored = 0
  limit = 0
  /** Tag bits that entries keep in buckets of this level, and in those already split. */
  keptLow = KEPT_MAX
  keptHigh = KEPT_MAX
  /** Tag bits that are known of every entry, the plane's among them. */
  known = KEPT_MAX
  /** Falls of `kept` since every bucket was last up to date. */
  lagging = 0
  /** A bit a bucket: it is full. Looked at so often that it has to be small. */
  readonly #full: Int32Array
  readonly #lags: Int32Array
  /** Whole tags by slot, when `kept` is less than `known`; else empty. */
  plane = new Uint16Array(0)
  /** Bits of the largest page that was ever admitted. */
  #pageBits = 1
  #settled = 0

  /** What `look` found about a bucket. */
  bucket = 0
  depth = 0
  kept = 0
  pageBits = 0
  /** What `read` found in a slot. */
  hash = 0
  jump = 0
  page = 0
  /** What `slotToMove` found. */
  other = 0

  /** `entriesMax`: memory is reserved for so many, and used as the table grows. */
  constructor(entriesMax: number) {
    const wanted = Math.ceil((entriesMax * 17) / 16 / SLOTS)
    this.bucketsMax = Math.max(2 * HOMES, Math.min(wanted, HOMES << KNOWN_MIN))
    // One more than slots: see IndexLoader. V8 does not count shared memory: so what is only reserved sets off no collections.
    this.entries = new Int32Array(new SharedArrayBuffer(4 * (this.bucketsMax * SLOTS + 1)))
    this.#full = new Int32Array(Math.ceil(this.bucketsMax / 32))
    this.#lags = new Int32Array(Math.ceil(this.bucketsMax / 16))
    this.#setLimit()
  }

  /** Bytes that have been touched: entries, states of buckets, plane. */
  get memoryBytes(): { entries: number; states: number; plane: number } {
    const slots = this.buckets * SLOTS
    const plane = this.plane.length === 0 ? 0 : slots * 2
    return { entries: slots * 4, states: Math.ceil((this.buckets * 3) / 8), plane }
  }

  /** The bucket of a hash. Without a branch, which nothing could predict. */
  locate(hash: number): number {
    const { mask } = this
    const low = hash & mask
    return low | (hash & (mask + 1) & ((low - this.split) >> 31))
  }

  /** 1 for a bucket that was split in this round, or made by that; else 0. */
  splitsOf(bucket: number): number {
    return ((bucket & this.mask) - this.split) >>> 31
  }

  isFull(bucket: number): boolean {
    return ((this.#full[bucket >>> 5]! >>> (bucket & 31)) & 1) !== 0
  }

  setFull(bucket: number): void {
    this.#full[bucket >>> 5]! |= 1 << (bucket & 31)
  }

  setRoom(bucket: number): void {
    this.#full[bucket >>> 5]! &= ~(1 << (bucket & 31))
  }

  lagOf(bucket: number): number {
    return (this.#lags[bucket >>> 4]! >>> ((bucket & 15) << 1)) & LAG_MAX
  }

  #setNoLag(bucket: number): void {
    this.#lags[bucket >>> 4]! &= ~(LAG_MAX << ((bucket & 15) << 1))
  }

  /** How the bucket's entries are to be read. */
  look(bucket: number): void {
    const isSplit = this.splitsOf(bucket)
    this.bucket = bucket
    this.depth = this.level + isSplit
    const kept = isSplit === 0 ? this.keptLow : this.keptHigh
    this.#keep(this.lagging === 0 ? kept : kept + this.lagOf(bucket))
  }

  #keep(kept: number): void {
    this.kept = kept
    this.pageBits = PAGE_BITS_MAX - (kept > this.depth ? kept - this.depth : 0)
  }

  /** Tag bits that are known of the entries in the bucket that was looked at. */
  knownHere(): number {
    return this.kept > this.known ? this.kept : this.known
  }

  /** The slot's hash (as many bits of the tag as `knownHere` are right), jump and page; `look` came before. */
  read(at: number): void {
    const entry = this.entries[at]!
    const kept = entry >>> this.pageBits
    this.jump = kept & JUMP_MASK
    this.page = entry & ((1 << this.pageBits) - 1)
    this.hash =
      this.kept < this.known
        ? (this.plane[at]! << HOME_BITS) | (this.bucket & HOME_MASK)
        : ((kept >>> JUMP_BITS) << (HOME_BITS + this.depth)) | this.bucket
  }

  /**
   * The first slot, from the `start`-th on and around, whose entry has room in its other bucket, which is `other` then; -1 when
   * none has. `look` came before, for a full bucket.
   */
  slotToMove(bucket: number, start: number): number {
    const { entries, pageBits, mask, split, plane } = this
    const full = this.#full
    const offsets = OFFSETS
    const shift = HOME_BITS + this.depth
    const isInPlane = this.kept < this.known
    const home = bucket & HOME_MASK
    for (let i = start; i < start + SLOTS; i++) {
      const at = bucket * SLOTS + (i & (SLOTS - 1))
      const kept = entries[at]! >>> pageBits
      const hash = isInPlane
        ? (plane[at]! << HOME_BITS) | home
        : ((kept >>> JUMP_BITS) << shift) | bucket
      // As in `locate`, which would load all that is loaded above for each slot.
      const hash2 = hash ^ offsets[kept & JUMP_MASK]!
      const low = hash2 & mask
      const other = low | (hash2 & (mask + 1) & ((low - split) >> 31))
      if (((full[other >>> 5]! >>> (other & 31)) & 1) === 0) {
        this.other = other
        return at
      }
    }
    return -1
  }

  /** The page in a slot; `look` came before. */
  pageAt(at: number): number {
    return this.entries[at]! & ((1 << this.pageBits) - 1)
  }

  /** What an entry is in the bucket that was looked at; 0 if no such entry can be there. */
  word(hash: number, jump: number, page: number): number {
    if (page >>> this.pageBits !== 0) return 0
    const bits = PAGE_BITS_MAX - this.pageBits
    const more = (hash >>> (HOME_BITS + this.depth)) & ((1 << bits) - 1)
    return (((more << JUMP_BITS) | jump) << this.pageBits) | page
  }

  /** Fills the slot; `look` came before, for a bucket without lag. */
  write(at: number, hash: number, jump: number, page: number): void {
    this.entries[at] = this.word(hash, jump, page)
    if (this.kept < this.known) this.plane[at] = hash >>> HOME_BITS
  }

  /** An entry gets another page. */
  setPage(at: number, page: number): void {
    const bucket = (at / SLOTS) | 0
    this.settle(bucket)
    this.look(bucket)
    this.read(at)
    this.write(at, this.hash, this.jump, page)
  }

  /** Whether the plane says that the tag of a slot, in a bucket that keeps `kept` bits, is another. */
  isOther(at: number, kept: number, hash: number): boolean {
    if (kept >= this.known) return false
    return ((this.plane[at]! ^ (hash >>> HOME_BITS)) & ((1 << this.known) - 1)) !== 0
  }

  /** Brings the bucket's entries to the format of today. */
  settle(bucket: number): void {
    if (this.lagging === 0) return
    const lag = this.lagOf(bucket)
    if (lag === 0) return
    this.look(bucket)
    const { kept } = this
    const end = (bucket + 1) * SLOTS
    for (let at = end - SLOTS; at < end; at++) {
      if (this.entries[at] === 0) continue
      this.#keep(kept)
      this.read(at)
      this.#keep(kept - lag)
      this.write(at, this.hash, this.jump, this.page)
    }
    this.#setNoLag(bucket)
  }

  /** Brings some buckets up to date that lag behind. */
  settleSome(count: number): void {
    const end = Math.min(this.buckets, this.#settled + count)
    while (this.#settled < end) this.settle(this.#settled++)
    if (this.#settled === this.buckets) this.lagging = 0
  }

  /** Makes room for a page as large as this in the buckets without lag. */
  admit(page: number): void {
    const bits = 32 - Math.clz32(page)
    if (bits <= this.#pageBits) return
    this.#pageBits = bits
    // Of `keptHigh` too: it is at most one more, and a split bucket has one tag bit less in its entries.
    while (this.keptLow - this.level > PAGE_BITS_MAX - bits) this.#fall()
    if (this.split === 0) this.#raise()
  }

  /** All entries are to keep a tag bit less. */
  #fall(): void {
    if (this.lagging === LAG_MAX) this.settleSome(this.buckets)
    const lags = this.#lags
    const end = Math.ceil(this.buckets / 16)
    // In an empty table nothing has another format.
    if (this.stored > 0) {
      for (let i = 0; i < end; i++) lags[i] = lags[i]! + LAG_OF_ALL
      this.lagging++
      this.#settled = 0
    }
    const hadPlane = this.keptLow < this.known
    this.keptLow--
    this.keptHigh--
    if (!hadPlane && this.keptLow >= KNOWN_MIN) this.known = this.keptLow
    else if (this.plane.length === 0) this.#makePlane()
  }

  #makePlane(): void {
    this.plane = new Uint16Array(this.entries.length)
  }

  #dropPlane(): void {
    this.plane = new Uint16Array(0)
  }

  /** Whether another bucket can be had. */
  get canGrow(): boolean {
    return this.buckets < this.bucketsMax && this.level < this.known
  }

  /** The next bucket in order gives those of its entries whose next tag bit is 1 to a new bucket at the end. */
  grow(): void {
    this.#divide(this.split)
    this.#addBuckets(1)
  }

  /** Makes an empty table large enough for so many entries, as far as it can be. No bucket lags. */
  reserve(count: number): void {
    this.#full.fill(0, 0, Math.ceil(this.buckets / 32))
    this.#lags.fill(0, 0, Math.ceil(this.buckets / 16))
    this.lagging = 0
    while (this.limit < count && this.canGrow) {
      const round = (HOMES << this.level) - this.split
      const wanted = ((count / SLOTS) | 0) - this.buckets
      this.#addBuckets(Math.max(1, Math.min(round, wanted, this.bucketsMax - this.buckets)))
    }
  }

  /** Of a table that others have filled with `stored` entries: how many each bucket has, and zeros up to a multiple of 32. */
  count(counts: Uint8Array, stored: number): void {
    const full = this.#full
    for (let at = 0; at < counts.length; at += 32) {
      let word = 0
      for (let i = 0; i < 32; i++) word |= (counts[at + i]! >>> SLOT_BITS) << i
      full[at >>> 5]! |= word
    }
    this.stored = stored
  }

  /** No more than the round splits yet. */
  #addBuckets(count: number): void {
    this.buckets += count
    this.split += count
    if (this.split === HOMES << this.level) this.#nextLevel()
    this.#setLimit()
  }

  #divide(from: number): void {
    const level = this.level
    const to = this.buckets
    this.settle(from)
    let stay = from * SLOTS
    let go = to * SLOTS
    for (let at = from * SLOTS; at < (from + 1) * SLOTS; at++) {
      if (this.entries[at] === 0) continue
      this.look(from)
      this.read(at)
      this.entries[at] = 0
      this.depth = level + 1
      this.#keep(this.keptHigh)
      const going = (this.hash >>> (HOME_BITS + level)) & 1
      this.write(stay + (go - stay) * going, this.hash, this.jump, this.page)
      go += going
      stay += 1 - going
    }
    this.setRoom(from)
    if (stay === (from + 1) * SLOTS) this.setFull(from)
    this.#setNoLag(to)
    this.setRoom(to)
    if (go === (to + 1) * SLOTS) this.setFull(to)
  }

  #nextLevel(): void {
    this.level++
    this.mask = (HOMES << this.level) - 1
    this.split = 0
    this.keptLow = this.keptHigh
    if (this.keptLow >= KNOWN_MIN) {
      this.known = this.keptLow
      if (this.plane.length > 0) this.#dropPlane()
    }
    this.#raise()
  }

  /** While no bucket is split: those that will be may keep one bit more, if only the plane has it now. */
  #raise(): void {
    const fits = PAGE_BITS_MAX + this.level + 1 - this.#pageBits
    this.keptHigh = Math.min(this.keptLow + 1, this.known, Math.max(fits, this.keptLow))
  }

  /**
   * Buckets just split are drawn half as often as the others, and some can hardly be filled: for the most part of a round the
   * table has to be emptier for inserts to find room soon. A small one can afford to be much emptier then.
   */
  #setLimit(): void {
    const slots = this.buckets * SLOTS
    const part = this.split / (HOMES << this.level)
    const most = this.level < LEVEL_LARGE ? ROOM_SMALL : ROOM_LARGE
    const hard = part < HARD_UNTIL ? 1 : Math.max(0, (EASY_FROM - part) / (EASY_FROM - HARD_UNTIL))
    this.limit = slots - Math.ceil(slots * (ROOM_MIN + (most - ROOM_MIN) * hard))
  }
}
