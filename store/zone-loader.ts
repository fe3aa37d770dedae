/**
 * Enters zones into the index and the tables after a restart, and hands those that are not full back to their writers.
 *
 * Marks come first, of all zones: what they name is dead and not entered. Then every zone is opened and tells the index how
 * many records it will get for each page; then come their hashes, from the indexes of groups; at last what lies behind the
 * last index of each zone, from the pages themselves.
 */
import type { Engine } from './engine.js'
import { ITEM_MARKS, ITEM_NOTHING, readHashes, readIndex } from './group-index.js'
import { areAlike } from './index-buckets.js'
import type { IndexLoader } from './index-loader.js'
import { KIND_MARKS, KIND_RUN, KIND_SLAB, PAGE_BYTES } from './layout.js'
import { type DeadRecords, MarkBook, type OwnMarks } from './mark-book.js'
import { RUN_HEADER_BYTES, runDeadline, runKeyBytes } from './run.js'
import { AT_SLOTS, deadlineOf, isUsed, keyBytesOf, sequenceOf, slotAt } from './slab.js'
import type { SharedContext } from './writer-context.js'
import type { ScannedGroup, ScannedZone, TailPage, ZoneScanner } from './zone-scan.js'
import { ZONE_SEALED } from './zones.js'

/** The number of a record in its page is a byte. */
const RECORDS_MAX = 256

/** A zone whose marks are known. */
export interface MarkedZone extends ScannedZone {
  readonly marks: OwnMarks
}

/** A zone that has been opened. */
export interface OpenedZone extends MarkedZone {
  readonly vzone: number
  /** The class that goes on writing it, or -1. */
  readonly resumedBy: number
}

export class ZoneLoader {
  readonly #book = new MarkBook()
  /** Of the records of the page at hand. */
  readonly #places = new Int32Array(RECORDS_MAX)
  readonly #tags = new Int32Array(RECORDS_MAX)

  constructor(
    private readonly scanner: ZoneScanner,
    private readonly engine: Engine,
    private readonly context: SharedContext,
  ) {}

  /** Of the zones that marks name. */
  get zoneSequenceMax(): number {
    return this.#book.zoneSequenceMax
  }

  async gatherMarks(zone: ScannedZone): Promise<MarkedZone> {
    return { ...zone, marks: await this.#book.gather(this.scanner, zone) }
  }

  /** Zones in the order of their sequences, when all marks have been gathered. */
  open(zone: MarkedZone, resumedBy: number, loader: IndexLoader): OpenedZone {
    const { zones, index, keeper, writers, pagesPerZone } = this.engine.parts
    const { header, physical, groups, marks } = zone
    const own = Math.min(header.lifetimeClass, writers.length - 1)
    const vzone = index.openZone()
    zones.open(vzone, physical, header.sequence, resumedBy >= 0 ? resumedBy : own)
    zones.ttlAboveMs[vzone] = header.ttlAboveMs
    zones.ttlUpToMs[vzone] = header.ttlUpToMs
    zones.marks[vzone] = marks.pages
    this.#seenDeadline(vzone, marks.lastDeadlineMs)
    zones.pagesUsed[vzone] = zone.pages
    // What its records are long is not in the indexes: as much as its pages hold.
    zones.liveBytes[vzone] = zone.pages * PAGE_BYTES
    keeper.look(vzone)
    const dead = this.#book.deadOf(header.sequence)
    const first = vzone * pagesPerZone
    for (const { trailer, index: bytes } of groups) {
      this.context.startAt(trailer.nextSequence)
      this.#seenDeadline(vzone, trailer.lastDeadlineMs)
      readIndex(bytes, trailer, {
        onPage: (page, pages, records) => {
          this.#noteRun(vzone, page, pages)
          const live = records - (dead === null ? 0 : dead.countIn(page, records))
          loader.tell(first + page, live)
          zones.records[vzone]! += records
          zones.liveRecords[vzone]! += live
        },
        onMarks() {},
      })
    }
    return { ...zone, vzone, resumedBy }
  }

  /** What the indexes of groups name. */
  enterGroups({ vzone, header, groups }: OpenedZone, loader: IndexLoader): void {
    const dead = this.#book.deadOf(header.sequence)
    for (const group of groups) this.#enterGroup(group, vzone, dead, loader)
  }

  #enterGroup(
    { index, trailer }: ScannedGroup,
    vzone: number,
    dead: DeadRecords | null,
    loader: IndexLoader,
  ): void {
    const places = this.#places
    const tags = this.#tags
    const first = vzone * this.engine.parts.pagesPerZone
    const view = new DataView(index.buffer, index.byteOffset, index.length)
    readIndex(index, trailer, {
      onPage: (page, _pages, records, record) => {
        readHashes(view, trailer, record, records, places, tags)
        const known = loader.pageOf(first + page)
        const isWhole = dead === null || dead.countIn(page, records) === 0
        for (let i = 0; i < records; i++) {
          if (isWhole || !dead.has(page, i)) loader.put(places[i]!, tags[i]!, known)
        }
        if (!isWhole) this.#noteTwins(first, page, records, dead)
      },
      onMarks() {},
    })
  }

