/**
 * Enters zones into the index and the tables after a restart, and hands those that are not full back to their writers.
 *
 * Marks come first, of all zones: what they name is dead and not entered. Then every zone is opened, and tells the index how
 * many records it will get for each page. Then come their hashes.
 */
import type { Engine } from './engine.js'
import { GroupPages, readHashes } from './group-index.js'
import { areAlike, type IndexLoader } from './index-loader.js'
import { PAGE_BYTES } from './layout.js'
import { type DeadRecords, MarkBook } from './mark-book.js'
import { MarkList, readMarks } from './marks.js'
import { indexedMarksPages } from './marks-pages.js'
import type { SharedContext } from './writer-context.js'
import type { ScannedZone, ZoneScanner } from './zone-scan.js'
import { ZoneTail } from './zone-tail.js'
import { ZONE_SEALED } from './zones.js'

/** A zone of which all is known. */
export interface ReadZone extends ScannedZone {
  readonly tail: ZoneTail
  /** Pages of marks, of copies in other zones, for whose sake it stays; and the latest deadline of these. */
  readonly marksPages: number
  readonly marksDeadlineMs: number
}

/** A zone that has been opened. */
export interface OpenedZone extends ReadZone {
  readonly vzone: number
}

export class ZoneLoader {
  readonly #book = new MarkBook()
  /** Of the group that is being looked at. */
  readonly #pages = new GroupPages()

  constructor(
    private readonly scanner: ZoneScanner,
    private readonly engine: Engine,
    private readonly context: SharedContext,
    /** Told what comes with each page, and then gets it. */
    private readonly loader: IndexLoader,
  ) {}

  /** Of the zones that marks name. */
  get zoneSequenceMax(): number {
    return this.#book.zoneSequenceMax
  }

  /** Reads marks, and what no index speaks of. */
  async read(zone: ScannedZone): Promise<ReadZone> {
    const list = new MarkList()
    let marksPages = 0
    const onMarks = (bytes: Uint8Array, base: number): void => {
      readMarks(bytes, base, list)
      marksPages++
    }
    for await (const { bytes, base } of indexedMarksPages(this.scanner, zone)) onMarks(bytes, base)
    const tail = await ZoneTail.read(this.scanner, zone, this.engine.parts.keys, onMarks)
    this.#book.add(list)
    return { ...zone, tail, marksPages, marksDeadlineMs: list.lastDeadlineMs }
  }

  /** Zones in the order of their sequences, when all have been read. `resumedBy`: the class that goes on writing it, or -1. */
  open(zone: ReadZone, resumedBy: number): OpenedZone {
    const { zones, index, keeper, writers } = this.engine.parts
    const { header, physical, groups, tail } = zone
    const own = Math.min(header.lifetimeClass, writers.length - 1)
    const vzone = index.openZone()
    zones.open(vzone, physical, header.sequence, resumedBy >= 0 ? resumedBy : own)
    zones.ttlAboveMs[vzone] = header.ttlAboveMs
    zones.ttlUpToMs[vzone] = header.ttlUpToMs
    zones.marks[vzone] = zone.marksPages
    this.#seenDeadline(vzone, zone.marksDeadlineMs)
    zones.pagesUsed[vzone] = zone.pages
    // What its records are long is not in the indexes: as much as its pages hold.
    zones.liveBytes[vzone] = zone.pages * PAGE_BYTES
    keeper.look(vzone)
    const dead = this.#book.deadOf(header.sequence)
    for (const { trailer, index: bytes } of groups) {
      this.context.startAt(trailer.nextSequence)
      this.#seenDeadline(vzone, trailer.lastDeadlineMs)
      this.#pages.read(bytes, trailer)
      this.#tell(vzone, dead)
    }
    this.context.startAt(tail.nextSequence)
    this.#seenDeadline(vzone, tail.lastDeadlineMs)
    this.#pages.take(tail.pages)
    this.#tell(vzone, dead)
    const writer = writers[resumedBy]
    if (writer === undefined) zones.state[vzone] = ZONE_SEALED
    else {
      writer.group.begin(zone.tailPage, groups.at(-1)?.trailer.trailerPage ?? 0)
      tail.tell(writer.group)
      writer.resume(vzone, zone.pages)
    }
    return { ...zone, vzone }
  }

