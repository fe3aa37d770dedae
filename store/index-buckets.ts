/**
 * The buckets of the index: 12 entries of 32 bits each, in one array that grows at its end, bucket by bucket.
 *
 * Linear hashing decides which bucket: 12 bits of a key's place are its home, and bits of its tag, the lowest first, double the
 * homes level by level. One round splits the buckets of a level one after the other, in the order (home, tag bits); what a
 * split makes is appended. So the table is exactly as large as it has to be at any count: no half empty table after a
 * doubling, no pause, nothing to give back.
 *
 * An entry is in one of two buckets. The second has home and tag combined with OFFSETS of `jump`, six bits of the place that
 * the entry keeps: from either bucket the other can be told without the key.
 *
 * ```
 *   entry   [ tag bits from depth to kept | jump: 6 | locator ]       32 bits; 0 is an empty slot
 * ```
 * `depth` are the tag bits that the bucket's own place tells, `kept` those that are known in all. A split spends the lowest of
 * them, so the locator gains a bit whenever the table doubles, as it should: twice the objects lie in twice the pages. If
 * locators grow faster (large objects, sparse zones), `kept` falls; where that would cost too much, 8 of the tag's bits
 * go to a plane of bytes beside the table, and come back into the entries when the table has grown.
 */

export const SLOTS = 12
export const HOME_BITS = 12
export const JUMP_BITS = 6
export const LOCATOR_BITS_MAX = 32 - JUMP_BITS
const HOMES = 1 << HOME_BITS
const HOME_MASK = HOMES - 1
const JUMP_MASK = (1 << JUMP_BITS) - 1

/** Of a tag's 18 bits at most these are kept: more would hardly be missed, and the plane has to hold the upper ones. */
const KEPT_MAX = 15
const PLANE_SHIFT = 7
/** What must be known of every tag: 2 candidates in 100 at ten million objects need 12. */
const INSIST_SMALL = 14
const INSIST = 13
const SMALL_LEVEL = 5

/** Each bucket has 4 bits of state: bit 0 is set when it is full, bits 1 and 2 count the falls of `kept` that it lags behind. */
const FULL = 1
const LAG_SHIFT = 1
const LAG_MAX = 3

/** By jump: what to combine home and tag with. They differ from 0 in the home, and span all 30 bits together. */
export const HOME_OFFSETS = new Int32Array(1 << JUMP_BITS)
export const TAG_OFFSETS = new Int32Array(1 << JUMP_BITS)
for (let jump = 0, state = 0x9e3779b9 | 0; jump < 1 << JUMP_BITS; jump++) {
  do {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
  } while (((state >>> 3) & HOME_MASK) === 0)
  HOME_OFFSETS[jump] = (state >>> 3) & HOME_MASK
  TAG_OFFSETS[jump] = Math.imul(state, 0x2c1b3c6d) >>> 14
}

export class IndexBuckets {
  readonly entries: Uint32Array
  readonly bucketsMax: number
  buckets: number
  /** Tag bits that the places of all buckets tell; those below `split`, and those appended in this round, tell one more. */
  level: number
  split = 0
  /** Occupied slots. */
  stored = 0
  /** Tag bits that entries keep in buckets of this level, and in those already split. */
  keptLow = KEPT_MAX
  keptHigh = KEPT_MAX
  /** Tag bits that are known of every entry, the plane's among them. */
  known = KEPT_MAX
  /** Falls of `kept` since every bucket was last up to date. */
  lagging = 0
  readonly #states: Int32Array
  #plane = new Uint8Array(0)
  #locatorBits = 1
  #settled = 0

  /** What `look` found about a bucket. */
  home = 0
  prefix = 0
  depth = 0
  kept = 0
  locatorBits = 0
  /** What `read` found in a slot. */
  tag = 0
  jump = 0
  locator = 0

  /** `locatorBitsMax`: of the largest locator ever. `entriesMax`: memory is reserved for so many, and used as the table grows. */
  constructor(locatorBitsMax: number, entriesMax: number) {
    this.level = Math.max(0, locatorBitsMax + PLANE_SHIFT - LOCATOR_BITS_MAX)
    this.buckets = HOMES << this.level
    const wanted = Math.ceil(entriesMax / SLOTS)
    this.bucketsMax = Math.max(2 * this.buckets, Math.min(wanted, HOMES << INSIST))
    this.entries = new Uint32Array(this.bucketsMax * SLOTS)
    this.#states = new Int32Array(Math.ceil(this.bucketsMax / 8))
  }