  /** What lies behind the last index, when the index has all else. The zone is ready then. */
  async enterTail(zone: OpenedZone): Promise<void> {
    const { zones, writers } = this.engine.parts
    const { vzone, resumedBy, groups } = zone
    const isResumed = resumedBy >= 0
    const writer = writers[resumedBy]
    writer?.group.begin(zone.tailPage, groups.at(-1)?.trailer.trailerPage ?? 0)
    for await (const page of this.scanner.tail(zone)) {
      const records = this.#enterTailPage(page, vzone, zone.header.sequence)
      if (writer === undefined) continue
      if (page.kind === KIND_RUN) writer.group.addRunItem(page.pages)
      else if (page.kind === KIND_MARKS) writer.group.addItem(ITEM_MARKS)
      else writer.group.addItem(page.kind === KIND_SLAB ? records : ITEM_NOTHING)
      for (let i = 0; i < records; i++) writer.group.addRecord(this.#places[i]!, this.#tags[i]!)
    }
    if (isResumed) writer!.resume(vzone, zone.pages)
    else zones.state[vzone] = ZONE_SEALED
  }

  /** Gives how many records there are, alive or not; their hashes are in the columns. */
  #enterTailPage(tail: TailPage, vzone: number, zoneSequence: number): number {
    const { kind, bytes, base, page } = tail
    if (kind === 0) return 0
    this.context.startAt(sequenceOf(bytes, base) + 1)
    let records = 0
    if (kind === KIND_RUN) {
      this.#noteRun(vzone, page, tail.pages)
      this.#hash(records++, bytes, base + RUN_HEADER_BYTES, runKeyBytes(bytes, base))
      this.#seenDeadline(vzone, runDeadline(bytes, base))
    }
    const slots = kind === KIND_SLAB ? bytes[base + AT_SLOTS]! : 0
    for (let slot = 0; slot < slots; slot++) {
      if (!isUsed(bytes, base, slot)) continue
      const at = slotAt(bytes, base, slot)
      this.#hash(records++, bytes, at, keyBytesOf(bytes, base, slot))
      this.#seenDeadline(vzone, deadlineOf(bytes, base, slot))
    }
    this.#insert(vzone, page, records, this.#book.deadOf(zoneSequence))
    return records
  }

  #insert(vzone: number, page: number, records: number, dead: DeadRecords | null): void {
    const { index, zones, pagesPerZone } = this.engine.parts
    const first = vzone * pagesPerZone
    zones.records[vzone]! += records
    for (let i = 0; i < records; i++) {
      if (dead?.has(page, i)) continue
      index.insert(this.#places[i]!, this.#tags[i]!, first + page)
      zones.liveRecords[vzone]!++
    }
    if (dead !== null) this.#noteTwins(first, page, records, dead)
  }

  /** The index leads to a dead record if a living one of its page is alike. */
  #noteTwins(first: number, page: number, records: number, dead: DeadRecords): void {
    const places = this.#places
    const tags = this.#tags
    for (let i = 0; i < records; i++) {
      if (!dead.has(page, i)) continue
      for (let other = 0; other < records; other++) {
        if (!areAlike(places[i]!, tags[i]!, places[other]!, tags[other]!)) continue
        if (!dead.has(page, other)) this.engine.twins.add((first + page) * 256 + i)
      }
    }
  }

  #noteRun(vzone: number, page: number, pages: number): void {
    const { zones, pagesPerZone } = this.engine.parts
    if (pages > 1) zones.noteRun(vzone, page, pages, pagesPerZone)
  }

  #seenDeadline(vzone: number, deadlineMs: number): void {
    const { zones } = this.engine.parts
    zones.lastDeadlineMs[vzone] = Math.max(zones.lastDeadlineMs[vzone]!, deadlineMs)
  }

  #hash(record: number, bytes: Uint8Array, at: number, keyBytes: number): void {
    const { keys } = this.engine.parts
    keys.hash(bytes.subarray(at, at + keyBytes))
    this.#places[record] = keys.place
    this.#tags[record] = keys.tag
  }
}
