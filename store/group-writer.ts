/**
 * The group that a zone is writing: what will be in its index, and the pages of an index that is complete.
 */
import { GROUP_PAGES, GroupIndex, ITEM_MARKS } from './group-index.js'
import { PAGE_BYTES } from './layout.js'
import { SLOTS_MAX } from './size-classes.js'
import { AT_SLOTS, isUsed, usedCount } from './slab.js'
import { PAGE_EMPTY, PAGE_MARKS, PAGE_OTHER, PAGE_RUN, type Stage } from './stage.js'

export const FITS = 0
export const GROUP_IS_FULL = 1
export const ZONE_IS_FULL = 2

/** A run's item is the longest. */
const ITEM_BYTES_MAX = 5

export class GroupWriter {
  readonly #index = new GroupIndex()
  #firstPage = 1
  #previousTrailer = 0
  /** At most so many records and items are in pages of the stage that have not been absorbed. */
  #recordsAhead = 0
  #itemBytesAhead = 0
  #tail: Uint8Array | null = null
  #tailDone = 0

  /** The first group of a zone, or the one that a restart found. */
  begin(firstPage: number, previousTrailer: number): void {
    this.#index.clear()
    this.#firstPage = firstPage
    this.#previousTrailer = previousTrailer
    this.#recordsAhead = 0
    this.#itemBytesAhead = 0
    this.#tail = null
  }

  /** Whether pages with so many records can come at `page` of a zone, with the index behind them. */
  room(page: number, pagesPerZone: number, pages: number, records: number): number {
    const index = this.#index.pagesWith(
      this.#itemBytesAhead + ITEM_BYTES_MAX,
      this.#recordsAhead + records,
    )
    if (page + pages + index > pagesPerZone) return ZONE_IS_FULL
    const isFirst = page === this.#firstPage
    return isFirst || page + pages + index - this.#firstPage <= GROUP_PAGES ? FITS : GROUP_IS_FULL
  }

  /** Pages of the stage will be absorbed with at most so many records. */
  expect(records: number): void {
    this.#recordsAhead += records
    this.#itemBytesAhead += ITEM_BYTES_MAX
  }

  /** Adds complete pages of a stage. */
  absorb(stage: Stage, from: number, end: number): void {
    for (let page = from; page < end; page++) {
      const state = stage.states[page]!
      if (state === PAGE_OTHER || state === PAGE_EMPTY) continue
      if (state === PAGE_MARKS) this.#index.addItem(ITEM_MARKS)
      else if (state === PAGE_RUN) this.#absorbRun(stage, page, end)
      else this.#absorbSlab(stage, page)
    }
    this.#recordsAhead = 0
    this.#itemBytesAhead = 0
  }

  /** A run that did not come through a stage. */
  addRun(pages: number, place: number, tag: number): void {
    this.#index.addRun(pages)
    this.#index.addRecord(place, tag)
  }

  /** For a zone that a restart goes on with: its pages first, each with its records. */
  addRunItem(pages: number): void {
    this.#index.addRun(pages)
  }

  addItem(item: number): void {
    this.#index.addItem(item)
  }

  addRecord(place: number, tag: number): void {
    this.#index.addRecord(place, tag)
  }

  #absorbSlab(stage: Stage, page: number): void {
    const { places, tags, bytes } = stage
    const base = page * PAGE_BYTES
    this.#index.addItem(usedCount(bytes, base))
    for (let slot = 0; slot < bytes[base + AT_SLOTS]!; slot++) {
      if (!isUsed(bytes, base, slot)) continue
      this.#index.addRecord(places[page * SLOTS_MAX + slot]!, tags[page * SLOTS_MAX + slot]!)
    }
  }

  #absorbRun(stage: Stage, page: number, end: number): void {
    let pages = 1
    while (page + pages < end && stage.states[page + pages] === PAGE_OTHER) pages++
    this.addRun(pages, stage.places[page * SLOTS_MAX]!, stage.tags[page * SLOTS_MAX]!)
  }

  /** Ends the group at `page`. Its index is then the tail, of `pages` pages or what it takes. Gives its pages. */
  close(
    page: number,
    pages: number | null,
    zone: { zoneSequence: number; nextSequence: number; lastDeadlineMs: number },
  ): number {
    const indexPages = pages ?? this.#index.pagesWith(0, 0)
    const trailer = {
      ...zone,
      firstPage: this.#firstPage,
      previousTrailer: this.#previousTrailer,
    }
    this.#tail = this.#index.encode(trailer, page, indexPages)
    this.#tailDone = 0
    this.#previousTrailer = page + indexPages - 1
    this.#firstPage = page + indexPages
    return indexPages
  }

  /** Whether an index waits to be written before anything else. */
  get hasTail(): boolean {
    return this.#tail !== null
  }

  /** The tail's next page, or null: it is done. */
  get tailPage(): Uint8Array | null {
    const tail = this.#tail!
    if (this.#tailDone === tail.length) return null
    return tail.subarray(this.#tailDone, this.#tailDone + PAGE_BYTES)
  }

  tailPageWritten(): void {
    this.#tailDone += PAGE_BYTES
  }

  tailIsDone(): void {
    this.#tail = null
  }

  get memoryBytes(): number {
    return this.#index.memoryBytes + (this.#tail?.length ?? 0)
  }
}
