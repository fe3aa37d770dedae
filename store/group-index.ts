/**
 * The index of a group of pages, written behind them, from which a restart rebuilds the index in memory without reading
 * the pages.
 *
 * A zone is its header page, then groups. A group is some pages (slabs, runs, marks) and the index of them: for each page one
 * byte (records of a slab, or what it is instead), then for each record the 36 bits of its key's hash, 4.5 bytes. The last 64
 * bytes of the index are its trailer; it names the trailer before it, so from the last one all are found, and it has
 * the latest deadline of the zone so far, so that a zone that is past needs no other page.
 *
 * ```
 *   items      u8 each: 0 … 120 records of a slab; 253 nothing; 254 marks; 255 a run, of u32 pages that follow
 *   low words  u32 a record: place | tag << 18        high nibbles  4 bits a record: tag >>> 14
 *   trailer    u32 magic  u32 zone sequence  u32 first page  u32 page of this trailer  u32 page of the trailer before, 0: none
 *  (64 bytes)  u32 items bytes  u32 items  u32 records  u48 next page sequence  u48 latest deadline, 0: some have none
 *              u32 index pages  … u32 CRC-32 of everything before, at the very end
 * ```
 */
import { crc32 } from 'node:zlib'
import { PAGE_BYTES, readU32, readU48, writeU32, writeU48 } from './layout.js'

export const ITEM_NOTHING = 253
export const ITEM_MARKS = 254
export const ITEM_RUN = 255

const TRAILER_BYTES = 64
const TRAILER_MAGIC = 0x4947535a
/** Pages of a group with its index, unless a run makes it longer. */
export const GROUP_PAGES = 256

const FROM_END = {
  magic: 64,
  zoneSequence: 60,
  firstPage: 56,
  trailerPage: 52,
  previousTrailer: 48,
  itemBytes: 44,
  items: 40,
  records: 36,
  nextSequence: 32,
  lastDeadline: 26,
  indexPages: 20,
  crc: 4,
} as const

export interface GroupTrailer {
  readonly zoneSequence: number
  readonly firstPage: number
  readonly trailerPage: number
  /** 0: this is the zone's first group. */
  readonly previousTrailer: number
  readonly itemBytes: number
  readonly items: number
  readonly records: number
  readonly nextSequence: number
  /** Milliseconds since the epoch, of the whole zone so far; Infinity when a record has none. */
  readonly lastDeadlineMs: number
  readonly indexPages: number
}

/** Pages of an index of so many records in so many bytes of items. */
export function indexPagesFor(itemBytes: number, records: number): number {
  return Math.ceil((itemBytes + records * 4 + ((records + 1) >>> 1) + TRAILER_BYTES) / PAGE_BYTES)
}

/** Collects a group while it is written. */
export class GroupIndex {
  #items = new Uint8Array(GROUP_PAGES + 16)
  #low = new Uint32Array(1024)
  #high = new Uint8Array(1024)
  itemBytes = 0
  items = 0
  records = 0

  /** Index pages, if `moreItems` bytes and `moreRecords` were added. */
  pagesWith(moreItems: number, moreRecords: number): number {
    return indexPagesFor(this.itemBytes + moreItems, this.records + moreRecords)
  }

