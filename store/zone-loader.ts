/**
 * Enters zones into the index and the tables after a restart, and hands those that are not full back to their writers.
 *
 * The marks of all zones are gathered first: what they name is dead and not entered.
 */
import type { Engine } from './engine.js'
import { type IndexReader, ITEM_MARKS, ITEM_NOTHING, readIndex } from './group-index.js'
import { KIND_MARKS, KIND_RUN, KIND_SLAB, kindOf, PAGE_BYTES } from './layout.js'
import { MarkList, readMarks } from './marks.js'
import { RUN_HEADER_BYTES, runDeadline, runKeyBytes } from './run.js'
import { AT_SLOTS, deadlineOf, isUsed, keyBytesOf, sequenceOf, slotAt } from './slab.js'
import type { SharedContext } from './writer-context.js'
import type { ScannedZone, TailPage, ZoneScanner } from './zone-scan.js'
import { ZONE_SEALED } from './zones.js'

interface Hash {
  readonly place: number
  readonly tag: number
}

/** Where a record is. */
interface Spot {
  readonly vzone: number
  readonly zoneSequence: number
  readonly page: number
  readonly record: number
}

export class ZoneLoader {
  zoneSequenceMax = 0
  /** By zone sequence: page × 256 + record of each dead copy. */
  readonly #marked = new Map<number, Set<number>>()
  /** By zone sequence: pages of marks, for whose sake the zone stays. */
  readonly #markPages = new Map<number, { count: number; lastDeadlineMs: number }>()
  readonly #dead: (Hash & Spot)[] = []

  constructor(
    private readonly scanner: ZoneScanner,
    private readonly engine: Engine,
    private readonly context: SharedContext,
  ) {}

  async gatherMarks(zone: ScannedZone): Promise<void> {
    const { physical, header, groups } = zone
    this.zoneSequenceMax = Math.max(this.zoneSequenceMax, header.sequence)
    const pages: number[] = []
    const reader: IndexReader = { onPage() {}, onRecord() {}, onMarks: page => pages.push(page) }
    for (const { index, trailer } of groups) readIndex(index, trailer, reader)
    const own = { count: 0, lastDeadlineMs: Number.NEGATIVE_INFINITY }
    for (const page of pages) this.#addMarks(await this.scanner.read(physical, page, 1), 0, own)
    for await (const { kind, bytes, base } of this.scanner.tail(zone)) {
      if (kind === KIND_MARKS) this.#addMarks(bytes, base, own)
    }
    this.#markPages.set(header.sequence, own)
  }

