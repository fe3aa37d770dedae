/**
 * Looks at everything that a store has on its device: reads every page, verifies every checksum, counts what lives.
 *
 * Nothing is written. No store may be open on the device meanwhile. It reads at the speed of the device, and holds the marks
 * and the index of one group in memory, not the objects.
 *
 * What counts as damaged: a page that an index speaks of and that is not what it says, though it may be whole: its records have
 * other keys; all pages of an index that does not have its checksum (then the records of its group are lost, though their slabs
 * may be whole); a page of a zone that is still being written which is nothing, or is older than its place, or a second time
 * there. Not so the beginning of an index whose end a power cut took.
 */
import { type DeviceOptions, type DeviceTarget, openDevice } from '../devices/index.js'
import type { ZoneDescriptor, ZonedDevice } from '../zone-model/index.js'
import { StoreError } from './errors.js'
import { PAGE_BYTES } from './layout.js'
import { MarkBook } from './mark-book.js'
import type { StoreIdentity, ZoneHeader } from './zone-header.js'
import { isSameStore } from './zone-header.js'
import { ZoneScanner } from './zone-scan.js'
import { type WalkedZone, ZoneWalker } from './zone-walk.js'

export interface CheckOptions {
  /** As in `open`. */
  readonly device: DeviceTarget | ZonedDevice
  /** Now, in ms since the epoch. */
  readonly nowMs?: number | undefined
  /** Called after every megabyte or so. */
  readonly onProgress?: ((pages: number, pagesTotal: number) => void) | undefined
}

/** A zone with something on it. */
export interface CheckedZone extends WalkedZone {
  /** Its number on the device. */
  readonly zone: number
  /** Null when its header is damaged: then nobody knows. */
  readonly lifetimeClass: number | null
  /** Up to the write pointer. */
  readonly pages: number
  /** What is wrong with the zone as a whole, or null. */
  readonly problem: string | null
}

export interface StoreCheck {
  /** Those with something on them, in the order of the device. */
  readonly zones: readonly CheckedZone[]
  readonly zonesEmpty: number
  /** Read-only or offline: not looked at. */
  readonly zonesFailed: number
  readonly pages: number
  readonly records: number
  readonly live: number
  readonly damagedPages: number
  /** Nothing is damaged. */
  readonly isWhole: boolean
}

interface UsedZone {
  readonly physical: number
  readonly pages: number
  readonly header: ZoneHeader | null
  readonly problem: string | null
}

const POINTED = ['implicit-open', 'explicit-open', 'closed', 'full']
const READ_ONLY: DeviceOptions = { readOnly: true }

/**
 * Checks the store on a device.
 *
 * @throws DeviceError the device cannot be opened
 * @throws StoreError FOREIGN no zone that was written is a store's
 */
export async function checkStore(options: CheckOptions): Promise<StoreCheck> {
  const { device: target, nowMs = Date.now() } = options
  const isOpen = typeof target !== 'string' && 'geometry' in target
  const device = isOpen ? target : await openDevice(target, READ_ONLY)
  try {
    return await new Checker(device, nowMs, options.onProgress ?? (() => {})).run()
  } finally {
    // The caller's device stays the caller's.
    if (!isOpen) await device.dispose()
  }
}

class Checker {
  readonly #pagesPerZone: number
  readonly #scanner: ZoneScanner
  readonly #used: UsedZone[] = []
  #zonesEmpty = 0
  #zonesFailed = 0

  constructor(
    private readonly device: ZonedDevice,
    private readonly nowMs: number,
    private readonly onProgress: (pages: number, pagesTotal: number) => void,
  ) {
    this.#pagesPerZone = Math.floor(device.geometry.zoneCapacityBytes / PAGE_BYTES)
    this.#scanner = new ZoneScanner(device, this.#pagesPerZone)
  }

