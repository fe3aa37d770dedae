/**
 * Which zones are open, and the numbers that the index's entries have for pages: `pages` are dense, locators are not.
 *
 * Many zones are open at a time and partly filled, so locators (zone x pages a zone + page) have holes, and would need bits that
 * the index has better use for. So each block of 64 pages in which something lies gets an id, the ids of blocks with nothing
 * left are used again, and an entry has id x 64 + page in the block.
 *
 * Dropping a zone marks its blocks, whatever they hold. Their entries stay in the table until the hand, an insert or a split
 * comes by. A block's count tells when no entry has its id any more, a zone's count when its number may be opened again.
 * Block 0 is of nobody: page 0 would be an empty slot.
 */

const BLOCK_SHIFT_MAX = 6

const FREE = 0
const OPEN = 1
const DROPPED = 2

export class IndexZones {
  /** Zones that wait for the table to forget them. */
  dropped = 0
  /** Entries of open zones. */
  entries = 0
  /** Entries of dropped zones. */
  stale = 0
  /** Above every page that `pageOf` or `note` may give. */
  readonly pagesMax: number
  readonly #pagesPerZone: number
  readonly #blockShift: number
  readonly #blocksPerZone: number
  readonly #states: Uint8Array
  /** Entries in the table that are of the zone. */
  readonly #counts: Uint32Array
  /** By zone and block in it: its id, or 0. */
  readonly #ids: Int32Array
  /** By id: the block's first locator, entries in the table that are in it, and 1 when its zone is dropped. */
  readonly #firsts: Int32Array
  readonly #blockCounts: Uint32Array
  readonly #dead: Uint8Array
  /** Ids that were in use, and how many there ever were. */
  readonly #freeIds: Int32Array
  #freeCount = 0
  #idCount = 1
  /** No zone below is free. */
  #lowest = 1
  /** Above every zone that was ever open. */
  #zonesMax = 1

  constructor(pagesPerZone: number, zones: number) {
    this.#pagesPerZone = pagesPerZone
    this.#blockShift = Math.min(BLOCK_SHIFT_MAX, 31 - Math.clz32(pagesPerZone))
    this.#blocksPerZone = Math.ceil(pagesPerZone / (1 << this.#blockShift))
    this.#states = new Uint8Array(zones)
    this.#states[0] = DROPPED
    this.#counts = new Uint32Array(zones)
    const blocks = zones * this.#blocksPerZone
    this.pagesMax = (blocks + 1) << this.#blockShift
    this.#ids = new Int32Array(blocks)
    this.#firsts = new Int32Array(blocks + 1)
    this.#blockCounts = new Uint32Array(blocks + 1)
    this.#dead = new Uint8Array(blocks + 1)
    this.#freeIds = new Int32Array(blocks + 1)
  }

  /** What has been touched, which is less than what is reserved. */
  get memoryBytes(): number {
    return this.#zonesMax * (1 + 4 + 4 * this.#blocksPerZone) + this.#idCount * (4 + 4 + 1 + 4)
  }

  /** The smallest free zone, now open; -1 when there is none. */
  open(): number {
    const zone = this.#states.indexOf(FREE, this.#lowest)
    if (zone < 0) return -1
    this.#lowest = zone + 1
    if (zone >= this.#zonesMax) this.#zonesMax = zone + 1
    this.#states[zone] = OPEN
    return zone
  }

  drop(zone: number): void {
    if (this.#states[zone] !== OPEN) return
    const count = this.#counts[zone]!
    this.entries -= count
    this.stale += count
    this.dropped++
    this.#states[zone] = DROPPED
    if (count === 0) this.#free(zone)
    const first = zone * this.#blocksPerZone
    for (let block = first; block < first + this.#blocksPerZone; block++) {
      const id = this.#ids[block]!
      if (id !== 0) this.#dead[id] = 1
    }
  }

  /** 0 for a zone that is not open. */
  entriesOf(zone: number): number {
    return this.#states[zone] === OPEN ? this.#counts[zone]! : 0
  }

  isOpen(locator: number): boolean {
    return this.#states[(locator / this.#pagesPerZone) | 0] === OPEN
  }

  isStale(page: number): boolean {
    return this.#dead[page >>> this.#blockShift] === 1
  }

  #blockOf(locator: number): number {
    const zone = (locator / this.#pagesPerZone) | 0
    const inZone = locator - zone * this.#pagesPerZone
    return zone * this.#blocksPerZone + (inZone >>> this.#blockShift)
  }

  #pageIn(locator: number): number {
    const zone = (locator / this.#pagesPerZone) | 0
    return (locator - zone * this.#pagesPerZone) & ((1 << this.#blockShift) - 1)
  }

  /** The number of a page in which something lies; 0 for any other. */
  pageOf(locator: number): number {
    const id = this.#ids[this.#blockOf(locator)]!
    return id === 0 ? 0 : (id << this.#blockShift) | this.#pageIn(locator)
  }

  locatorOf(page: number): number {
    const shift = this.#blockShift
    return this.#firsts[page >>> shift]! + (page & ((1 << shift) - 1))
  }

  /** An entry with this locator, of an open zone, comes into the table: the number of its page. */
  note(locator: number): number {
    return this.noteMany(locator, 1)
  }

  /** `count` entries of the page, one at least. */
  noteMany(locator: number, count: number): number {
    const shift = this.#blockShift
    const zone = (locator / this.#pagesPerZone) | 0
    const inZone = locator - zone * this.#pagesPerZone
    const inBlock = inZone & ((1 << shift) - 1)
    const block = zone * this.#blocksPerZone + (inZone >>> shift)
    let id = this.#ids[block]!
    if (id === 0) id = this.#takeId(block, locator - inBlock)
    this.#blockCounts[id]! += count
    this.#counts[zone]! += count
    this.entries += count
    return (id << shift) | inBlock
  }

  /** An entry left the table. */
  forget(page: number): void {
    const id = page >>> this.#blockShift
    const zone = (this.#firsts[id]! / this.#pagesPerZone) | 0
    const isDead = this.#dead[id] === 1
    const inBlock = this.#blockCounts[id]! - 1
    this.#blockCounts[id] = inBlock
    if (inBlock === 0) this.#giveId(id)
    const inZone = this.#counts[zone]! - 1
    this.#counts[zone] = inZone
    if (!isDead) {
      this.entries--
      return
    }
    this.stale--
    if (inZone === 0) this.#free(zone)
  }

  #takeId(block: number, first: number): number {
    const id = this.#freeCount > 0 ? this.#freeIds[--this.#freeCount]! : this.#idCount++
    this.#ids[block] = id
    this.#firsts[id] = first
    return id
  }

  #giveId(id: number): void {
    this.#ids[this.#blockOf(this.#firsts[id]!)] = 0
    this.#dead[id] = 0
    this.#freeIds[this.#freeCount++] = id
  }

  #free(zone: number): void {
    this.#states[zone] = FREE
    this.dropped--
    if (zone < this.#lowest) this.#lowest = zone
  }
}
