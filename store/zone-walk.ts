/**
 * Reads all pages of one zone and judges each: for `checkStore` (check.ts says what counts as damaged).
 *
 * A zone is a row of spans: the pages of a group whose index is whole, which says what each must be; pages where the index is
 * not, which say themselves what they are; and behind the last index the pages of a group that is still being written.
 */
import {
  type IndexReader,
  ITEM_MARKS,
  ITEM_NOTHING,
  ITEM_RUN,
  indexPagesFor,
  readHashes,
  readIndex,
} from './group-index.js'
import { KeyHash } from './key-hash.js'
import { KIND_MARKS, KIND_RUN, PAGE_BYTES } from './layout.js'
import type { MarkBook } from './mark-book.js'
import { PageRecords } from './page-records.js'
import { sequenceOf, usedCount } from './slab.js'
import type { ZoneHeader } from './zone-header.js'
import type { ScannedGroup, TailPage, ZoneScanner } from './zone-scan.js'

export interface WalkedZone {
  readonly records: number
  /** Neither deleted, nor written anew, nor past their deadline, nor lost. */
  readonly live: number
  /** Pages with marks, which say that records of other zones are dead. */
  readonly marksPages: number
  /** Of the records that were read, ms since the epoch; Infinity when one has none, null without records. */
  readonly lastDeadlineMs: number | null
  /** Page numbers within the zone, rising. */
  readonly damagedPages: readonly number[]
}

/** What an index says of pages: a slab or run of so many records, or marks (records -1). */
interface Expected {
  readonly pages: number
  readonly records: number
  /** Of the keys of its records, in their order. */
  readonly places: Int32Array
  readonly tags: Int32Array
}

const NO_HASHES = new Int32Array(0)

interface Span {
  readonly from: number
  readonly end: number
  /** By first page; null: nobody knows. */
  readonly expected: ReadonlyMap<number, Expected> | null
  /** A restart finds what is in it. */
  readonly isFound: boolean
}

export class ZoneWalker {
  #records = 0
  #live = 0
  #marksPages = 0
  #lastDeadlineMs = Number.NEGATIVE_INFINITY
  readonly #damaged = new Set<number>()
  #physical = 0
  #sequence = -1
  #keys = new KeyHash(0, 0)
  readonly #each = new PageRecords()
  /** What is behind the last index was written later than that. */
  #tailSequence = 0

  constructor(
    private readonly scanner: ZoneScanner,
    private readonly marks: MarkBook,
    private readonly nowMs: number,
    private readonly pagesPerZone: number,
    private readonly onPages: (pages: number) => void,
  ) {}

  get result(): WalkedZone {
    const last = this.#lastDeadlineMs
    return {
      records: this.#records,
      live: this.#live,
      marksPages: this.#marksPages,
      lastDeadlineMs: last === Number.NEGATIVE_INFINITY ? null : last,
      damagedPages: [...this.#damaged].sort((a, b) => a - b),
    }
  }

  /** Without a header nobody finds what is in the zone, but its pages are looked at all the same. Rejects when the device does. */
  async walk(physical: number, header: ZoneHeader | null, pages: number): Promise<void> {
    this.#physical = physical
    if (header === null) {
      this.#damaged.add(0)
      await this.#lost({ from: 1, end: pages, expected: null, isFound: false })
      return
    }
    this.#sequence = header.sequence
    this.#keys = new KeyHash(...header.identity.seeds)
    const { groups, tailPage } = await this.scanner.scan(physical, header, pages)
    let from = 1
    for (const group of groups) {
      const { trailer } = group
      await this.#lost({ from, end: trailer.firstPage, expected: null, isFound: false })
      const end = trailer.trailerPage - trailer.indexPages + 1
      const expected = expectedOf(group)
      await this.#indexed({ from: trailer.firstPage, end, expected, isFound: true })
      from = trailer.trailerPage + 1
      this.#tailSequence = trailer.nextSequence
    }
    await this.#lost({ from, end: tailPage, expected: null, isFound: false })
    await this.#tail({ from: tailPage, end: pages, expected: null, isFound: true })
  }

  /** Pages that an index speaks of. */
  async #indexed(span: Span): Promise<void> {
    const seen = new Set<number>()
    for await (const found of this.#pages(span)) {
      const expected = span.expected!.get(found.page)
      if (expected === undefined) continue
      const isIt = found.pages === expected.pages && recordsIn(found) === expected.records
      if (found.kind === 0 || !isIt || !this.#hasKeys(found, expected)) continue
      seen.add(found.page)
      this.#count(found, true)
    }
    for (const [page, { pages }] of span.expected!) {
      if (seen.has(page)) continue
      for (let each = page; each < page + pages; each++) this.#damaged.add(each)
    }
  }

  /** Whether it has the very records that its index speaks of: a slab of another page may be whole. */
  #hasKeys({ kind, bytes, base }: TailPage, { places, tags }: Expected): boolean {
    const each = this.#each
    each.begin(kind, bytes, base)
    while (each.next()) {
      this.#keys.hashIn(bytes, each.keyAt, each.keyBytes)
      const { place, tag } = this.#keys
      if (places[each.record] !== place || tags[each.record] !== tag) return false
    }
    return true
  }

