/**
 * The index: for each object, where its page is. 32 bits an object and some 3 %, in one typed array; fewer than eight million
 * objects now and then 3 % more, which makes inserts cheap.
 *
 * It knows 36 bits of a key (key-hash.ts): `place` and `tag`, 18 bits each. It keeps fewer, so `find` gives candidates: the
 * page tells whether the key is there. At ten million objects of 128 bytes one search in a hundred for a key that is not
 * there has a candidate.
 *
 * Zones are opened and dropped as a whole. Dropping costs the same whatever was in the zone: its entries are stale from then
 * on, are never reported, and give their slots to new ones; a hand that looks at a bucket with each insert finds the rest.
 *
 * Guarantees: `find` reports every entry of a live zone that was inserted with the same place and tag, and was not removed;
 * nothing here allocates, but in the rare moments when the spill or the plane grows; one thread.
 * How entries are laid out is in index-buckets.ts, how room is made for them in index-placer.ts.
 */
import { IndexBuckets, PAGE_BITS_MAX, SLOTS } from './index-buckets.js'
import { DIRECT_SLOTS_MAX, IndexLoader } from './index-loader.js'
import type { IndexMemory } from './index-memory.js'
import { HOME_BITS, hashOf, JUMP_BITS, OFFSETS } from './index-offsets.js'
import { IndexPlacer } from './index-placer.js'
import { IndexSpill } from './index-spill.js'
import { IndexZones } from './index-zones.js'
import { SLOTS_MAX } from './size-classes.js'

/** Dropped zones whose ids may wait for the hand, more than this and `openZone` has to wait for it. */
const WAITING_ZONES = 64
/** A round of the hand takes at most so many openings of zones. */
const ROUND_OPENINGS = 32

export interface ObjectIndexOptions {
  /** Of 4 KiB, page 0 of a zone among them. */
  readonly pagesPerZone: number
  /** Of the device: so many may be open at once. */
  readonly zones: number
}

export class ObjectIndex {
  /** Locators that the last `find` gave. */
  found = new Int32Array(2 * SLOTS)
  /** By candidate: its slot of the table (-1: it was spilled), and how many bits the page has in that. */
  #slotsFound = new Int32Array(2 * SLOTS)
  #bitsFound = new Int32Array(2 * SLOTS)
  readonly #buckets: IndexBuckets
  readonly #zones: IndexZones
  readonly #spill = new IndexSpill()
  readonly #placer: IndexPlacer
  #hand = 0
  /** The last `#seek`: a slot of the table, or an entry of the spill. */
  #at = 0
  #bucket = 0
  #isSpilled = false
  /** Of the last `findFirst`: the other bucket, and what is in its first slot. */
  #second = 0
  #early = 0

  /** Throws a RangeError when there are more than 2^26 pages: their locators would not fit an entry. */
  constructor({ pagesPerZone, zones }: ObjectIndexOptions) {
    const ids = Math.min(zones + 1 + WAITING_ZONES, Math.floor(2 ** PAGE_BITS_MAX / pagesPerZone))
    if (!(pagesPerZone >= 2) || !(zones >= 1) || ids < zones + 1) {
      throw new RangeError(
        `An index of ${zones} zones of ${pagesPerZone} pages: allowed are 2 and more pages a zone, 1 and more zones, and ` +
          `(zones + 1) x pages up to ${2 ** PAGE_BITS_MAX}.`,
      )
    }
    this.#zones = new IndexZones(pagesPerZone, ids)
    this.#buckets = new IndexBuckets(pagesPerZone * zones * SLOTS_MAX)
    this.#placer = new IndexPlacer(this.#buckets, this.#zones, this.#spill)
  }

  /** Objects in live zones. */
  get entries(): number {
    return this.#zones.entries
  }

  /** Objects in the zone; 0 when it is not open. */
  entriesOf(vzone: number): number {
    return this.#zones.entriesOf(vzone)
  }

  /** Slots of the table, those of stale entries and empty ones among them. */
  get slots(): number {
    return this.#buckets.buckets * SLOTS
  }

