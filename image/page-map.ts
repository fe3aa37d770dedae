/**
 * Copies what changed of a page map (`pages`) while others go on changing it, such that each page of the copy is one that was.
 *
 * A page changes by: bytes, word, mark of the word's block, kind, mark of the kind's block. A kind is taken away before its word
 * changes (in regions; in place a fill follows a fill). So:
 *   1. take the marks, copy the kinds: whatever kind is seen, its word is stored and its word's block is marked by now;
 *   2. take the marks of words, copy the words;
 *   3. look at the kinds again. A page that was a hole and is none stays one: whoever wrote it has not been told yet. One that
 *      has become a hole, or raw in place, may stay what it was: its word is as it was, and whoever changed it has not been told.
 *      One that has another kind now, with a word that may be the new one: once more.
 *   4. read the regions. A region has its slot of the tier before a page of it is there, and keeps it until a commit has none of
 *      its pages there; so the slot of every page that was seen in the tier is read now, and goes with the copy. Nobody marks it.
 */
import { PAGE_HOLE, PAGE_RAW, PAGES_HEADER_BYTES, REGION_BYTES } from '../ublk-native/index.js'
import type { DirtyBlocks } from './dirty.js'
import { BLOCK_BYTES, type StateLayout } from './layout.js'
import { isInTier } from './places.js'

export class PageMapCopier {
  readonly #kinds: Uint8Array
  /** Whether a page of the last copy is in the tier. */
  hasTiered = false
  /** Blocks of `pages` with a word in them, but no kind: from this one on. */
  readonly #wordsFrom: number

  /**
   * @param pages - the whole file, mapped
   * @param between - called between the steps
   */
  constructor(
    private readonly layout: StateLayout,
    private readonly pages: ArrayBuffer,
    private readonly dirty: DirtyBlocks,
    private readonly between: (step: string) => void,
  ) {
    this.#kinds = new Uint8Array(pages, layout.kindsAt, layout.pageCount)
    this.#wordsFrom = Math.ceil((layout.kindsAt + layout.pageCount) / BLOCK_BYTES)
  }

  /** The blocks that changed (counted from the first of `pages`), by number. Their marks are taken. */
  copy(): Map<number, Uint8Array> {
    const copies = new Map<number, Uint8Array>()
    const taken = new Set<number>()
    this.hasTiered = false
    this.dirty.take(0, taken)
    if (taken.size === 0) return copies
    this.between('taken')
    // A block of both kinds and words goes with either.
    for (let block = 0; block < this.#wordsFrom; block++)
      if (this.#hasWords(block)) taken.add(block)
    do {
      for (const block of taken) if (block < this.#wordsFrom) this.#copyKinds(block, copies)
      this.between('kinds')
      this.dirty.take(this.#wordsFrom, taken)
      for (const block of taken) if (this.#hasWords(block)) this.#copyWords(block, copies)
      this.between('words')
    } while (this.#missesSlots(taken, copies) || !this.#isStable(copies))
    for (const [block, copy] of copies) this.#copyRegions(block, copy)
    return copies
  }

  #hasWords(block: number): boolean {
    return (block + 1) * BLOCK_BYTES > this.layout.wordsAt
  }

  #target(block: number, copies: Map<number, Uint8Array>): Uint8Array {
    const copy = copies.get(block) ?? new Uint8Array(BLOCK_BYTES)
    copies.set(block, copy)
    return copy
  }

  /** Everything before the words. */
  #copyKinds(block: number, copies: Map<number, Uint8Array>): void {
    const at = block * BLOCK_BYTES
    const length = Math.min(BLOCK_BYTES, this.layout.wordsAt - at)
    if (length > 0) this.#target(block, copies).set(new Uint8Array(this.pages, at, length))
  }

  #copyWords(block: number, copies: Map<number, Uint8Array>): void {
    const at = block * BLOCK_BYTES
    const from = Math.max(at, this.layout.wordsAt)
    const to = Math.min(at + BLOCK_BYTES, this.layout.pagesBytes)
    const words = new Uint8Array(this.pages, from, to - from)
    this.#target(block, copies).set(words, from - at)
  }

  /** Whether the slot of a page in the tier is in a block that is not taken; then it is taken. */
  #missesSlots(taken: Set<number>, copies: ReadonlyMap<number, Uint8Array>): boolean {
    const { kindsAt, pagesAZone } = this.layout
    const before = taken.size
    let last = -1
    for (const [block, copy] of copies) {
      const [from, to] = this.layout.kindsIn(block)
      const shift = kindsAt - block * BLOCK_BYTES
      for (let page = from; page < to; page++) {
        const zone = Math.floor(page / pagesAZone)
        if (zone === last || !isInTier(copy[page + shift]!)) continue
        last = zone
        this.hasTiered = true
        taken.add(Math.floor((PAGES_HEADER_BYTES + zone * REGION_BYTES) / BLOCK_BYTES))
        taken.add(Math.floor((PAGES_HEADER_BYTES + (zone + 1) * REGION_BYTES - 1) / BLOCK_BYTES))
      }
    }
    return taken.size > before
  }

  /** Step 4. */
  #copyRegions(block: number, copy: Uint8Array): void {
    const at = block * BLOCK_BYTES
    const length = Math.min(BLOCK_BYTES, this.layout.kindsAt - at)
    if (length > 0) copy.set(new Uint8Array(this.pages, at, length))
  }

  /** Step 3. */
  #isStable(copies: ReadonlyMap<number, Uint8Array>): boolean {
    for (const [block, copy] of copies) {
      if (block >= this.#wordsFrom) continue
      const [from, to] = this.layout.kindsIn(block)
      const shift = this.layout.kindsAt - block * BLOCK_BYTES
      for (let page = from; page < to; page++) {
        const before = copy[page + shift]!
        const now = this.#kinds[page]!
        if (now === before || before === PAGE_HOLE || now === PAGE_HOLE) continue
        if (now !== PAGE_RAW || page >= this.layout.inPlacePages) return false
      }
    }
    return true
  }
}