  #addMarks(bytes: Uint8Array, base: number, own: { count: number; lastDeadlineMs: number }): void {
    if (kindOf(bytes, base) !== KIND_MARKS) return
    const list = new MarkList()
    readMarks(bytes, base, list)
    own.count++
    own.lastDeadlineMs = Math.max(own.lastDeadlineMs, list.lastDeadlineMs)
    for (let index = 0; index < list.length; index++) {
      const sequence = list.zoneSequenceOf(index)
      this.zoneSequenceMax = Math.max(this.zoneSequenceMax, sequence)
      const set = this.#marked.get(sequence) ?? new Set()
      set.add(list.pageOf(index) * 256 + list.recordOf(index))
      this.#marked.set(sequence, set)
    }
  }

  /** Zones in the order of their sequences. `resumedBy`: the class that goes on writing it, or -1. */
  async enter(zone: ScannedZone, resumedBy: number): Promise<void> {
    const { zones, index, keeper, writers } = this.engine.parts
    const { header, physical, groups } = zone
    const isResumed = resumedBy >= 0
    const own = Math.min(header.lifetimeClass, writers.length - 1)
    const lifetimeClass = isResumed ? resumedBy : own
    const vzone = index.openZone()
    zones.open(vzone, physical, header.sequence, lifetimeClass)
    zones.ttlAboveMs[vzone] = header.ttlAboveMs
    zones.ttlUpToMs[vzone] = header.ttlUpToMs
    const marks = this.#markPages.get(header.sequence)!
    zones.marks[vzone] = marks.count
    this.#seenDeadline(vzone, marks.lastDeadlineMs)
    zones.pagesUsed[vzone] = zone.pages
    // What its records are long is not in the indexes: as much as its pages hold.
    zones.liveBytes[vzone] = zone.pages * PAGE_BYTES
    keeper.look(vzone)
    for (const { trailer, index: bytes } of groups) {
      this.context.startAt(trailer.nextSequence)
      this.#seenDeadline(vzone, trailer.lastDeadlineMs)
      readIndex(bytes, trailer, this.#reader(vzone, header.sequence))
    }
    const writer = writers[lifetimeClass]!
    if (isResumed) writer.group.begin(zone.tailPage, groups.at(-1)?.trailer.trailerPage ?? 0)
    for await (const page of this.scanner.tail(zone)) {
      const hashes = this.#enterTailPage(page, vzone, header.sequence)
      if (!isResumed) continue
      if (page.kind === KIND_RUN) writer.group.addRunItem(page.pages)
      else if (page.kind === KIND_MARKS) writer.group.addItem(ITEM_MARKS)
      else writer.group.addItem(page.kind === KIND_SLAB ? hashes.length : ITEM_NOTHING)
      for (const { place, tag } of hashes) writer.group.addRecord(place, tag)
    }
    if (isResumed) writer.resume(vzone, zone.pages)
    else zones.state[vzone] = ZONE_SEALED
  }

  /** The index would lead to a dead record if another of its page has the same hash. */
  rememberTwins(): void {
    const { index, pagesPerZone } = this.engine.parts
    for (const { place, tag, vzone, page, record } of this.#dead) {
      const locator = vzone * pagesPerZone + page
      const count = index.find(place, tag)
      if (index.found.subarray(0, count).includes(locator)) {
        this.engine.twins.add(locator * 256 + record)
      }
    }
  }

  #reader(vzone: number, zoneSequence: number): IndexReader {
    let page = 0
    return {
      onPage: (next, pages) => {
        page = next
        this.#noteRun(vzone, page, pages)
      },
      onRecord: (place, tag, record) =>
        this.#enterRecord({ place, tag }, { vzone, zoneSequence, page, record }),
      onMarks() {},
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

  #enterTailPage(tail: TailPage, vzone: number, zoneSequence: number): Hash[] {
    const { kind, bytes, base, page } = tail
    if (kind === 0) return []
    this.context.startAt(sequenceOf(bytes, base) + 1)
    const hashes: Hash[] = []
    const add = (at: number, keyBytes: number, deadlineMs: number) => {
      const hash = this.#hash(bytes.subarray(at, at + keyBytes))
      this.#seenDeadline(vzone, deadlineMs)
      this.#enterRecord(hash, { vzone, zoneSequence, page, record: hashes.length })
      hashes.push(hash)
    }
    if (kind === KIND_RUN) {
      this.#noteRun(vzone, page, tail.pages)
      add(base + RUN_HEADER_BYTES, runKeyBytes(bytes, base), runDeadline(bytes, base))
    }
    const slots = kind === KIND_SLAB ? bytes[base + AT_SLOTS]! : 0
    for (let slot = 0; slot < slots; slot++) {
      if (!isUsed(bytes, base, slot)) continue
      const at = slotAt(bytes, base, slot)
      add(at, keyBytesOf(bytes, base, slot), deadlineOf(bytes, base, slot))
    }
    return hashes
  }

  #enterRecord(hash: Hash, spot: Spot): void {
    const { index, zones, pagesPerZone } = this.engine.parts
    zones.records[spot.vzone]!++
    if (this.#marked.get(spot.zoneSequence)?.has(spot.page * 256 + spot.record)) {
      this.#dead.push({ ...hash, ...spot })
      return
    }
    index.insert(hash.place, hash.tag, spot.vzone * pagesPerZone + spot.page)
    zones.liveRecords[spot.vzone]!++
  }

  #hash(key: Uint8Array): Hash {
    const { keys } = this.engine.parts
    keys.hash(key)
    return { place: keys.place, tag: keys.tag }
  }
}
