/**
 * `eviction: 'reinsert'`: before the zone of least use goes, its hottest records are written anew.
 *
 * A victim is chosen as soon as objects have taken the last zone that is free, so that what moves has room. It is gone
 * through page by page: in memory a page with every `set`, so that no `set` waits for a zone; on a drive in the background.
 * A record moves if it was read often enough of late, and at most a quarter of the zone does; how often is often enough
 * follows from how much moved the last time. When objects need the victim's room earlier, it goes as far as it got.
 */
import type { Clock } from './clock.js'
import { type Engine, FOUND } from './engine.js'
import type { Heat } from './heat.js'
import { AT_KIND, KIND_RUN, PAGE_BYTES } from './layout.js'
import { PageRecords } from './page-records.js'
import { runPagesAt } from './run.js'
import type { ZoneIo } from './zone-io.js'
import { ZoneScanner } from './zone-scan.js'

/** Of a zone's bytes. */
const MOVED_SHARE = 0.25
const LEVEL_MIN = 1
const LEVEL_MAX = 3

export class Reinserter {
  #level = LEVEL_MIN
  #page = 1
  /** Bytes that may still move. */
  #room = 0
  #isReading = false
  #isStopped = false
  readonly #records = new PageRecords()

  constructor(
    private readonly engine: Engine,
    private readonly io: ZoneIo,
    private readonly heat: Heat,
    private readonly clock: Clock,
  ) {}

  /** The device is about to be closed. */
  stop(): void {
    this.#isStopped = true
  }

  /** Called when a `set` is done: nothing else uses the engine. */
  step(): void {
    const { keeper, pagesPerZone, zones } = this.engine.parts
    if (keeper.moving < 0 && !(keeper.isMoveDue && this.#begin())) return
    const vzone = keeper.moving
    const view = keeper.views[vzone]
    if (view === null || view === undefined) {
      if (!this.#isReading) void this.#readAll(vzone)
      return
    }
    const { bytes } = view
    const base = this.#page * PAGE_BYTES
    const kind = bytes[base + AT_KIND]!
    const pages = kind === KIND_RUN ? runPagesAt(bytes, base) : 1
    this.#take(kind, bytes, base, vzone * pagesPerZone + this.#page)
    this.#page += pages
    const isOver = this.#page >= zones.pagesUsed[vzone]! || this.#room <= 0
    if (keeper.moving === vzone && isOver) this.#end(vzone)
  }

  #begin(): boolean {
    const { keeper, pagesPerZone } = this.engine.parts
    if (keeper.beginMove() < 0) return false
    this.#page = 1
    this.#room = pagesPerZone * PAGE_BYTES * MOVED_SHARE
    return true
  }

  /** Moves what is hot in a page, or in all pages of a run. */
  #take(kind: number, bytes: Uint8Array, base: number, locator: number): void {
    const records = this.#records
    records.begin(kind, bytes, base)
    while (records.next()) this.#move(locator, bytes, base, records.keyAt, records.keyBytes)
  }

  #end(vzone: number): void {
    const { keeper, pagesPerZone } = this.engine.parts
    const isTooMuch = this.#room <= 0
    const isLittle = this.#room > (pagesPerZone * PAGE_BYTES * MOVED_SHARE) / 2
    if (isTooMuch) this.#level = Math.min(LEVEL_MAX, this.#level + 1)
    else if (isLittle) this.#level = Math.max(LEVEL_MIN, this.#level - 1)
    keeper.drop(vzone, 'evicted')
  }

  /** Writes a record anew if it is hot, alive, and the only one that the index knows by its hash. */
  #move(locator: number, bytes: Uint8Array, base: number, keyAt: number, keyBytes: number): void {
    const { engine } = this
    const { keys, index, ledger, keeper } = engine.parts
    if (this.#room <= 0) return
    engine.loadKeyIn(bytes, keyAt, keyBytes)
    if (this.heat.of(keys.place, keys.tag) < this.#level) return
    // Another candidate may be a newer copy whose burial is under way.
    if (index.find(keys.place, keys.tag) !== 1 || index.found[0] !== locator) return
    if (!engine.findInPage(locator, bytes, base)) return
    this.clock.read(engine.cells)
    if (!engine.foundLives()) return
    const { valueAt, valueBytes, recordBytes } = engine.found
    keeper.isReinserting = true
    const result = engine.put(bytes.subarray(valueAt, valueAt + valueBytes), valueBytes)
    keeper.isReinserting = false
    if (result < 0) return
    this.#room -= recordBytes
    ledger.payload -= recordBytes
    ledger.reinserted += recordBytes
    keeper.recordsMoved++
    // On a drive the old copy still counts: it goes with its zone, and is not lost.
    if (result !== FOUND) keeper.recordsLost--
  }

  async #readAll(vzone: number): Promise<void> {
    const { keeper, pagesPerZone, zones } = this.engine.parts
    const sequence = zones.sequence[vzone]
    const physical = zones.physical[vzone]!
    const isCurrent = () =>
      !this.#isStopped && keeper.moving === vzone && zones.sequence[vzone] === sequence
    const all = { physical, tailPage: 1, pages: zones.pagesUsed[vzone]! }
    this.#isReading = true
    try {
      await this.io.idle(physical)
      for await (const found of new ZoneScanner(this.io.device, pagesPerZone).tail(all)) {
        if (!isCurrent() || this.#room <= 0) break
        this.#take(found.kind, found.bytes, found.base, vzone * pagesPerZone + found.page)
      }
    } catch {
      // What cannot be read stays behind, and whoever asks for it is told why.
    } finally {
      this.#isReading = false
    }
    if (isCurrent()) this.#end(vzone)
  }
}