  /** Bytes that have been touched: entries, states of buckets, plane. */
  get memoryBytes(): { entries: number; states: number; plane: number } {
    const slots = this.buckets * SLOTS
    const plane = this.#plane.length === 0 ? 0 : slots
    return { entries: slots * 4, states: Math.ceil(this.buckets / 2), plane }
  }

  /** The bucket that a home and a tag say. */
  locate(home: number, tag: number): number {
    const level = this.level
    const low = tag & ((1 << level) - 1)
    const depth = ((home << level) | low) < this.split ? level + 1 : level
    const prefix = tag & ((1 << depth) - 1)
    if (prefix === 0) return home
    const top = 31 - Math.clz32(prefix)
    return ((HOMES + home) << top) + (prefix ^ (1 << top))
  }

  isFull(bucket: number): boolean {
    return ((this.#states[bucket >>> 3]! >>> ((bucket & 7) << 2)) & FULL) !== 0
  }

  lagOf(bucket: number): number {
    return (this.#states[bucket >>> 3]! >>> (((bucket & 7) << 2) + LAG_SHIFT)) & LAG_MAX
  }

  setFull(bucket: number): void {
    this.#states[bucket >>> 3]! |= FULL << ((bucket & 7) << 2)
  }

  setRoom(bucket: number): void {
    this.#states[bucket >>> 3]! &= ~(FULL << ((bucket & 7) << 2))
  }

  #setNoLag(bucket: number): void {
    this.#states[bucket >>> 3]! &= ~(LAG_MAX << (((bucket & 7) << 2) + LAG_SHIFT))
  }

  /** Where the bucket is, and how its entries are to be read. */
  look(bucket: number): void {
    const level = this.level
    let home = bucket
    let prefix = 0
    if (bucket >= HOMES) {
      const top = 31 - HOME_BITS - Math.clz32(bucket)
      const rest = bucket - (HOMES << top)
      home = rest >>> top
      prefix = (1 << top) | (rest & ((1 << top) - 1))
    }
    const order = (home << level) | (prefix & ((1 << level) - 1))
    const isSplit = order < this.split
    const depth = isSplit ? level + 1 : level
    const kept = (isSplit ? this.keptHigh : this.keptLow) + this.lagOf(bucket)
    this.home = home
    this.prefix = prefix
    this.depth = depth
    this.kept = kept
    this.locatorBits = LOCATOR_BITS_MAX - (kept > depth ? kept - depth : 0)
  }

  /** Tag bits that are known of the entries in the bucket that was looked at. */
  knownHere(): number {
    return this.kept > this.known ? this.kept : this.known
  }

  /** The slot's tag (as far as it is known), jump and locator; `look` came before. */
  read(at: number): void {
    const entry = this.entries[at]!
    const hash = entry >>> this.locatorBits
    this.jump = hash & JUMP_MASK
    this.locator = entry & ((1 << this.locatorBits) - 1)
    let tag = ((hash >>> JUMP_BITS) << this.depth) | this.prefix
    if (this.kept < this.known) tag |= this.#plane[at]! << PLANE_SHIFT
    this.tag = tag
  }

  /** Fills the slot; `look` came before, for a bucket without lag. */
  write(at: number, tag: number, jump: number, locator: number): void {
    const depth = this.depth
    const bits = LOCATOR_BITS_MAX - this.locatorBits
    const more = (tag >>> depth) & ((1 << bits) - 1)
    this.entries[at] = (((more << JUMP_BITS) | jump) << this.locatorBits) | locator
    if (this.kept < this.known) this.#plane[at] = tag >>> PLANE_SHIFT
  }

  /** Whether the plane says that the slot's tag is another. */
  planeDiffers(at: number, kept: number, tag: number): boolean {
    if (kept >= this.known) return false
    const mask = ((1 << this.known) - 1) >>> PLANE_SHIFT
    return (((tag >>> PLANE_SHIFT) ^ this.#plane[at]!) & mask) !== 0
  }

  /** Brings the bucket's entries to the format of today. */
  settle(bucket: number): void {
    const lag = this.lagOf(bucket)
    if (lag === 0) return
    const first = bucket * SLOTS
    this.look(bucket)
    const { kept, locatorBits } = this
    for (let at = first; at < first + SLOTS; at++) {
      if (this.entries[at] === 0) continue
      this.kept = kept
      this.locatorBits = locatorBits
      this.read(at)
      this.kept = kept - lag
      this.locatorBits = LOCATOR_BITS_MAX - (this.kept > this.depth ? this.kept - this.depth : 0)
      this.write(at, this.tag, this.jump, this.locator)
    }
    this.#setNoLag(bucket)
  }

  /** Brings some buckets up to date that lag behind. */
  settleSome(count: number): void {
    const end = Math.min(this.buckets, this.#settled + count)
    while (this.#settled < end) this.settle(this.#settled++)
    if (this.#settled === this.buckets) this.lagging = 0
  }

  /** Makes room for a locator as large as this in the buckets without lag. */
  admit(locator: number): void {
    const bits = 32 - Math.clz32(locator)
    if (bits > this.#locatorBits) this.#locatorBits = bits
    while (this.keptLow - this.level > LOCATOR_BITS_MAX - bits) this.#fall()
    while (this.keptHigh - this.level - 1 > LOCATOR_BITS_MAX - bits) this.#fall()
  }

  /** All entries are to keep a tag bit less. */
  #fall(): void {
    if (this.lagging === LAG_MAX) this.settleSome(this.buckets)
    const states = this.#states
    const end = Math.ceil(this.buckets / 8)
    for (let i = 0; i < end; i++) states[i] = states[i]! + (0x11111111 << LAG_SHIFT)
    this.lagging++
    this.#settled = 0
    this.keptLow--
    this.keptHigh--
    if (this.keptLow >= this.known) return
    const hasPlane = this.keptLow + 1 < this.known
    if (!hasPlane && this.keptLow >= this.#insisted()) this.known = this.keptLow
    else if (this.#plane.length === 0) this.#makePlane()
  }

  #insisted(): number {
    return this.level < SMALL_LEVEL ? INSIST_SMALL : INSIST
  }

  #makePlane(): void {
    this.#plane = new Uint8Array(this.entries.length)
  }

  #dropPlane(): void {
    this.#plane = new Uint8Array(0)
  }

  /** Whether another bucket can be had. */
  get canGrow(): boolean {
    return this.buckets < this.bucketsMax && this.level < this.known
  }

  /** The next bucket in order gives those of its entries whose next tag bit is 1 to a new bucket at the end. */
  grow(): void {
    const level = this.level
    const order = this.split
    const home = order >>> level
    const from = this.locate(home, order & ((1 << level) - 1))
    const to = this.buckets
    this.settle(from)
    this.look(from)
    const { prefix, kept, locatorBits } = this
    const bitsAfter = this.keptHigh > level + 1 ? this.keptHigh - level - 1 : 0
    let stay = from * SLOTS
    let go = to * SLOTS
    for (let at = from * SLOTS; at < (from + 1) * SLOTS; at++) {
      if (this.entries[at] === 0) continue
      this.prefix = prefix
      this.depth = level
      this.kept = kept
      this.locatorBits = locatorBits
      this.read(at)
      this.entries[at] = 0
      this.depth = level + 1
      this.kept = this.keptHigh
      this.locatorBits = LOCATOR_BITS_MAX - bitsAfter
      const isGoing = ((this.tag >>> level) & 1) === 1
      this.write(isGoing ? go++ : stay++, this.tag, this.jump, this.locator)
    }
    this.buckets++
    this.split++
    this.setRoom(from)
    if (stay === (from + 1) * SLOTS) this.setFull(from)
    this.#setNoLag(to)
    this.setRoom(to)
    if (go === (to + 1) * SLOTS) this.setFull(to)
    if (this.split === HOMES << level) this.#nextLevel()
  }

  #nextLevel(): void {
    this.level++
    this.split = 0
    this.keptLow = this.keptHigh
    if (this.keptLow < this.known && this.keptLow >= this.#insisted()) {
      this.known = this.keptLow
      this.#dropPlane()
    }
    const fits = LOCATOR_BITS_MAX + this.level + 1 - this.#locatorBits
    if (this.keptLow < this.known && fits > this.keptLow) this.keptHigh = this.keptLow + 1
  }
}
