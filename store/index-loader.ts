/**
 * Fills an empty index with very many entries at once, as a restart does: in a small part of the time of as many inserts.
 *
 * First all pages are told, with the number of their entries: so the size of the table and the bits that pages need are known
 * when it begins. Then come the entries. Each goes to that of its two buckets that has more room, which keeps buckets so even
 * that one in fifty finds both full. To decide it, a byte a bucket is looked at, and these stay in the processor's caches. Of a
 * table that these cannot hold, what is to be written is collected by parts of it, and written a part at a time. Those that are
 * late push out others in the end.
 *
 * At a million entries most of this code runs for a few milliseconds before it is compiled: so few loops, and no more in them
 * than must be.
 *
 * Guarantee: after `ObjectIndex.finishLoad` the index is as if the entries had been inserted one by one. Until then nothing else
 * may be asked of it. Memory meanwhile: about a byte an entry.
 */
import { type IndexBuckets, KNOWN_MIN, PAGE_BITS_MAX, SLOT_BITS, SLOTS } from './index-buckets.js'
import {
  HOME_BITS,
  HOME_OFFSETS,
  hashOf,
  JUMP_BITS,
  OFFSETS,
  TAG_OFFSETS,
} from './index-offsets.js'
import type { IndexZones } from './index-zones.js'

const HOME_MASK = (1 << HOME_BITS) - 1
const JUMP_MASK = (1 << JUMP_BITS) - 1
const KNOWN_MASK = (1 << KNOWN_MIN) - 1
const LATE_WORDS = 3
const BATCH = 1024
/** A table of so many slots, 8 MiB, is written to at once: a processor's caches hold it. */
export const DIRECT_SLOTS_MAX = 2 ** 21
/** Slots of a part of the table: a quarter of a megabyte, which the processor's caches and its table of pages hold. */
const PART_BITS = 16
/** What is written to a part at once, more or less. */
const PART_ENTRIES = 4096
const PART_WORDS = 2 * PART_ENTRIES
/** Entries that are late at first, of all: a little more than there are as a rule. */
const LATE_SHARE = 1 / 32
/** An entry that is late pushes out so many others in a row, at the mean. */
const STEPS_MEAN_MAX = 32

export class IndexLoader {
  /** What is to be entered next, as `enter` says: columns, as long as `hold` was asked for. */
  places = new Int32Array(BATCH)
  tags = new Int32Array(BATCH)
  /** As `pageOf` gives them. */
  pages = new Int32Array(BATCH)
  /** Entries that came. */
  #entered = 0
  readonly #buckets: IndexBuckets
  readonly #zones: IndexZones
  /** Entries of each bucket; a few more zeros, to be read 32 at a time. */
  #counts = new Uint8Array(0)
  /** The slot behind the last bucket: for what has no slot. */
  #nowhere = 0
  /** Whether what is to be written is collected first. */
  #isCollected = false
  /** By part of the table: slots with what is to be written there, and how many they are. */
  #writes = new Int32Array(0)
  #writeCounts = new Int32Array(0)
  /** Place, tag (as much of it as the table keeps) and page of each entry that found no room. */
  #late = new Int32Array(0)
  lateCount = 0
  /** So many more may be pushed out; -1: nobody has looked yet. */
  #steps = -1
  #random = 0x2545f491 | 0
  #told = 0
  #pageMax = 0