  memoryBytes(): IndexMemory {
    const { entries, states, plane } = this.#buckets.memoryBytes
    const zones = this.#zones.memoryBytes
    const spill = this.#spill.memoryBytes + 3 * this.found.byteLength
    return { entries, states, plane, zones, spill, total: entries + states + plane + zones + spill }
  }

  /** The smallest id that no entry names. The first is 1. Throws a RangeError when more zones are open than there are. */
  openZone(): number {
    if (this.#zones.dropped > 0) this.#clean(Math.ceil(this.#buckets.buckets / ROUND_OPENINGS))
    let zone = this.#zones.open()
    if (zone < 0 && this.#zones.dropped > 0) {
      this.#clean(this.#buckets.buckets)
      zone = this.#zones.open()
    }
    if (zone < 0) throw new RangeError('All zones of the index are open: drop one first.')
    return zone
  }

  /** The zone's entries are gone, all at once. */
  dropZone(vzone: number): void {
    this.#zones.drop(vzone)
  }

  /** How many candidates there are; their locators are in `found`. */
  find(place: number, tag: number): number {
    return this.findMore(place, tag, this.findFirst(place, tag))
  }

  /** As `find`, of the first bucket, which has most objects. `findMore` has to follow if none of these is it. */
  findFirst(place: number, tag: number): number {
    const buckets = this.#buckets
    const hash = hashOf(place, tag)
    const jump = place >>> HOME_BITS
    const bucket = buckets.locate(hash)
    const second = buckets.locate(hash ^ OFFSETS[jump]!)
    this.#second = second
    // Memory is asked for the second bucket while the first is still on its way.
    this.#early = buckets.entries[second * SLOTS]!
    return this.#probe(bucket, hash, jump, buckets.entries[bucket * SLOTS]!, 0)
  }

  /** Adds those of the second bucket, and what was spilled, to the `count` that `findFirst` gave. */
  findMore(place: number, tag: number, count: number): number {
    const hash = hashOf(place, tag)
    const jump = place >>> HOME_BITS
    const all = this.#probe(this.#second, hash ^ OFFSETS[jump]!, jump, this.#early, count)
    return this.#spill.count === 0 ? all : this.#probeSpill(hash, jump, all)
  }

  /** `early`: what is in the bucket's first slot. */
  #probe(bucket: number, hash: number, jump: number, early: number, count: number): number {
    const buckets = this.#buckets
    const { entries, keptLow } = buckets
    const splits = buckets.splitsOf(bucket)
    const depth = buckets.level + splits
    let kept = keptLow + (buckets.keptHigh - keptLow) * splits
    if (buckets.lagging > 0) kept += buckets.lagOf(bucket)
    const bits = kept > depth ? kept - depth : 0
    const shift = PAGE_BITS_MAX - bits
    const word = (((hash >>> (HOME_BITS + depth)) & ((1 << bits) - 1)) << JUMP_BITS) | jump
    const at = bucket * SLOTS
    let found = count
    if (early >>> shift === word) found = this.#take(at, shift, kept, hash, found)
    for (let i = at + 1; i < at + SLOTS; i += 3) {
      if (entries[i]! >>> shift === word) found = this.#take(i, shift, kept, hash, found)
      if (entries[i + 1]! >>> shift === word) found = this.#take(i + 1, shift, kept, hash, found)
      if (entries[i + 2]! >>> shift === word) found = this.#take(i + 2, shift, kept, hash, found)
    }
    return found
  }

