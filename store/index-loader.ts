/**
 * Fills an empty index with very many entries at once, as a restart does: a tenth of the time of as many inserts.
 *
 * First all pages are told, with the number of their entries: so the size of the table and the bits that pages need are known
 * when it begins. Then come the entries. Each goes where more room is of its two buckets: two
 * choices keep the buckets so even that few entries find both full, and nothing has to be moved for the others. The only
 * thing read for an entry are two counts of a byte, which stay in the processor's cache; its slot is only written, which
 * nobody waits for. The few that are late are inserted in the end as any other.
 *
 * Guarantee: after `ObjectIndex.finishLoad` the index is as if the entries had been inserted one by one. Before, it must not
 * be used. Memory: a byte a bucket, so 0.07 an entry.
 */
import {
  HOME_BITS,
  HOME_OFFSETS,
  type IndexBuckets,
  JUMP_BITS,
  PAGE_BITS_MAX,
  SLOTS,
  TAG_OFFSETS,
} from './index-buckets.js'
import type { IndexZones } from './index-zones.js'

const HOME_MASK = (1 << HOME_BITS) - 1
const LATE_WORDS = 3
const BATCH = 8192

export class IndexLoader {
  readonly #buckets: IndexBuckets
  readonly #zones: IndexZones
  /** Entries of each bucket. */
  #counts = new Uint8Array(0)
  readonly #places = new Int32Array(BATCH)
  readonly #tags = new Int32Array(BATCH)
  readonly #pages = new Int32Array(BATCH)
  #waiting = 0
  /** Place, tag and page of each entry that found no room. */
  #late = new Int32Array(LATE_WORDS * 1024)
  lateCount = 0
  #told = 0
  #pageMax = 0

  /** The buckets are empty. */
  constructor(buckets: IndexBuckets, zones: IndexZones) {
    this.#buckets = buckets
    this.#zones = zones
  }

  /** `count` entries of an open zone will come with this locator. */
  tell(locator: number, count: number): void {
    if (count === 0) return
    this.#told += count
    const page = this.#zones.noteMany(locator, count)
    if (page > this.#pageMax) this.#pageMax = page
  }

  /** All has been told: the table gets the size and the format that it needs. */
  begin(): void {
    const buckets = this.#buckets
    // The size first: a small table has few bits for large pages.
    while (buckets.limit < this.#told && buckets.canGrow) buckets.grow()
    buckets.admit(this.#pageMax)
    if (buckets.lagging > 0) buckets.settleSome(buckets.buckets)
    this.#counts = new Uint8Array(buckets.buckets)
  }

  /** What `put` wants to know of a locator that was told. */
  pageOf(locator: number): number {
    return this.#zones.pageOf(locator)
  }

  put(place: number, tag: number, page: number): void {
    const i = this.#waiting
    this.#places[i] = place
    this.#tags[i] = tag
    this.#pages[i] = page
    this.#waiting = i + 1
    if (i + 1 === BATCH) this.#enterBatch()
  }

  /** What is decided by chance for each entry is calculated, not branched upon: no processor can predict it. */
  #enterBatch(): void {
    const counts = this.#counts
    const places = this.#places
    const tags = this.#tags
    const pages = this.#pages
    const { entries, level, split, keptLow, keptHigh, known, plane } = this.#buckets
    const mask = (1 << level) - 1
    // Of a bucket that is not split, and what a split one has more: bits of the tag in an entry.
    const bits = Math.max(0, keptLow - level)
    const bitsMore = Math.max(0, keptHigh - level - 1) - bits
    const isInPlane = keptLow < known || keptHigh < known
    const count = this.#waiting
    for (let i = 0; i < count; i++) {
      const tag = tags[i]!
      const home = places[i]! & HOME_MASK
      const jump = places[i]! >>> HOME_BITS
      const home2 = home ^ HOME_OFFSETS[jump]!
      const tag2 = tag ^ TAG_OFFSETS[jump]!
      // As `locate` of the buckets.
      const isSplit = (((home << level) | (tag & mask)) - split) >>> 31
      const isSplit2 = (((home2 << level) | (tag2 & mask)) - split) >>> 31
      const first = bucketOf(home, tag & ((mask << isSplit) | isSplit))
      const second = bucketOf(home2, tag2 & ((mask << isSplit2) | isSplit2))
      const countFirst = counts[first]!
      const countSecond = counts[second]!
      // All ones: the second.
      const choice = (countSecond - countFirst) >> 31
      const bucket = first ^ ((first ^ second) & choice)
      const before = countFirst ^ ((countFirst ^ countSecond) & choice)
      if (before === SLOTS) {
        this.#keepLate(places[i]!, tag, pages[i]!)
        continue
      }
      counts[bucket] = before + 1
      const more = isSplit ^ ((isSplit ^ isSplit2) & choice)
      const ours = tag ^ ((tag ^ tag2) & choice)
      const width = bits + (bitsMore & -more)
      const rest = (ours >>> (level + more)) & ((1 << width) - 1)
      const at = bucket * SLOTS + before
      entries[at] = (((rest << JUMP_BITS) | jump) << (PAGE_BITS_MAX - width)) | pages[i]!
      if (isInPlane) plane[at] = ours
    }
    this.#waiting = 0
  }

  #keepLate(place: number, tag: number, page: number): void {
    let at = this.lateCount * LATE_WORDS
    if (at === this.#late.length) this.#widenLate()
    this.#late[at++] = place
    this.#late[at++] = tag
    this.#late[at] = page
    this.lateCount++
  }

  #widenLate(): void {
    const wider = new Int32Array(this.#late.length * 2)
    wider.set(this.#late)
    this.#late = wider
  }

  latePlace(i: number): number {
    return this.#late[i * LATE_WORDS]!
  }

  lateTag(i: number): number {
    return this.#late[i * LATE_WORDS + 1]!
  }

  latePage(i: number): number {
    return this.#late[i * LATE_WORDS + 2]!
  }

  /** The buckets know what is in them. */
  close(): void {
    this.#enterBatch()
    const counts = this.#counts
    let stored = 0
    for (let bucket = 0; bucket < counts.length; bucket++) {
      stored += counts[bucket]!
      if (counts[bucket] === SLOTS) this.#buckets.setFull(bucket)
    }
    this.#buckets.stored = stored
  }
}

/** The bucket of a home with these bits of the tag. */
function bucketOf(home: number, prefix: number): number {
  if (prefix === 0) return home
  const top = 31 - Math.clz32(prefix)
  return (((1 << HOME_BITS) + home) << top) + (prefix ^ (1 << top))
}