  /** The buckets are empty. */
  constructor(
    buckets: IndexBuckets,
    zones: IndexZones,
    private readonly directSlotsMax = DIRECT_SLOTS_MAX,
  ) {
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
    buckets.reserve(this.#told)
    buckets.admit(this.#pageMax)
    this.#counts = new Uint8Array((buckets.buckets + 31) & ~31)
    this.#nowhere = buckets.buckets * SLOTS
    this.#isCollected = this.#nowhere > this.directSlotsMax
    const parts = this.#isCollected ? (this.#nowhere >>> PART_BITS) + 1 : 0
    this.#writeCounts = new Int32Array(parts)
    this.#writes = new Int32Array(parts * PART_WORDS)
    this.#late = new Int32Array((Math.ceil(this.#told * LATE_SHARE) + BATCH + 1) * LATE_WORDS)
  }

  /** What the column of pages is to have for a locator that was told. */
  pageOf(locator: number): number {
    return this.#zones.pageOf(locator)
  }

  /** Makes the columns long enough for so many entries; what was in them is lost. */
  hold(count: number): void {
    if (count <= this.places.length) return
    this.places = new Int32Array(count)
    this.tags = new Int32Array(count)
    this.pages = new Int32Array(count)
  }

  /** Enters the first `count` of the columns. */
  enter(count: number): void {
    this.#entered += count
    for (let from = 0; from < count; from += BATCH) {
      this.#enterBatch(from, count - from < BATCH ? count : from + BATCH)
      if (this.#isCollected) this.#write(PART_ENTRIES - BATCH)
    }
  }

  /**
   * Enters `from` to `end` of the columns, BATCH at most. What is decided by chance for each entry is calculated, not branched upon: no processor can predict it,
   * and the compiler would begin again with each branch that was never taken before.
   */
  #enterBatch(from: number, end: number): void {
    const { places, tags, pages } = this
    const counts = this.#counts
    const writes = this.#writes
    const writeCounts = this.#writeCounts
    const nowhere = this.#nowhere
    const isCollected = this.#isCollected
    const { entries, level, split, mask, keptLow, keptHigh, known, plane } = this.#buckets
    // Bits of the tag in an entry: of a bucket that is not split, and how many more of one that is.
    const bits = widthOf(keptLow, level)
    const bitsMore = widthOf(keptHigh, level + 1) - bits
    const isInPlane = keptLow < known || keptHigh < known
    if ((this.lateCount + end - from + 1) * LATE_WORDS > this.#late.length) this.#widenLate()
    const late = this.#late
    let lateAt = this.lateCount * LATE_WORDS
    for (let i = from; i < end; i++) {
      const place = places[i]!
      const tag = tags[i]!
      const page = pages[i]!
      const jump = place >>> HOME_BITS
      const hash = hashOf(place, tag)
      const hash2 = hash ^ OFFSETS[jump]!
      // As `locate` of the buckets.
      const low = hash & mask
      const low2 = hash2 & mask
      const isSplit = (low - split) >>> 31
      const isSplit2 = (low2 - split) >>> 31
      const first = low | (hash & (mask + 1) & -isSplit)
      const second = low2 | (hash2 & (mask + 1) & -isSplit2)
      const countFirst = counts[first]!
      const countSecond = counts[second]!
      // All ones: the second.
      const choice = (countSecond - countFirst) >> 31
      const bucket = first ^ ((first ^ second) & choice)
      const before = countFirst ^ ((countFirst ^ countSecond) & choice)
      const isLate = before >>> SLOT_BITS
      counts[bucket] = before + 1 - isLate
      late[lateAt] = place
      late[lateAt + 1] = tag
      late[lateAt + 2] = page
      lateAt += LATE_WORDS * isLate
      const more = isSplit ^ ((isSplit ^ isSplit2) & choice)
      const ours = hash ^ ((hash ^ hash2) & choice)
      const width = bits + (bitsMore & -more)
      const rest = (ours >>> (HOME_BITS + level + more)) & ((1 << width) - 1)
      const at = isLate === 0 ? bucket * SLOTS + before : nowhere
      const entry = (((rest << JUMP_BITS) | jump) << (PAGE_BITS_MAX - width)) | page
      if (isInPlane) plane[at] = ours >>> HOME_BITS
      if (isCollected) {
        const part = at >>> PART_BITS
        const writeAt = part * PART_WORDS + writeCounts[part]! * 2
        writeCounts[part]!++
        writes[writeAt] = at
        writes[writeAt + 1] = entry
      } else entries[at] = entry
    }
    this.lateCount = lateAt / LATE_WORDS
  }

  /** Writes to the parts of the table for which more than this waits to be written. */
  #write(most: number): void {
    const { entries } = this.#buckets
    const writes = this.#writes
    const writeCounts = this.#writeCounts
    for (let part = 0; part < writeCounts.length; part++) {
      if (writeCounts[part]! <= most) continue
      const begin = part * PART_WORDS
      const end = begin + writeCounts[part]! * 2
      for (let at = begin; at < end; at += 2) entries[writes[at]!] = writes[at + 1]!
      writeCounts[part] = 0
    }
  }

  /**
   * Takes the last of the late, puts each into its second bucket in the place of an entry that has room elsewhere, or of any,
   * and lets that one wait. (Cuckoo hashing, a step of each walk at a time.)
   */
  #pushOut(count: number): void {
    const { places, tags, pages } = this
    const late = this.#late
    const counts = this.#counts
    const { entries, level, split, mask, keptLow, keptHigh } = this.#buckets
    const bits = widthOf(keptLow, level)
    const bitsMore = widthOf(keptHigh, level + 1) - bits
    let state = this.#random
    this.lateCount -= count
    let lateAt = this.lateCount * LATE_WORDS
    for (let i = 0; i < count; i++, lateAt += LATE_WORDS) {
      const jump = late[lateAt]! >>> HOME_BITS
      const hash = hashOf(late[lateAt]!, late[lateAt + 1]!) ^ OFFSETS[jump]!
      const low = hash & mask
      const isSplit = (low - split) >>> 31
      const bucket = low | (hash & (mask + 1) & -isSplit)
      const shift = HOME_BITS + level + isSplit
      const first = bucket * SLOTS
      const width = bits + (bitsMore & -isSplit)
      const pageBits = PAGE_BITS_MAX - width
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      let at = first
      for (let slot = state >>> 8; slot < (state >>> 8) + SLOTS; slot++) {
        at = first + (slot & (SLOTS - 1))
        const kept = entries[at]! >>> pageBits
        const hashOut = (((kept >>> JUMP_BITS) << shift) | bucket) ^ OFFSETS[kept & JUMP_MASK]!
        const lowOut = hashOut & mask
        const other = lowOut | (hashOut & (mask + 1) & ((lowOut - split) >> 31))
        if (counts[other]! < SLOTS) break
      }
      const out = entries[at]!
      const rest = (hash >>> shift) & ((1 << width) - 1)
      entries[at] = (((rest << JUMP_BITS) | jump) << pageBits) | late[lateAt + 2]!
      const kept = out >>> pageBits
      const hashOut = ((kept >>> JUMP_BITS) << shift) | bucket
      places[i] = (hashOut & HOME_MASK) | ((kept & JUMP_MASK) << HOME_BITS)
      tags[i] = hashOut >>> HOME_BITS
      pages[i] = out & ((1 << pageBits) - 1)
    }
    this.#random = state
  }

  #widenLate(): void {
    const wider = new Int32Array(this.#late.length * 2 + BATCH * LATE_WORDS)
    wider.set(this.#late)
    this.#late = wider
  }

  /** When all entries have come: finds room for some of the late. False when nothing is left to do, but `close`. */
  settleSome(): boolean {
    if (this.#steps < 0) this.#beginSteps()
    if (this.#steps <= 0 || this.lateCount === 0) return false
    const count = this.lateCount < BATCH ? this.lateCount : BATCH
    this.#steps = this.#steps > count ? this.#steps - count : 0
    if (this.#isCollected) this.#write(0)
    this.#pushOut(count)
    this.#enterBatch(0, count)
    return true
  }

  #beginSteps(): void {
    const { keptLow, keptHigh, known } = this.#buckets
    // With a plane, what is pushed out is more than is in an entry.
    const isInPlane = keptLow < known || keptHigh < known
    this.#steps = isInPlane ? 0 : this.lateCount * STEPS_MEAN_MAX
  }

  /** After the last entry: the buckets know what is in them, but for what is late for good. */
  close(): void {
    while (this.settleSome());
    if (this.#isCollected) this.#write(0)
    this.#buckets.entries[this.#nowhere] = 0
    this.#buckets.count(this.#counts, this.#entered - this.lateCount)
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
}

/** Bits of a tag in an entry. */
function widthOf(kept: number, depth: number): number {
  return kept > depth ? kept - depth : 0
}

/** Whether the index may take one key's entry for the other's: what it keeps of tags at the least is the same, and the buckets. */
export function areAlike(place: number, tag: number, place2: number, tag2: number): boolean {
  const jump = place >>> HOME_BITS
  if (place2 >>> HOME_BITS !== jump) return false
  const homes = (place ^ place2) & HOME_MASK
  const tags = (tag ^ tag2) & KNOWN_MASK
  return (
    (homes === 0 && tags === 0) ||
    (homes === HOME_OFFSETS[jump] && tags === (TAG_OFFSETS[jump]! & KNOWN_MASK))
  )
}
