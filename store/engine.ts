/**
 * Finds, writes and buries records: everything that needs no waiting. One thread owns it.
 *
 * The key of an operation is in `keys`, its time and deadline in `cells`, what was found in the `found…` fields: nothing is
 * allocated, thrown or awaited here. What lies on a drive only is left to the reader (drive-reader.ts), which comes back with
 * the page.
 */
import { DEADLINE, NOW } from './cells.js'
import { FoundRecord, RUN_SLOT } from './found-record.js'
import type { Heat } from './heat.js'
import { copyWords, KeptView } from './kept-view.js'
import { KEY_BYTES_MAX, type KeyHash } from './key-hash.js'
import { PAGE_BYTES } from './layout.js'
import type { LifetimeClasses } from './lifetime-classes.js'
import type { MarkList } from './marks.js'
import type { ObjectIndex } from './object-index.js'
import { freeSlotOf, takeSlot } from './open-slab.js'
import { runPages, writeRun } from './run.js'
import { SLOT_BYTES_MAX, sizeClassOf } from './size-classes.js'
import { slotAt } from './slab.js'
import { PAGE_OPEN, STAGE_BYTES } from './stage.js'
import type { WriteLedger } from './write-ledger.js'
import type { ZoneKeeper, ZoneView } from './zone-keeper.js'
import { NO_ROOM, type ZoneWriter } from './zone-writer.js'
import type { Zones } from './zones.js'

export const MISSING = 0
/** In memory: the `found…` fields say where. */
export const FOUND = 1
/** Perhaps in one of the pages that `onDrive` names. */
export const ON_DRIVE = 2

const NO_LOCATOR = -1
const CANDIDATES_MAX = 128
/** Above this the runtime's own copy is faster. */
const COPY_BYTES_MAX = 1024

export interface EngineParts {
  readonly keys: KeyHash
  readonly index: ObjectIndex
  readonly zones: Zones
  readonly keeper: ZoneKeeper
  readonly writers: readonly ZoneWriter[]
  readonly classes: LifetimeClasses
  readonly ledger: WriteLedger
  /** Copies on the drive that died, for the next commit, by lifetime class. Nobody outlives a volatile drive: null. */
  readonly marks: readonly MarkList[] | null
  readonly pagesPerZone: number
  readonly cells: Float64Array
  /**
   * Dead records whose page the index still names for a live one with the same 36 bits of hash: locator × 256 + number of
   * the record in its page. Empty but for a few in billions.
   */
  readonly twins: Set<number>
  /** Which keys are read often; null when nobody asks. */
  readonly heat: Heat | null
}

export class Engine {
  /** Length of the key at hand, which is in `parts.keys`. */
  keyBytes = 0
  /** Valid until the next operation. */
  readonly found = new FoundRecord()
  /** Pages that must be read to know. */
  readonly onDrive = new Float64Array(CANDIDATES_MAX)
  onDriveCount = 0
  #writtenLocator = NO_LOCATOR
  #pageBytes: Uint8Array = this.found.bytes
  #pageView = this.found.view
  #pageBase = 0
  readonly twins: Set<number>

  /** Of the caller's values: often the same buffer again. */
  readonly #source = new KeptView()

  readonly cells: Float64Array
  readonly #keys: KeyHash
  readonly #index: ObjectIndex
  readonly #zones: Zones
  readonly #writers: readonly ZoneWriter[]
  readonly #views: readonly (ZoneView | null)[]
  readonly #pagesPerZone: number
  readonly #heat: Heat | null

  constructor(readonly parts: EngineParts) {
    this.cells = parts.cells
    this.twins = parts.twins
    this.#keys = parts.keys
    this.#index = parts.index
    this.#zones = parts.zones
    this.#writers = parts.writers
    this.#views = parts.keeper.views
    this.#pagesPerZone = parts.pagesPerZone
    this.#heat = parts.heat
  }

  /** Loads a key; false when it is empty or longer than 250 bytes. */
  loadKey(key: string | Uint8Array): boolean {
    const length = this.#keys.hash(key)
    this.keyBytes = length
    return length > 0 && length <= KEY_BYTES_MAX
  }

