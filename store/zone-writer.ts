/**
 * Writes one lifetime class: its open zone and the stage in front of it.
 *
 * Slabs are built in the stage. When its pages are used up, all of it is written at once and the next stage begins; a commit
 * writes what there is. Answers of what may wait are a page, or NO_ROOM, or BUSY: then the caller comes again, and what was
 * done so far stays done. Not hot: it runs once a slab.
 */
import { FITS, GroupWriter, ZONE_IS_FULL } from './group-writer.js'
import { AT_SEQUENCE, PAGE_BYTES, sealPage, writeU48 } from './layout.js'
import { beginSlab, isFull } from './open-slab.js'
import { SIZE_CLASS_COUNT, SLOTS_MAX, slotBytesOf, slotCountOf } from './size-classes.js'
import { SizeDemand } from './size-demand.js'
import { usedCount, widthsNeeded } from './slab.js'
import {
  PAGE_MARKS,
  PAGE_OPEN,
  PAGE_OTHER,
  PAGE_RUN,
  PAGE_SEALED,
  STAGE_PAGES,
  type Stage,
} from './stage.js'
import type { WriteLedger } from './write-ledger.js'
import { type StoreIdentity, writeZoneHeader } from './zone-header.js'
import type { ZoneIo } from './zone-io.js'
import { ZONE_SEALED, type Zones } from './zones.js'

/** Every zone of the device is in use. */
export const NO_ROOM = -1
/** The device has not written the last stage yet. */
export const BUSY = -2

/** Fills the pages of a run, which gets a sequence. */
export type RunWriter = (pages: Uint8Array, sequence: number) => void

/** What writers share. */
export interface WriterContext {
  readonly zones: Zones
  readonly io: ZoneIo
  readonly identity: StoreIdentity
  readonly ledger: WriteLedger
  readonly pagesPerZone: number
  /** A zone that nobody outlives needs no index of its groups. */
  readonly isVolatile: boolean
  /** Which TTLs a class is for. */
  readonly classes: { rangeOf(lifetimeClass: number): readonly [number, number] }
  /** A new virtual zone for a class, NO_ROOM or BUSY. */
  takeZone(lifetimeClass: number): number
  /** Whether no page may be taken for objects now: BUSY. */
  mustWait(): boolean
  nextSequence(): number
  /** The sequence that comes next, not taken. */
  readonly sequence: number
  /** A stage that is free, or null. */
  takeStage(): Stage | null
  giveStage(stage: Stage): void
}

export class ZoneWriter {
  /** -1: the class has no open zone. */
  vzone = -1
  stage: Stage | null = null
  /** The zone's page at which the stage begins. */
  stageBase = 0
  /** A stage that the device is writing, still read from memory. */
  flight: Stage | null = null
  flightVzone = -1
  flightBase = 0
  /** The stage's page with the open slab of each size class, or -1. */
  readonly openPages = new Int16Array(SIZE_CLASS_COUNT).fill(-1)
  readonly group = new GroupWriter()
  readonly demand = new SizeDemand()
  /** Widths of columns that the last slab of each size class ended with. */
  readonly #widths = new Uint8Array(SIZE_CLASS_COUNT)
  /** The zone of the device that the class filled last, or -1. */
  #filled = -1
  #reserved = 0
  #submitted = 0
  /** Stage pages that are in the group's index. */
  #absorbed = 0

  constructor(
    private readonly context: WriterContext,
    readonly lifetimeClass: number,
  ) {}

  /** The zone's next page. */
  get nextPage(): number {
    return this.stageBase + this.#reserved
  }

  /** Whether it holds anything that is not on its way to the device. */
  get isDirty(): boolean {
    return this.vzone >= 0 && this.#submitted < this.#reserved
  }

  /** Makes a slab of a size class in the stage. Gives its stage page, NO_ROOM or BUSY. */
  beginSlab(sizeClass: number): number {
    if (this.context.mustWait()) return BUSY
    const before = this.openPages[sizeClass]!
    if (before >= 0) this.#seal(before, sizeClass)
    const result = this.#makeRoom(1, slotCountOf[sizeClass]!)
    if (result < 0) return result
    const page = this.#reserve(PAGE_OPEN)
    beginSlab(this.stage!, page, sizeClass, this.#widths[sizeClass]!)
    this.openPages[sizeClass] = page
    this.group.expect(slotCountOf[sizeClass]!)
    return page
  }

  /** The slab takes no more records. */
  #seal(page: number, sizeClass: number): void {
    const stage = this.stage!
    const base = page * PAGE_BYTES
    this.#widths[sizeClass] = widthsNeeded(stage.bytes, base)
    this.demand.note(sizeClass, usedCount(stage.bytes, base))
    stage.states[page] = PAGE_SEALED
    if (!this.context.isVolatile) {
      writeU48(stage.bytes, base + AT_SEQUENCE, this.context.nextSequence())
      sealPage(stage.bytes, base)
    }
    this.openPages[sizeClass] = -1
  }