  /** A candidate, unless the slot is empty, the tag is another beyond the bits in the entry, or the zone was dropped. */
  #take(at: number, pageBits: number, kept: number, hash: number, count: number): number {
    const page = this.#buckets.entries[at]! & ((1 << pageBits) - 1)
    if (page === 0 || this.#buckets.isOther(at, kept, hash)) return count
    if (this.#zones.isStale(page)) return count
    this.found[count] = this.#zones.locatorOf(page)
    this.#slotsFound[count] = at
    this.#bitsFound[count] = pageBits
    return count + 1
  }

  #probeSpill(hash: number, jump: number, count: number): number {
    const spill = this.#spill
    let found = count
    for (let i = 0; i < spill.count; i++) {
      if (!this.#isSpilledOf(i, hash, jump)) continue
      if (this.#zones.isStale(spill.pageOf(i))) continue
      this.#slotsFound[found] = -1
      this.found[found++] = this.#zones.locatorOf(spill.pageOf(i))
    }
    return found
  }

  #isSpilledOf(i: number, hash: number, jump: number): boolean {
    const spill = this.#spill
    return spill.matches(i, hash, jump) || spill.matches(i, hash ^ OFFSETS[jump]!, jump)
  }

  /**
   * False when nothing was inserted: the locator is not of an open zone, or there is no room, because the table has as many
   * entries as the device has room for objects.
   */
  insert(place: number, tag: number, locator: number): boolean {
    const buckets = this.#buckets
    const zones = this.#zones
    if (!zones.isOpen(locator) || !this.#makeRoom()) return false
    if (zones.dropped > 0) this.#clean(zones.stale > buckets.stored >>> 5 ? 2 : 1)
    if (buckets.lagging > 0) buckets.settleSome(1)
    const page = zones.note(locator)
    buckets.admit(page)
    this.#place(place, tag, page)
    return true
  }

  #place(place: number, tag: number, page: number): void {
    this.#placer.place(hashOf(place, tag), place >>> HOME_BITS, page)
    if (this.#spill.count > 0) this.#relieve()
  }

  /** Whether one more entry will be taken; makes room for it. */
  get hasRoom(): boolean {
    return this.#makeRoom()
  }

  /** False when there is none. */
  #makeRoom(): boolean {
    const buckets = this.#buckets
    if (buckets.stored < buckets.limit) return true
    if (buckets.canGrow) this.#grow()
    else if (this.#isCrammed()) return false
    return true
  }

  /** Takes one entry out. False when there is none such. */
  remove(place: number, tag: number, locator: number): boolean {
    if (!this.#seek(place, tag, locator)) return false
    this.#zones.forget(this.#zones.pageOf(locator))
    if (this.#isSpilled) {
      this.#spill.remove(this.#at)
      return true
    }
    this.#buckets.entries[this.#at] = 0
    this.#buckets.setRoom(this.#bucket)
    this.#buckets.stored--
    return true
  }

  /** The same object lies elsewhere now. False when nothing was changed: it was not there, or `to` is not of an open zone. */
  replace(place: number, tag: number, from: number, to: number): boolean {
    const buckets = this.#buckets
    const zones = this.#zones
    if (!zones.isOpen(to) || !this.#seek(place, tag, from)) return false
    const page = zones.note(to)
    zones.forget(zones.pageOf(from))
    buckets.admit(page)
    if (this.#isSpilled) {
      this.#spill.setPage(this.#at, page)
      return true
    }
    buckets.setPage(this.#at, page)
    return true
  }

  /** As `replace`, without a search: of the `nth` candidate of the `find` just before, the only one with its locator. */
  replaceFound(place: number, tag: number, nth: number, to: number): boolean {
    const buckets = this.#buckets
    const zones = this.#zones
    const at = this.#slotsFound[nth]!
    if (at < 0) return this.replace(place, tag, this.found[nth]!, to)
    if (!zones.isOpen(to)) return false
    const bits = this.#bitsFound[nth]!
    const entry = buckets.entries[at]!
    const page = zones.note(to)
    zones.forget(entry & ((1 << bits) - 1))
    buckets.admit(page)
    // The page may have no room before the bucket is up to date.
    if (buckets.lagging > 0) buckets.setPage(at, page)
    else buckets.entries[at] = ((entry >>> bits) << bits) | page
    return true
  }

  /**
   * Where the entry is. Of several that may be meant the one is taken of which most is known: another, of which less is known,
   * may be of another key in the same page.
   */
  #seek(place: number, tag: number, locator: number): boolean {
    const page = this.#zones.isOpen(locator) ? this.#zones.pageOf(locator) : 0
    if (page === 0) return false
    const hash = hashOf(place, tag)
    const jump = place >>> HOME_BITS
    let known = this.#seekIn(hash, jump, page, 0)
    known = this.#seekIn(hash ^ OFFSETS[jump]!, jump, page, known)
    const spill = this.#spill
    for (let i = 0; i < spill.count; i++) {
      if (spill.knownOf(i) <= known || spill.pageOf(i) !== page) continue
      if (!this.#isSpilledOf(i, hash, jump)) continue
      known = spill.knownOf(i)
      this.#isSpilled = true
      this.#at = i
    }
    return known > 0
  }

  /** Tag bits that are known of the entry in this bucket, if they are more than `known`. */
  #seekIn(hash: number, jump: number, page: number, known: number): number {
    const buckets = this.#buckets
    const bucket = buckets.locate(hash)
    buckets.look(bucket)
    const knownHere = buckets.knownHere()
    const word = buckets.word(hash, jump, page)
    if (knownHere <= known || word === 0) return known
    const end = (bucket + 1) * SLOTS
    for (let at = end - SLOTS; at < end; at++) {
      if (buckets.entries[at] !== word) continue
      if (buckets.isOther(at, buckets.kept, hash)) continue
      this.#isSpilled = false
      this.#at = at
      this.#bucket = bucket
      return knownHere
    }
    return known
  }

  /**
   * To enter very many at once; `finishLoad` has to follow. Only for an index in which nothing is. A table of more slots than
   * `directSlotsMax` is written part by part.
   */
  beginLoad(directSlotsMax = DIRECT_SLOTS_MAX): IndexLoader {
    if (this.#buckets.stored + this.#spill.count > 0) throw new Error('a load into a full index')
    return new IndexLoader(this.#buckets, this.#zones, directSlotsMax)
  }

  /** What there is no room for is left out, as by `insert`. */
  finishLoad(loader: IndexLoader): void {
    loader.close()
    const { lateCount } = loader
    for (let i = 0; i < lateCount; i++) {
      const page = loader.latePage(i)
      if (!this.#makeRoom()) this.#zones.forget(page)
      else this.#place(loader.latePlace(i), loader.lateTag(i), page)
    }
  }

  #isCrammed(): boolean {
    const slots = this.#buckets.buckets * SLOTS
    return this.#buckets.stored >= slots - (slots >>> 6)
  }

  #grow(): void {
    this.#buckets.grow()
    if (this.#spill.count > 0) this.#placer.unspill()
  }

  /** More room because of what was spilled, unless there is plenty: then the same hash is there too often, and room is no help. */
  #relieve(): void {
    if (this.found.length < 2 * SLOTS + this.#spill.count) this.#widenFound()
    const slots = this.#buckets.buckets * SLOTS
    if (this.#buckets.stored > slots - (slots >>> 4) && this.#buckets.canGrow) this.#grow()
  }

  #widenFound(): void {
    const length = this.found.length * 2
    this.found = new Int32Array(length)
    this.#slotsFound = new Int32Array(length)
    this.#bitsFound = new Int32Array(length)
  }

  /** Ends a round of the hand: with the spill. */
  #turnHand(): void {
    this.#hand = 0
    for (let i = this.#spill.count - 1; i >= 0; i--) {
      const page = this.#spill.pageOf(i)
      if (!this.#zones.isStale(page)) continue
      this.#spill.remove(i)
      this.#zones.forget(page)
    }
  }

  /** Takes stale entries out of the next buckets. */
  #clean(count: number): void {
    const buckets = this.#buckets
    for (let i = 0; i < count; i++) {
      const bucket = this.#hand
      this.#hand = bucket + 1
      if (bucket + 1 === buckets.buckets) this.#turnHand()
      buckets.look(bucket)
      const end = (bucket + 1) * SLOTS
      for (let at = end - SLOTS; at < end; at++) {
        const page = buckets.pageAt(at)
        // Of an empty slot it is 0, which is never stale.
        if (!this.#zones.isStale(page)) continue
        this.#zones.forget(page)
        buckets.entries[at] = 0
        buckets.setRoom(bucket)
        buckets.stored--
      }
    }
  }
}