  /** Loads a key that lies in a page. */
  loadKeyIn(page: Uint8Array, at: number, keyBytes: number): void {
    this.#keys.hashIn(page, at, keyBytes)
    this.keyBytes = keyBytes
  }

  /** Looks for the key at hand. MISSING, FOUND (past its deadline or not), or ON_DRIVE. */
  find(): number {
    const keys = this.#keys
    const index = this.#index
    this.onDriveCount = 0
    const some = index.findFirst(keys.place, keys.tag)
    if (this.#isAmong(0, some, NO_LOCATOR, -1)) return FOUND
    const all = index.findMore(keys.place, keys.tag, some)
    if (this.#isAmong(some, all, NO_LOCATOR, -1)) return FOUND
    return this.onDriveCount > 0 ? ON_DRIVE : MISSING
  }

  /** Looks for the key at hand in candidates of the index, but in one slot. */
  #isAmong(from: number, to: number, exceptLocator: number, exceptSlot: number): boolean {
    const { found } = this
    for (let i = from; i < to; i++) {
      const locator = this.#index.found[i]!
      if (!this.#locate(locator)) {
        this.onDrive[this.onDriveCount++] = locator
        continue
      }
      const except = locator === exceptLocator ? exceptSlot : -1
      const bytes = this.#pageBytes
      const view = this.#pageView
      const base = this.#pageBase
      const slot = found.search(bytes, view, base, this.#keys, this.keyBytes, except)
      if (slot >= 0 && this.#take(bytes, view, base, slot, locator)) return true
    }
    return false
  }

  /** Looks for the key at hand in a page that was read from the drive. True: it is `found`. */
  findInPage(locator: number, bytes: Uint8Array, base: number): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const slot = this.found.search(bytes, view, base, this.#keys, this.keyBytes, -1)
    if (slot < 0) return false
    return this.#take(bytes, view, base, slot, locator)
  }

  /** False: it is a dead twin. */
  #take(bytes: Uint8Array, view: DataView, base: number, slot: number, locator: number): boolean {
    const { found } = this
    found.take(bytes, view, base, slot, locator, this.cells)
    return this.twins.size === 0 || !this.twins.has(locator * 256 + found.record)
  }

  /** Finds a page in memory: in a stage, in one that is being written, or in the drive's own memory. */
  #locate(locator: number): boolean {
    const vzone = (locator / this.#pagesPerZone) | 0
    const page = locator - vzone * this.#pagesPerZone
    const writer = this.#writers[this.#zones.lifetimeClass[vzone]!]!
    if (writer.vzone === vzone && page >= writer.stageBase) {
      this.#pageBytes = writer.stage!.bytes
      this.#pageView = writer.stage!.view
      this.#pageBase = (page - writer.stageBase) * PAGE_BYTES
      return true
    }
    const memory = this.#views[vzone]
    if (memory !== null && memory !== undefined) {
      this.#pageBytes = memory.bytes
      this.#pageView = memory.view
      this.#pageBase = page * PAGE_BYTES
      return true
    }
    if (writer.flightVzone !== vzone || page < writer.flightBase) return false
    const base = (page - writer.flightBase) * PAGE_BYTES
    if (base >= STAGE_BYTES) return false
    this.#pageBytes = writer.flight!.bytes
    this.#pageView = writer.flight!.view
    this.#pageBase = base
    return true
  }

  /** A page that is in memory, or null. */
  pageAt(locator: number): { bytes: Uint8Array; base: number } | null {
    if (!this.#locate(locator)) return null
    return { bytes: this.#pageBytes, base: this.#pageBase }
  }

  /** Whether what was found is not past its deadline, which is in the cells. */
  foundLives(): boolean {
    return this.cells[DEADLINE]! > this.cells[NOW]!
  }

  /** Where `put` wrote last. */
  get writtenLocator(): number {
    return this.#writtenLocator
  }

  /** Counts a read of the key at hand, which is in this page. */
  countHit(locator: number): void {
    this.#zones.hits[(locator / this.#pagesPerZone) | 0]!++
    if (this.#heat !== null) this.#heat.note(this.#keys.place, this.#keys.tag)
  }

  /**
   * Writes the key at hand with a value, and buries the copy before it if that is in memory. MISSING (no such copy),
   * FOUND (it was buried), ON_DRIVE (`onDrive` has pages that may hold one), or NO_ROOM or BUSY: nothing was written.
   */
  put(value: Uint8Array, valueBytes: number): number {
    const { keys, classes, writers, ledger } = this.parts
    if (!this.#index.hasRoom) return NO_ROOM
    const ttlMs = this.cells[DEADLINE]! - this.cells[NOW]!
    const recordBytes = this.keyBytes + valueBytes
    const writer = writers[classes.take(ttlMs, recordBytes)]!
    if (recordBytes > SLOT_BYTES_MAX) return this.#putRun(writer, value, valueBytes)
    const sizeClass = sizeClassOf(recordBytes)
    let page = writer.openPages[sizeClass]!
    let slot = -1
    if (page >= 0) slot = this.#slotIn(writer, page, valueBytes)
    if (slot < 0) {
      const host = writer.hostOf(sizeClass, recordBytes)
      if (host >= 0) {
        page = writer.openPages[host]!
        slot = this.#slotIn(writer, page, valueBytes)
        if (slot >= 0) writer.demand.note(sizeClass, 1)
      }
    }
    if (slot < 0) {
      page = writer.beginSlab(sizeClass)
      if (page < 0) return page
      slot = this.#slotIn(writer, page, valueBytes)
    }
    const { bytes, view } = writer.stage!
    const at = slotAt(bytes, page * PAGE_BYTES, slot)
    keys.copyTo(view, at, this.keyBytes)
    this.#copyValue(value, valueBytes, bytes, view, at + this.keyBytes)
    ledger.payload += recordBytes
    return this.#settle(writer.vzone, writer.stageBase + page, slot, recordBytes)
  }

  #slotIn(writer: ZoneWriter, page: number, valueBytes: number): number {
    const { keys } = this.parts
    return takeSlot(
      writer.stage!,
      page,
      this.keyBytes,
      valueBytes,
      keys.place,
      keys.tag,
      this.cells,
    )
  }

  #copyValue(
    value: Uint8Array,
    count: number,
    bytes: Uint8Array,
    view: DataView,
    at: number,
  ): void {
    const source = this.#source
    if (count <= COPY_BYTES_MAX && source.isOf(value)) copyWords(source.view, 0, view, at, count)
    else copyBytes(value, bytes, at, count)
  }

  #putRun(writer: ZoneWriter, value: Uint8Array, valueBytes: number): number {
    const { keys, ledger, marks, zones, pagesPerZone } = this.parts
    const key = keys.bytes.subarray(0, this.keyBytes)
    const deadline = this.cells[DEADLINE]!
    const pages = runPages(this.keyBytes, valueBytes)
    const page = writer.appendRun(pages, keys.place, keys.tag, (memory, sequence) =>
      writeRun(memory, sequence, key, value.subarray(0, valueBytes), deadline),
    )
    if (page < 0) return page
    // In memory a run is where it is.
    if (marks !== null && pages > 1) zones.noteRun(writer.vzone, page, pages, pagesPerZone)
    ledger.payload += this.keyBytes + valueBytes
    return this.#settle(writer.vzone, page, RUN_SLOT, this.keyBytes + valueBytes)
  }

  /** Enters a new record into index and accounts, in the place of the one before it. */
  #settle(vzone: number, page: number, slot: number, recordBytes: number): number {
    const { zones, index, keys, pagesPerZone } = this.parts
    const deadline = this.cells[DEADLINE]!
    zones.records[vzone]!++
    zones.liveRecords[vzone]!++
    zones.liveBytes[vzone]! += recordBytes
    if (deadline > zones.lastDeadlineMs[vzone]!) zones.lastDeadlineMs[vzone] = deadline
    const locator = vzone * pagesPerZone + page
    this.#writtenLocator = locator
    this.onDriveCount = 0
    const count = index.find(keys.place, keys.tag)
    if (!this.#isAmong(0, count, locator, slot)) {
      index.insert(keys.place, keys.tag, locator)
      return this.onDriveCount > 0 ? ON_DRIVE : MISSING
    }
    if (this.found.locator !== locator) this.#replace(count, locator)
    this.#release()
    this.cells[DEADLINE] = deadline
    return FOUND
  }

  /** The index names another place for what was found, one of `count` candidates. */
  #replace(count: number, to: number): void {
    const { index, keys } = this.parts
    const { locator } = this.found
    let nth = -1
    let same = 0
    for (let i = 0; i < count; i++) {
      if (index.found[i] !== locator) continue
      nth = i
      same++
    }
    if (same === 1) {
      index.replaceFound(keys.place, keys.tag, nth, to)
      return
    }
    this.#noteTwin()
    index.replace(keys.place, keys.tag, locator, to)
  }

  /** Buries what was found: deleted, expired in sight of a reader, or written anew elsewhere. */
  bury(): void {
    const { index, keys } = this.parts
    this.#noteTwin()
    if (index.remove(keys.place, keys.tag, this.found.locator)) {
      this.#release()
    }
  }

  /** If two records of the page have the same hash, the index cannot tell the dead one from the other. */
  #noteTwin(): void {
    const { index, keys } = this.parts
    const count = index.find(keys.place, keys.tag)
    let same = 0
    for (let i = 0; i < count; i++) if (index.found[i] === this.found.locator) same++
    if (same < 2 || this.#isOpen(this.found.locator)) return
    this.twins.add(this.found.locator * 256 + this.found.record)
  }

  #isOpen(locator: number): boolean {
    const { pagesPerZone, zones, writers } = this.parts
    const vzone = Math.floor(locator / pagesPerZone)
    const writer = writers[zones.lifetimeClass[vzone]!]!
    const page = locator - vzone * pagesPerZone - writer.stageBase
    return writer.vzone === vzone && page >= 0 && writer.stage!.states[page] === PAGE_OPEN
  }