  /** Pages of a group whose index is damaged, that index with them. */
  async #lost(span: Span): Promise<void> {
    for await (const found of this.#pages(span)) {
      if (found.kind === 0) this.#damaged.add(found.page)
      else this.#count(found, span.isFound)
    }
  }

  /** Pages behind the last index. */
  async #tail(span: Span): Promise<void> {
    const items: number[] = []
    const sequences = new Set<number>()
    let records = 0
    let strange: TailPage[] = []
    const judge = (end: number): void => {
      const [first] = strange
      if (first === undefined) return
      const isCutOff = this.#isIndexBegun(first, end - first.page, items, records)
      if (!isCutOff) for (const { page } of strange) this.#damaged.add(page)
      items.push(...strange.map(() => ITEM_NOTHING))
      strange = []
    }
    for await (const found of this.#pages(span)) {
      if (found.kind === 0) {
        strange.push({
          ...found,
          bytes: found.bytes.slice(found.base, found.base + PAGE_BYTES),
          base: 0,
        })
        continue
      }
      judge(found.page)
      const sequence = sequenceOf(found.bytes, found.base)
      // No two pages of a store have one sequence: this is a page of another place.
      if (sequence < this.#tailSequence || sequences.has(sequence)) this.#damaged.add(found.page)
      sequences.add(sequence)
      this.#count(found, true)
      const pageRecords = recordsIn(found)
      records += Math.max(0, pageRecords)
      items.push(...itemOf(found, pageRecords))
    }
    judge(span.end)
  }

  /**
   * Whether pages that say nothing of themselves are the beginning of an index: it would begin with what was found before it,
   * and must be longer than what is there.
   */
  #isIndexBegun(
    first: TailPage,
    pages: number,
    items: readonly number[],
    records: number,
  ): boolean {
    const isFull = first.page + pages === this.pagesPerZone
    if (items.length === 0 || isFull || pages >= indexPagesFor(items.length, records)) return false
    return items.slice(0, PAGE_BYTES).every((item, at) => first.bytes[at] === item)
  }

  async *#pages({ from, end }: Span): AsyncGenerator<TailPage> {
    const zone = { physical: this.#physical, tailPage: from, pages: end }
    for await (const page of this.scanner.tail(zone)) {
      yield page
      this.onPages(page.page + page.pages)
    }
  }

  #count({ kind, bytes, base, page }: TailPage, isFound: boolean): void {
    if (kind === KIND_MARKS) {
      this.#marksPages++
      return
    }
    const each = this.#each
    each.begin(kind, bytes, base)
    while (each.next()) this.#countRecord(each.deadlineMs, page, each.record, isFound)
  }

  #countRecord(deadlineMs: number, page: number, record: number, isFound: boolean): void {
    this.#records++
    this.#lastDeadlineMs = Math.max(this.#lastDeadlineMs, deadlineMs)
    if (!isFound || deadlineMs <= this.nowMs) return
    if (!this.marks.isDead(this.#sequence, page, record)) this.#live++
  }
}

function expectedOf({ index, trailer }: ScannedGroup): Map<number, Expected> {
  const expected = new Map<number, Expected>()
  const places = new Int32Array(trailer.records)
  const tags = new Int32Array(trailer.records)
  readHashes(index, trailer, places, tags)
  let first = 0
  const reader: IndexReader = {
    onPage: (page, pages, records) => {
      const end = first + records
      const hashes = { places: places.subarray(first, end), tags: tags.subarray(first, end) }
      expected.set(page, { pages, records, ...hashes })
      first = end
    },
    onMarks: page =>
      expected.set(page, { pages: 1, records: -1, places: NO_HASHES, tags: NO_HASHES }),
  }
  readIndex(index, trailer, reader)
  return expected
}

/** As in {@link Expected}. */
function recordsIn({ kind, bytes, base }: TailPage): number {
  if (kind === KIND_MARKS) return -1
  return kind === KIND_RUN ? 1 : usedCount(bytes, base)
}

/** What an index has of a page. */
function itemOf({ kind, pages }: TailPage, records: number): number[] {
  if (kind === KIND_MARKS) return [ITEM_MARKS]
  if (kind !== KIND_RUN) return [records]
  return [ITEM_RUN, pages & 255, (pages >>> 8) & 255, (pages >>> 16) & 255, pages >>> 24]
}