  #sealAll(): void {
    for (let sizeClass = 0; sizeClass < SIZE_CLASS_COUNT; sizeClass++) {
      const page = this.openPages[sizeClass]!
      if (page >= 0) this.#seal(page, sizeClass)
    }
    this.demand.end()
  }

  /**
   * The class of an open slab in which a record wastes less than in a new one of its own class: the nearest that has room. -1:
   * none.
   */
  hostOf(sizeClass: number, recordBytes: number): number {
    const { stage, openPages } = this
    const most = recordBytes + this.demand.wasteOfOwn(sizeClass)
    for (let host = sizeClass + 1; host < SIZE_CLASS_COUNT; host++) {
      if (slotBytesOf[host]! >= most) return -1
      const page = openPages[host]!
      if (page >= 0 && !isFull(stage!, page)) return host
    }
    return -1
  }

  /** Takes a page for marks. Gives the stage's page, which the caller fills, NO_ROOM or BUSY. */
  takeMarksPage(): number {
    const result = this.#makeRoom(1, 0)
    if (result < 0) return result
    this.group.expect(0)
    return this.#reserve(PAGE_MARKS)
  }

  /** Takes `pages` for a run; `write` is called at once with their memory. Gives the zone's page, NO_ROOM or BUSY. */
  appendRun(pages: number, place: number, tag: number, write: RunWriter): number {
    if (this.context.mustWait()) return BUSY
    const result = this.#makeRoom(pages, 1)
    if (result < 0) return result
    if (pages > STAGE_PAGES) return this.#appendLong(pages, place, tag, write)
    this.group.expect(1)
    const first = this.#reserve(PAGE_RUN)
    for (let page = 1; page < pages; page++) this.#reserve(PAGE_OTHER)
    const stage = this.stage!
    stage.places[first * SLOTS_MAX] = place
    stage.tags[first * SLOTS_MAX] = tag
    const memory = stage.bytes.subarray(first * PAGE_BYTES, (first + pages) * PAGE_BYTES)
    write(memory, this.context.nextSequence())
    return this.stageBase + first
  }

  /** A run that is longer than a stage goes to the device by itself. BUSY until the stage is out of its way. */
  #appendLong(pages: number, place: number, tag: number, write: RunWriter): number {
    const page = this.nextPage
    const rolled = this.#roll()
    if (rolled < 0) return rolled
    const { io, zones, isVolatile } = this.context
    const bytes = io.device.allocate(pages * PAGE_BYTES)
    write(bytes, this.context.nextSequence())
    io.write(zones.physical[this.vzone]!, page, bytes, null)
    if (!isVolatile) this.group.addRun(pages, place, tag)
    this.stageBase += pages
    zones.pagesUsed[this.vzone] = this.stageBase
    return page
  }

  /** Seals what is open and hands all that is in the stage to the device. */
  submit(): void {
    if (this.vzone < 0) return
    this.#sealAll()
    this.#submitReserved(null)
  }

  /** The zone is gone (expired, evicted, failed): forgets what was about to be written to it. */
  abandon(): void {
    this.group.begin(1, 0)
    this.openPages.fill(-1)
    this.#beginStage()
    this.vzone = -1
  }

  get memoryBytes(): number {
    const stages = (this.stage?.memoryBytes ?? 0) + (this.flight?.memoryBytes ?? 0)
    return stages + this.group.memoryBytes + this.openPages.byteLength + this.#widths.length
  }

  /** Goes on with a zone that a restart found part-filled; its group has been given what is in it. */
  resume(vzone: number, nextPage: number): void {
    this.stage ??= this.context.takeStage()
    this.vzone = vzone
    this.#beginStage()
    this.stageBase = nextPage
  }

  /** Room for pages in the stage and the zone, with the index of all that. */
  #makeRoom(pages: number, records: number): number {
    for (;;) {
      let result = this.group.hasTail ? this.#appendTail() : 0
      if (result < 0) return result
      if (this.vzone < 0) result = this.#openZone()
      if (result < 0) return result
      const room = this.#room(pages, records)
      if (room === FITS) {
        if (this.#reserved + Math.min(pages, STAGE_PAGES) <= STAGE_PAGES) return 0
        result = this.#roll()
      } else {
        result = this.#closeGroup(room === ZONE_IS_FULL)
      }
      if (result < 0) return result
    }
  }

  #room(pages: number, records: number): number {
    const { pagesPerZone, isVolatile } = this.context
    if (!isVolatile) return this.group.room(this.nextPage, pagesPerZone, pages, records)
    return this.nextPage + pages <= pagesPerZone ? FITS : ZONE_IS_FULL
  }

  #openZone(): number {
    const { context } = this
    this.stage ??= context.takeStage()
    if (this.stage === null) return BUSY
    const vzone = context.takeZone(this.lifetimeClass)
    if (vzone < 0) return vzone
    this.vzone = vzone
    this.#beginStage()
    this.stageBase = 0
    this.group.begin(1, 0)
    const page = this.#reserve(PAGE_OTHER)
    const [aboveMs, upToMs] = context.classes.rangeOf(this.lifetimeClass)
    context.zones.ttlAboveMs[vzone] = aboveMs
    context.zones.ttlUpToMs[vzone] = upToMs
    writeZoneHeader(this.stage.bytes, page * PAGE_BYTES, context.nextSequence(), {
      identity: context.identity,
      sequence: context.zones.sequence[vzone]!,
      pagesPerZone: context.pagesPerZone,
      lifetimeClass: this.lifetimeClass,
      ttlAboveMs: aboveMs,
      ttlUpToMs: upToMs,
    })
    context.ledger.headers += PAGE_BYTES
    return 0
  }

  #beginStage(): void {
    this.stage?.clear()
    this.#reserved = 0
    this.#submitted = 0
    this.#absorbed = 0
  }

  #reserve(state: number): number {
    const page = this.#reserved++
    this.stage!.states[page] = state
    this.context.zones.pagesUsed[this.vzone] = this.nextPage
    return page
  }

  #submitReserved(done: (() => void) | null): void {
    const { io, zones } = this.context
    const from = this.#submitted
    const physical = zones.physical[this.vzone]!
    if (from === this.#reserved) {
      if (done !== null) io.after(physical, done)
      return
    }
    this.#submitted = this.#reserved
    const bytes = this.stage!.bytes.subarray(from * PAGE_BYTES, this.#reserved * PAGE_BYTES)
    const page = this.stageBase + from
    io.write(physical, page, bytes, done, page === 0 ? this.#filled : -1)
  }

  /** Writes the whole stage and begins the next. */
  #roll(): number {
    const { context } = this
    const stage = this.stage!
    if (context.io.device.direct !== undefined) {
      this.#sealAll()
      this.#absorb()
      this.#submitReserved(null)
    } else {
      if (this.flight !== null) return BUSY
      const next = context.takeStage()
      if (next === null) return BUSY
      this.#sealAll()
      this.#absorb()
      this.flight = stage
      this.flightVzone = this.vzone
      this.flightBase = this.stageBase
      this.#submitReserved(() => {
        this.flight = null
        this.flightVzone = -1
        context.giveStage(stage)
      })
      this.stage = next
    }
    const base = this.nextPage
    this.#beginStage()
    this.stageBase = base
    return 0
  }

  /** Adds the stage's complete pages to the group's index. */
  #absorb(): void {
    if (!this.context.isVolatile) this.group.absorb(this.stage!, this.#absorbed, this.#reserved)
    this.#absorbed = this.#reserved
  }

  /** Writes the group's index behind it; at the end of the zone the index takes all that is left. */
  #closeGroup(isLast: boolean): number {
    const { context } = this
    if (context.isVolatile) return this.#closeZone()
    this.#sealAll()
    this.#absorb()
    const page = this.nextPage
    const pages = this.group.close(page, isLast ? context.pagesPerZone - page : null, {
      zoneSequence: context.zones.sequence[this.vzone]!,
      nextSequence: context.sequence,
      lastDeadlineMs: context.zones.lastDeadlineMs[this.vzone]!,
    })
    context.ledger.index += pages * PAGE_BYTES
    return 0
  }

  #appendTail(): number {
    for (let part = this.group.tailPage; part !== null; part = this.group.tailPage) {
      const result = this.#reserved === STAGE_PAGES ? this.#roll() : 0
      if (result < 0) return result
      this.stage!.bytes.set(part, this.#reserve(PAGE_OTHER) * PAGE_BYTES)
      this.group.tailPageWritten()
    }
    this.#absorbed = this.#reserved
    const result = this.nextPage === this.context.pagesPerZone ? this.#closeZone() : 0
    if (result === 0) this.group.tailIsDone()
    return result
  }

  #closeZone(): number {
    const { vzone } = this
    const result = this.#roll()
    if (result < 0) return result
    const { zones, io, pagesPerZone } = this.context
    // A run did not fit into the rest. The zone would stay active, and the device counts those.
    if (this.stageBase < pagesPerZone) io.finish(zones.physical[vzone]!)
    zones.state[vzone] = ZONE_SEALED
    this.#filled = zones.physical[vzone]!
    this.vzone = -1
    return 0
  }
}
