/**
 * Enters zones into the index and the tables after a restart, and hands those that are not full back to their writers.
 *
 * Marks come first, of all zones: what they name is dead and not entered. Then every zone is opened, and tells the index how
 * many records it will get for each page. Then come their hashes.
 */
import type { Engine } from './engine.js'
import { readHashes, readIndex } from './group-index.js'
import { areAlike, type IndexLoader } from './index-loader.js'
import { PAGE_BYTES } from './layout.js'
import { type DeadRecords, MarkBook } from './mark-book.js'
import { MarkList, readMarks } from './marks.js'
import { indexedMarksPages } from './marks-pages.js'
import type { SharedContext } from './writer-context.js'
import type { ScannedGroup, ScannedZone, ZoneScanner } from './zone-scan.js'
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
      readIndex(bytes, trailer, {
        onPage: (page, pages, records) => this.#tell(vzone, page, pages, records, dead),
        onMarks() {},
      })
    }
    this.context.startAt(tail.nextSequence)
    this.#seenDeadline(vzone, tail.lastDeadlineMs)
    for (const { page, pages, records } of tail.pages) {
      if (records > 0) this.#tell(vzone, page, pages, records, dead)
    }
    const writer = writers[resumedBy]
    if (writer === undefined) zones.state[vzone] = ZONE_SEALED
    else {
      writer.group.begin(zone.tailPage, groups.at(-1)?.trailer.trailerPage ?? 0)
      tail.tell(writer.group)
      writer.resume(vzone, zone.pages)
    }
    return { ...zone, vzone }
  }

  #tell(
    vzone: number,
    page: number,
    pages: number,
    records: number,
    dead: DeadRecords | null,
  ): void {
    const { zones, pagesPerZone } = this.engine.parts
    const live = records - (dead === null ? 0 : dead.countIn(page, records))
    this.loader.tell(vzone * pagesPerZone + page, live)
    zones.records[vzone]! += records
    zones.liveRecords[vzone]! += live
    if (pages > 1) zones.noteRun(vzone, page, pages, pagesPerZone)
  }

  /** When all zones have been opened. */
  enter({ vzone, header, groups, tail }: OpenedZone): void {
    const { loader } = this
    const dead = this.#book.deadOf(header.sequence)
    for (const group of groups) this.#enterGroup(group, vzone, dead)
    for (const { page, first, records } of tail.pages) {
      const at = loader.room(records)
      loader.places.set(tail.places.subarray(first, first + records), at)
      loader.tags.set(tail.tags.subarray(first, first + records), at)
      this.#enterPage(vzone, page, records, dead)
    }
  }

  #enterGroup({ index, trailer }: ScannedGroup, vzone: number, dead: DeadRecords | null): void {
    const { loader } = this
    const view = new DataView(index.buffer, index.byteOffset, index.length)
    readIndex(index, trailer, {
      onPage: (page, _pages, records, first) => {
        const at = loader.room(records)
        readHashes(view, trailer, first, records, loader.places, loader.tags, at)
        this.#enterPage(vzone, page, records, dead)
      },
      onMarks() {},
    })
  }

  /** What was written to the loader's room is of this page. */
  #enterPage(vzone: number, page: number, records: number, dead: DeadRecords | null): void {
    const { loader } = this
    const locator = vzone * this.engine.parts.pagesPerZone + page
    const isWhole = dead === null || dead.countIn(page, records) === 0
    const live = isWhole ? records : this.#moveLive(locator, page, records, dead)
    loader.take(live, loader.pageOf(locator))
  }

  /** Brings those of the loader's room that live to its begin. Gives how many. */
  #moveLive(locator: number, page: number, records: number, dead: DeadRecords): number {
    const { places, tags } = this.loader
    const first = this.loader.room(records)
    for (let i = 0; i < records; i++) {
      if (dead.has(page, i) && this.#hasTwin(page, i, records, dead)) {
        this.engine.twins.add(locator * 256 + i)
      }
    }
    let live = first
    for (let i = 0; i < records; i++) {
      if (dead.has(page, i)) continue
      places[live] = places[first + i]!
      tags[live] = tags[first + i]!
      live++
    }
    return live - first
  }

  /** Whether the index leads to a dead record, because a living one of its page is alike. */
  #hasTwin(page: number, record: number, records: number, dead: DeadRecords): boolean {
    const { places, tags } = this.loader
    const first = this.loader.room(records)
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
