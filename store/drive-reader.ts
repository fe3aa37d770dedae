/**
 * Reads pages from the drive and finds the key in them: what the engine could not answer from memory.
 *
 * A miss costs one page read; keys that share a page share the read. While a read is under way the world goes on: the zone may
 * be reset, the record written anew. So after it the index is asked again, and only a page that it still names counts.
 */
import { type Engine, FOUND, MISSING, ON_DRIVE } from './engine.js'
import { StoreError } from './errors.js'
import { KIND_SLAB, kindOf, PAGE_BYTES, PAGE_SECTORS } from './layout.js'
import { isRunStart, isWholeRun } from './run.js'
import { sequenceOf } from './slab.js'
import type { ZoneIo } from './zone-io.js'

/** In the place of a page that is there and cannot be read, or is not what was written. */
const DAMAGED = new Uint8Array(0)

export class DriveReader {
  /** Pages that could not be read, or were not what had been written: their objects are lost. */
  damaged = 0
  pages = 0
  withoutKey = 0
  readonly #underWay = new Map<number, Promise<Uint8Array | null>>()

  constructor(
    private readonly engine: Engine,
    private readonly io: ZoneIo,
    /** Loads a key and the time into the engine again, after others have used it. */
    private readonly load: (key: Uint8Array) => void,
  ) {}

  /**
   * Calls `use` with FOUND (then the engine's `found…` fields say what) or MISSING, and gives what it gives. Nobody else can
   * touch the engine between the finding and the use.
   *
   * @throws StoreError DAMAGED: it was not found, and may have been in a page that is damaged
   */
  async resolve<T>(key: Uint8Array, use: (result: number) => T): Promise<T> {
    for (;;) {
      this.load(key)
      const result = this.engine.find()
      if (result !== ON_DRIVE) return use(result)
      const locators = this.#candidates()
      const pages = await Promise.all(locators.map(locator => this.#page(locator)))
      this.load(key)
      if (this.engine.find() === FOUND) return use(FOUND)
      // What came or went meanwhile is looked at again.
      const now = this.#candidates()
      if (now.some(locator => !locators.includes(locator))) continue
      const found = this.#newest(now, locators, pages)
      const lost = now.find(locator => pages[locators.indexOf(locator)] === DAMAGED)
      if (found === MISSING && lost !== undefined) throw this.#damage(lost)
      return use(found)
    }
  }

  /**
   * Pages that may hold the key at hand, each once: two records of a page that the index cannot tell apart are two entries of
   * it, and what is found there must not be taken for two copies.
   */
  #candidates(): number[] {
    const { onDrive, onDriveCount } = this.engine
    return [...new Set(onDrive.subarray(0, onDriveCount))]
  }

  #damage(locator: number): StoreError {
    const { pagesPerZone, zones } = this.engine.parts
    const vzone = Math.floor(locator / pagesPerZone)
    const where = `zone ${zones.physical[vzone]}, page ${locator - vzone * pagesPerZone}`
    const why = 'it cannot be read, or is not what was written, and the object may have been there'
    const next = 'set it again; a check of the store names all pages that are damaged'
    return new StoreError('STORE_ERR_DAMAGED', `${where}: ${why}: ${next}`)
  }

  /** Of the copies in these pages the newest counts; older ones are buried. */
  #newest(
    wanted: readonly number[],
    locators: readonly number[],
    pages: readonly (Uint8Array | null)[],
  ): number {
    const { engine } = this
    const copies = wanted
      .map(locator => ({ locator, page: pages[locators.indexOf(locator)] }))
      .filter(({ locator, page }) => {
        const isIt = page != null && page !== DAMAGED && engine.findInPage(locator, page, 0)
        if (!isIt) this.withoutKey++
        return isIt
      })
      .sort((a, b) => sequenceOf(b.page!, 0) - sequenceOf(a.page!, 0))
    for (const { locator, page } of copies.slice(1)) {
      engine.findInPage(locator, page!, 0)
      engine.bury()
    }
    const [first] = copies
    if (first === undefined) return MISSING
    engine.findInPage(first.locator, first.page!, 0)
    return FOUND
  }

  /**
   * After a key was written: buries the copies of it on the drive that were there before, in pages that the index still names.
   */
  async buryOlder(key: Uint8Array, found: readonly number[]): Promise<void> {
    const locators = [...new Set(found)]
    const pages = await Promise.all(locators.map(locator => this.#page(locator)))
    this.load(key)
    const { engine } = this
    const { index, keys } = engine.parts
    locators.forEach((locator, at) => {
      const page = pages[at]
      const count = index.find(keys.place, keys.tag)
      if (!index.found.subarray(0, count).includes(locator)) return
      if (page == null || page === DAMAGED || !engine.findInPage(locator, page, 0)) {
        this.withoutKey++
        return
      }
      engine.bury()
    })
  }

  /** A page of a zone in use; null when it is gone or damaged. */
  async pageAt(locator: number): Promise<{ bytes: Uint8Array; base: number } | null> {
    const bytes = await this.#page(locator)
    return bytes === null || bytes === DAMAGED ? null : { bytes, base: 0 }
  }

  /** A page, or all pages of a run; null when the zone is gone, DAMAGED when it is not. */
  #page(locator: number): Promise<Uint8Array | null> {
    const known = this.#underWay.get(locator)
    if (known !== undefined) return known
    const reading = this.#read(locator).finally(() => this.#underWay.delete(locator))
    this.#underWay.set(locator, reading)
    return reading
  }

  async #read(locator: number): Promise<Uint8Array | null> {
    const { pagesPerZone, zones } = this.engine.parts
    const vzone = Math.floor(locator / pagesPerZone)
    const page = locator - vzone * pagesPerZone
    const sequence = zones.sequence[vzone]
    const physical = zones.physical[vzone]!
    if (physical < 0) return null
    const start = physical * this.io.device.geometry.zoneSizeSectors + page * PAGE_SECTORS
    try {
      await this.io.written(physical, page)
      const bytes = await this.#take(start, zones.pagesAt(vzone, page))
      if (zones.sequence[vzone] !== sequence || !zones.isInUse(vzone)) return null
      if (!isRunStart(bytes, 0)) return this.#checked(bytes, kindOf(bytes, 0) === KIND_SLAB)
      return this.#checked(bytes, isWholeRun(bytes, 0))
    } catch {
      if (!zones.isInUse(vzone) || zones.sequence[vzone] !== sequence) return null
      this.damaged++
      return (await this.#isOffline(physical)) ? null : DAMAGED
    }
  }

  /** What was in such a zone is gone for good: that is no damage, but a loss. */
  async #isOffline(physical: number): Promise<boolean> {
    try {
      const [zone] = await this.io.device.report({ firstZone: physical, zoneCount: 1 })
      return zone?.condition === 'offline'
    } catch {
      return false
    }
  }

  #checked(bytes: Uint8Array, isWhole: boolean): Uint8Array {
    if (!isWhole) this.damaged++
    return isWhole ? bytes : DAMAGED
  }

  async #take(sector: number, pages: number): Promise<Uint8Array> {
    const bytes = this.io.device.allocate(pages * PAGE_BYTES)
    this.pages += pages
    await this.io.device.read(sector, bytes)
    return bytes
  }
}