  addItem(item: number): void {
    if (this.itemBytes + 5 > this.#items.length) this.#items = widened(this.#items)
    this.#items[this.itemBytes++] = item
    this.items++
  }

  addRun(pages: number): void {
    this.addItem(ITEM_RUN)
    writeU32(this.#items, this.itemBytes, pages)
    this.itemBytes += 4
  }

  addRecord(place: number, tag: number): void {
    if (this.records === this.#low.length) {
      const wider = new Uint32Array(this.#low.length * 2)
      wider.set(this.#low)
      this.#low = wider
      this.#high = widened(this.#high)
    }
    this.#low[this.records] = place | (tag << 18)
    this.#high[this.records] = tag >>> 14
    this.records++
  }

  /** The pages of the index. The group is empty afterwards. */
  encode(
    trailer: Pick<
      GroupTrailer,
      'zoneSequence' | 'firstPage' | 'previousTrailer' | 'nextSequence' | 'lastDeadlineMs'
    >,
    firstIndexPage: number,
    indexPages: number,
  ): Uint8Array {
    const bytes = new Uint8Array(indexPages * PAGE_BYTES)
    bytes.set(this.#items.subarray(0, this.itemBytes))
    let at = this.itemBytes
    for (let record = 0; record < this.records; record++, at += 4) {
      writeU32(bytes, at, this.#low[record]! | 0)
    }
    for (let record = 0; record < this.records; record += 2, at++) {
      const second = record + 1 < this.records ? this.#high[record + 1]! : 0
      bytes[at] = this.#high[record]! | (second << 4)
    }
    const end = bytes.length
    writeU32(bytes, end - FROM_END.magic, TRAILER_MAGIC)
    writeU32(bytes, end - FROM_END.zoneSequence, trailer.zoneSequence | 0)
    writeU32(bytes, end - FROM_END.firstPage, trailer.firstPage)
    writeU32(bytes, end - FROM_END.trailerPage, firstIndexPage + indexPages - 1)
    writeU32(bytes, end - FROM_END.previousTrailer, trailer.previousTrailer)
    writeU32(bytes, end - FROM_END.itemBytes, this.itemBytes)
    writeU32(bytes, end - FROM_END.items, this.items)
    writeU32(bytes, end - FROM_END.records, this.records)
    writeU48(bytes, end - FROM_END.nextSequence, trailer.nextSequence)
    const last = trailer.lastDeadlineMs
    writeU48(bytes, end - FROM_END.lastDeadline, Number.isFinite(last) ? last : 0)
    writeU32(bytes, end - FROM_END.indexPages, indexPages)
    writeU32(bytes, end - FROM_END.crc, crc32(bytes.subarray(0, end - FROM_END.crc)) | 0)
    this.clear()
    return bytes
  }

  clear(): void {
    this.itemBytes = 0
    this.items = 0
    this.records = 0
  }

  get memoryBytes(): number {
    return this.#items.length + this.#low.byteLength + this.#high.length
  }
}

function widened(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const wider = new Uint8Array(bytes.length * 2)
  wider.set(bytes)
  return wider
}

/** The trailer at the end of the page that ends at `end`, if there is one; its checksum needs the whole index. */
export function readTrailer(bytes: Uint8Array, end: number): GroupTrailer | null {
  if (readU32(bytes, end - FROM_END.magic) !== TRAILER_MAGIC) return null
  return {
    zoneSequence: readU32(bytes, end - FROM_END.zoneSequence),
    firstPage: readU32(bytes, end - FROM_END.firstPage),
    trailerPage: readU32(bytes, end - FROM_END.trailerPage),
    previousTrailer: readU32(bytes, end - FROM_END.previousTrailer),
    itemBytes: readU32(bytes, end - FROM_END.itemBytes),
    items: readU32(bytes, end - FROM_END.items),
    records: readU32(bytes, end - FROM_END.records),
    nextSequence: readU48(bytes, end - FROM_END.nextSequence),
    lastDeadlineMs: readU48(bytes, end - FROM_END.lastDeadline) || Number.POSITIVE_INFINITY,
    indexPages: readU32(bytes, end - FROM_END.indexPages),
  }
}

/** Whether `bytes`, all pages of an index, are what was written. */
export function isWholeIndex(bytes: Uint8Array): boolean {
  const end = bytes.length
  return crc32(bytes.subarray(0, end - FROM_END.crc)) === readU32(bytes, end - FROM_END.crc)
}

/** What {@link readIndex} tells, in the order of the pages. */
export interface IndexReader {
  /** Called for each slab and run; `pages` is 1 for a slab. */
  onPage(page: number, pages: number, records: number): void
  onMarks(page: number): void
}

/** Goes through an index that has been checked with {@link isWholeIndex}. */
export function readIndex(bytes: Uint8Array, trailer: GroupTrailer, reader: IndexReader): void {
  let page = trailer.firstPage
  for (let at = 0; at < trailer.itemBytes; at++) {
    const item = bytes[at]!
    const isRun = item === ITEM_RUN
    const pages = isRun ? readU32(bytes, at + 1) : 1
    if (isRun) at += 4
    const records = isRun ? 1 : item >= ITEM_NOTHING ? 0 : item
    if (item === ITEM_MARKS) reader.onMarks(page)
    else if (item !== ITEM_NOTHING) reader.onPage(page, pages, records)
    page += pages
  }
}

/** Whether marks are among the pages. Sometimes it says so when there are none. */
export function mayHoldMarks(bytes: Uint8Array, { itemBytes }: GroupTrailer): boolean {
  return bytes.subarray(0, itemBytes).includes(ITEM_MARKS)
}

/** The slabs and runs of a group that have records, in the order of their pages, which is that of the hashes: columns. */
export class GroupPages {
  count = 0
  /** The first page of each in its zone, how many pages it has, and records. */
  pages = new Int32Array(GROUP_PAGES)
  lengths = new Int32Array(GROUP_PAGES)
  records = new Int32Array(GROUP_PAGES)

  /** Reads an index that has been checked with {@link isWholeIndex}. One loop: a restart has no time to compile more. */
  read(bytes: Uint8Array, { firstPage, itemBytes }: GroupTrailer): void {
    if (itemBytes > this.pages.length) this.#widen(itemBytes)
    const { pages, lengths, records } = this
    let page = firstPage
    let count = 0
    for (let at = 0; at < itemBytes; at++) {
      const item = bytes[at]!
      let length = 1
      let found = item < ITEM_NOTHING ? item : 0
      if (item === ITEM_RUN) {
        length = readU32(bytes, at + 1)
        at += 4
        found = 1
      }
      pages[count] = page
      lengths[count] = length
      records[count] = found
      if (found > 0) count++
      page += length
    }
    this.count = count
  }

  /** The same, of pages of which no index speaks yet. */
  take(found: readonly { page: number; pages: number; records: number }[]): void {
    if (found.length > this.pages.length) this.#widen(found.length)
    this.count = 0
    for (const { page, pages, records } of found) {
      if (records === 0) continue
      this.pages[this.count] = page
      this.lengths[this.count] = pages
      this.records[this.count++] = records
    }
  }

  #widen(count: number): void {
    this.pages = new Int32Array(count)
    this.lengths = new Int32Array(count)
    this.records = new Int32Array(count)
  }
}

/** Reads the hashes of a whole group to two columns. */
export function readHashes(
  bytes: Uint8Array,
  { itemBytes, records }: GroupTrailer,
  places: Int32Array,
  tags: Int32Array,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const highAt = itemBytes + records * 4
  for (let i = 0; i < records; i++) {
    const low = view.getUint32(itemBytes + i * 4, true)
    const high = (view.getUint8(highAt + (i >>> 1)) >>> ((i & 1) * 4)) & 15
    places[i] = low & 0x3ffff
    tags[i] = (low >>> 18) | (high << 14)
  }
}