  async run(): Promise<StoreCheck> {
    await this.#inspect()
    const marks = new MarkBook()
    for (const { physical, header, pages } of this.#used) {
      if (header !== null) await this.#gather(marks, physical, header, pages)
    }
    const total = this.#used.reduce((sum, { pages }) => sum + pages, 0)
    const zones: CheckedZone[] = []
    let before = 0
    for (const used of this.#used) {
      zones.push(await this.#walk(used, marks, done => this.onProgress(before + done, total)))
      before += used.pages
    }
    const sum = (of: (zone: CheckedZone) => number) =>
      zones.reduce((all, zone) => all + of(zone), 0)
    return {
      zones,
      zonesEmpty: this.#zonesEmpty,
      zonesFailed: this.#zonesFailed,
      pages: total,
      records: sum(zone => zone.records),
      live: sum(zone => zone.live),
      damagedPages: sum(zone => zone.damagedPages.length),
      isWhole: zones.every(zone => zone.damagedPages.length === 0 && zone.problem === null),
    }
  }

  /** Finds the zones in use, and whose they are: the store that most of them name. */
  async #inspect(): Promise<void> {
    const found: { physical: number; pages: number; header: ZoneHeader | null }[] = []
    for (const [physical, zone] of (await this.device.report()).entries()) {
      if (zone.type === 'conventional') continue
      const pages = this.#pagesOf(zone)
      if (pages < 0) this.#zonesFailed++
      else if (pages === 0) this.#zonesEmpty++
      else found.push({ physical, pages, header: await this.#headerOf(physical) })
    }
    const owner = ownerOf(found.flatMap(({ header }) => (header === null ? [] : [header.identity])))
    if (owner === null && found.length > 0) {
      throw new StoreError(
        'STORE_ERR_FOREIGN',
        `none of the ${found.length} zones that were written has the header of a store: what is on the device is of another program`,
      )
    }
    for (const { header, ...zone } of found) {
      const problem = problemOf(header, owner, this.#pagesPerZone)
      this.#used.push({ ...zone, header: problem === null ? header : null, problem })
    }
  }

  async #headerOf(physical: number): Promise<ZoneHeader | null> {
    return this.#scanner.header(physical).catch(() => null)
  }

  /** Pages up to the write pointer; -1: the zone cannot be read, or not be written. */
  #pagesOf(zone: ZoneDescriptor): number {
    if (zone.condition === 'empty') return 0
    if (!POINTED.includes(zone.condition)) return -1
    if (zone.condition === 'full') return this.#pagesPerZone
    return Math.floor(((zone.wpSector - zone.startSector) * 512) / PAGE_BYTES)
  }

  async #gather(
    marks: MarkBook,
    physical: number,
    header: ZoneHeader,
    pages: number,
  ): Promise<void> {
    try {
      await marks.gather(this.#scanner, await this.#scanner.scan(physical, header, pages))
    } catch {
      // A device that does not read says so again when the zone is walked.
    }
  }

  async #walk(
    { physical, header, pages, problem }: UsedZone,
    marks: MarkBook,
    onPages: (pages: number) => void,
  ): Promise<CheckedZone> {
    const walker = new ZoneWalker(this.#scanner, marks, this.nowMs, this.#pagesPerZone, onPages)
    let why = problem
    try {
      await walker.walk(physical, header, pages)
    } catch (error) {
      why = `it cannot be read to the end: ${error instanceof Error ? error.message : String(error)}`
    }
    const lifetimeClass = header?.lifetimeClass ?? null
    return { zone: physical, lifetimeClass, pages, problem: why, ...walker.result }
  }
}

/** The store that most headers name, or null without any. */
function ownerOf(identities: readonly StoreIdentity[]): StoreIdentity | null {
  const counts = new Map<string, { identity: StoreIdentity; count: number }>()
  for (const identity of identities) {
    const id = Buffer.from(identity.id).toString('hex')
    counts.set(id, { identity, count: (counts.get(id)?.count ?? 0) + 1 })
  }
  const [most] = [...counts.values()].sort((a, b) => b.count - a.count)
  return most?.identity ?? null
}

function problemOf(
  header: ZoneHeader | null,
  owner: StoreIdentity | null,
  pagesPerZone: number,
): string | null {
  if (header === null) return "its header is damaged, or was never a store's"
  if (owner !== null && !isSameStore(owner, header.identity)) return 'it belongs to another store'
  if (header.pagesPerZone === pagesPerZone) return null
  return `it was written with zones of ${header.pagesPerZone} pages, and has ${pagesPerZone}`
}