  /** Accounts for the death of what was found; its slot is free again, or a mark will tell the next start. */
  #release(): void {
    const { zones, pagesPerZone, keeper, ledger, marks, writers } = this.parts
    const { locator, slot, recordBytes } = this.found
    const vzone = Math.floor(locator / pagesPerZone)
    zones.liveRecords[vzone]!--
    zones.liveBytes[vzone]! -= recordBytes
    const page = locator - vzone * pagesPerZone
    if (slot !== RUN_SLOT && this.#isOpen(locator)) {
      const writer = writers[zones.lifetimeClass[vzone]!]!
      freeSlotOf(writer.stage!, page - writer.stageBase, slot)
      ledger.payload -= recordBytes
      zones.records[vzone]!--
      return
    }
    if (marks !== null) this.#mark(marks, vzone, page)
    keeper.afterDeath(vzone)
  }

  /** Nobody asks for a copy that is past its deadline, which is in the cells: it needs no mark. */
  #mark(marks: readonly MarkList[], vzone: number, page: number): void {
    const deadline = this.cells[DEADLINE]!
    const left = deadline - this.cells[NOW]!
    if (left <= 0) return
    const list = marks[this.parts.classes.classOf(left)]!
    list.add(this.#zones.sequence[vzone]!, page, this.found.record)
    if (deadline > list.lastDeadlineMs) list.lastDeadlineMs = deadline
  }
}

/** Into a page: all of `from` at once, or the beginning of it byte by byte, which makes no object for the part. */
export function copyBytes(from: Uint8Array, to: Uint8Array, at: number, count: number): void {
  if (count > 32 && count === from.length) {
    to.set(from, at)
    return
  }
  for (let index = 0; index < count; index++) to[at + index] = from[index]!
}