  /** What comes with the pages that are being looked at. */
  #tell(vzone: number, dead: DeadRecords | null): void {
    const { count, pages, lengths, records } = this.#pages
    const { zones, pagesPerZone } = this.engine.parts
    const { loader } = this
    const base = vzone * pagesPerZone
    let all = 0
    let allLive = 0
    for (let i = 0; i < count; i++) {
      const page = pages[i]!
      const live = records[i]! - (dead === null ? 0 : dead.countIn(page, records[i]!))
      loader.tell(base + page, live)
      all += records[i]!
      allLive += live
      if (lengths[i]! > 1) zones.noteRun(vzone, page, lengths[i]!, pagesPerZone)
    }
    zones.records[vzone]! += all
    zones.liveRecords[vzone]! += allLive
  }

  /** When all zones have been opened. */
  enter({ vzone, header, groups, tail }: OpenedZone): void {
    const { loader } = this
    const dead = this.#book.deadOf(header.sequence)
    for (const { index, trailer } of groups) {
      this.#pages.read(index, trailer)
      loader.hold(trailer.records)
      readHashes(index, trailer, loader.places, loader.tags)
      this.#enterPages(vzone, dead)
    }
    this.#pages.take(tail.pages)
    loader.hold(tail.records)
    loader.places.set(tail.places.subarray(0, tail.records))
    loader.tags.set(tail.tags.subarray(0, tail.records))
    this.#enterPages(vzone, dead)
  }

  /** Enters those that live of the pages that are being looked at; their hashes are in the loader's columns. */
  #enterPages(vzone: number, dead: DeadRecords | null): void {
    const { loader } = this
    const { count, pages, records } = this.#pages
    const base = vzone * this.engine.parts.pagesPerZone
    let first = 0
    let live = 0
    for (let i = 0; i < count; i++) {
      const page = pages[i]!
      const isWhole = dead === null || dead.countIn(page, records[i]!) === 0
      const end = isWhole
        ? this.#keep(first, records[i]!, live)
        : this.#keepLive(base, page, first, records[i]!, live, dead)
      loader.pages.fill(loader.pageOf(base + page), live, end)
      first += records[i]!
      live = end
    }
    loader.enter(live)
  }

  /** Brings a page's hashes, from `first` on, to `live` and on. Gives where they end. */
  #keep(first: number, records: number, live: number): number {
    if (live !== first) {
      this.loader.places.copyWithin(live, first, first + records)
      this.loader.tags.copyWithin(live, first, first + records)
    }
    return live + records
  }

  /** As `keep`, without those that are dead. `base`: the locator of the zone's first page. */
  #keepLive(
    base: number,
    page: number,
    first: number,
    records: number,
    live: number,
    dead: DeadRecords,
  ): number {
    const { places, tags } = this.loader
    for (let i = 0; i < records; i++) {
      if (dead.has(page, i) && this.#hasTwin(page, first, i, records, dead)) {
        this.engine.twins.add((base + page) * 256 + i)
      }
    }
    let end = live
    for (let i = 0; i < records; i++) {
      if (dead.has(page, i)) continue
      places[end] = places[first + i]!
      tags[end++] = tags[first + i]!
    }
    return end
  }

  /** Whether the index leads to a dead record, because a living one of its page is alike. */
  #hasTwin(
    page: number,
    first: number,
    record: number,
    records: number,
    dead: DeadRecords,
  ): boolean {
    const { places, tags } = this.loader
    const at = first + record
    for (let i = 0; i < records; i++) {
      const isAlike = areAlike(places[at]!, tags[at]!, places[first + i]!, tags[first + i]!)
      if (isAlike && !dead.has(page, i)) return true
    }
    return false
  }

  #seenDeadline(vzone: number, deadlineMs: number): void {
    const { zones } = this.engine.parts
    zones.lastDeadlineMs[vzone] = Math.max(zones.lastDeadlineMs[vzone]!, deadlineMs)
  }
}
