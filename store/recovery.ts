/**
 * Rebuilds the store from what is on its device, without reading the objects.
 *
 * Zones whose last deadline has passed are reset unread. Of all others the indexes of groups are read; slabs only where a zone was
 * still being written, after its last index. Marks are gathered first, and what they name is not entered. The write pointer
 * is the commit point: what lies before it is what was written.
 */
import type { ZoneDescriptor } from '../zone-model/index.js'
import type { Engine } from './engine.js'
import { StoreError } from './errors.js'
import { PAGE_BYTES } from './layout.js'
import type { SharedContext } from './writer-context.js'
import { isSameStore, type StoreIdentity, type ZoneHeader } from './zone-header.js'
import type { ZoneIo } from './zone-io.js'
import { ZoneLoader } from './zone-loader.js'
import { type ScannedZone, ZoneScanner } from './zone-scan.js'

/** What a start found. */
export interface RecoveryReport {
  readonly zones: number
  /** Reset unread: their last deadline had passed. */
  readonly zonesExpired: number
  readonly objects: number
  readonly pagesRead: number
  /** Groups whose index was damaged: what was in them is lost. */
  readonly groupsLost: number
  /** Zones that are read-only or offline now, or whose header is damaged: what was in them is lost. */
  readonly zonesFailed: number
}

interface FoundZone {
  readonly physical: number
  readonly header: ZoneHeader
  readonly pages: number
}

/** Of the time of a start, roughly: headers, then indexes; the rest is entering what they say. */
const HEADERS_SHARE = 0.1
const INDEXES_SHARE = 0.5

const POINTED = ['implicit-open', 'explicit-open', 'closed', 'full']

export class Recovery {
  readonly #scanner: ZoneScanner
  readonly #found: FoundZone[] = []
  readonly #empty: number[] = []
  #zonesFailed = 0

  constructor(
    private readonly io: ZoneIo,
    private readonly pagesPerZone: number,
    /** So many zones are used at most. */
    private readonly zonesMax: number,
    private readonly onProgress: (zones: number, zonesTotal: number) => void = () => {},
  ) {
    this.#scanner = new ZoneScanner(io.device, pagesPerZone)
  }

  /**
   * Looks at the first page of every zone. Gives whose the device is, or null: nobody's.
   *
   * @throws StoreError FOREIGN
   */
  async inspect(format: boolean): Promise<StoreIdentity | null> {
    const { geometry } = this.io.device
    let identity: StoreIdentity | null = null
    const unknown: number[] = []
    const report = await this.io.device.report()
    for (const [physical, zone] of report.entries()) {
      this.#tell((HEADERS_SHARE * physical) / report.length)
      if (zone.type === 'conventional') continue
      const pages = this.#pagesOf(zone)
      if (pages < 0) this.#zonesFailed++
      else if (pages === 0) this.#empty.push(physical)
      else if (format) await this.#wipe(physical)
      else {
        const header = await this.#scanner.header(physical)
        if (header === null) {
          unknown.push(physical)
          continue
        }
        if (header.pagesPerZone !== this.pagesPerZone) throw foreign(physical)
        identity ??= header.identity
        if (!isSameStore(identity, header.identity)) throw foreign(physical)
        this.#found.push({ physical, header, pages })
      }
    }
    // Among zones of a store, one without a header is damaged: what was in it is lost, and it is left as it is.
    if (unknown.length > 0 && identity === null) throw foreign(unknown[0]!)
    this.#zonesFailed += unknown.length
    if (this.#found.length + this.#empty.length < 2) {
      const why = `${geometry.zoneCount} zones, of which ${this.#empty.length} can be written`
      throw new StoreError(
        'STORE_ERR_DEVICE',
        `${why}: a store needs two sequential zones at least`,
      )
    }
    return identity
  }

  /** Of the zones that `inspect` found. */
  get headers(): ZoneHeader[] {
    return this.#found.map(({ header }) => header)
  }

  /** `part`: 0 to 1. */
  #tell(part: number): void {
    const { zoneCount } = this.io.device.geometry
    this.onProgress(Math.round(part * zoneCount), zoneCount)
  }

  async #wipe(physical: number): Promise<void> {
    await this.io.device.reset(physical)
    this.#empty.push(physical)
  }

  /** Pages up to the write pointer; -1: the zone cannot be used. */
  #pagesOf(zone: ZoneDescriptor): number {
    if (zone.condition === 'empty') return 0
    if (!POINTED.includes(zone.condition)) return -1
    if (zone.condition === 'full') return this.pagesPerZone
    return Math.floor(((zone.wpSector - zone.startSector) * 512) / PAGE_BYTES)
  }

  /** Enters everything that is still wanted into the engine's index and tables. */
  async load(engine: Engine, context: SharedContext, nowMs: number): Promise<RecoveryReport> {
    const { zones, keeper } = engine.parts
    // From the highest on, so that the first to be taken is the first of the device.
    const wantedEmpty = this.#empty.slice(0, this.zonesMax - this.#found.length)
    for (const physical of wantedEmpty.reverse()) zones.giveFree(physical)
    const wanted: ScannedZone[] = []
    let zonesExpired = 0
    this.#found.sort((a, b) => a.header.sequence - b.header.sequence)
    for (const [at, zone] of this.#found.entries()) {
      const part = at / this.#found.length
      this.#tell(HEADERS_SHARE + (INDEXES_SHARE - HEADERS_SHARE) * part)
      if (await this.#isPast(zone, nowMs)) {
        await this.io.device.reset(zone.physical)
        zones.giveFree(zone.physical)
        zonesExpired++
      } else wanted.push(await this.#scanner.scan(zone.physical, zone.header, zone.pages))
    }
    const groups = wanted.flatMap(zone => zone.groups)
    engine.parts.index.reserve(groups.reduce((sum, { trailer }) => sum + trailer.records, 0))
    const loader = new ZoneLoader(this.#scanner, engine, context)
    for (const zone of wanted) await loader.gatherMarks(zone)
    const classes = this.#classesOf(wanted, engine.parts.writers.length)
    for (const [at, zone] of wanted.entries()) {
      await loader.enter(zone, classes[at]!)
      this.#tell(1 - ((1 - INDEXES_SHARE) * (wanted.length - at - 1)) / wanted.length)
    }
    loader.rememberTwins()
    keeper.nextZoneSequence = loader.zoneSequenceMax + 1
    return {
      zones: wanted.length,
      zonesExpired,
      objects: engine.parts.index.entries,
      pagesRead: this.#scanner.pagesRead,
      groupsLost: wanted.reduce((sum, zone) => sum + zone.damagedGroups, 0),
      zonesFailed: this.#zonesFailed,
    }
  }

  /**
   * Which class goes on with each zone, -1 for none. A class's newest part-filled zone is its own; another one goes to the nearest
   * class that has none: a part-filled zone that nobody writes would stay active, and the device counts those.
   */
  #classesOf(wanted: readonly ScannedZone[], classCount: number): number[] {
    const isTaken = new Array<boolean>(classCount).fill(false)
    const classes = wanted.map(() => -1)
    const open = wanted.flatMap(({ pages }, at) => (pages < this.pagesPerZone ? [at] : []))
    const wish = (at: number) => Math.min(wanted[at]!.header.lifetimeClass, classCount - 1)
    for (const at of open.reverse()) {
      if (isTaken[wish(at)]) continue
      classes[at] = wish(at)
      isTaken[wish(at)] = true
    }
    for (const at of open) {
      if (classes[at]! >= 0) continue
      const free = isTaken.flatMap((taken, each) => (taken ? [] : [each]))
      free.sort((a, b) => Math.abs(a - wish(at)) - Math.abs(b - wish(at)))
      classes[at] = free[0] ?? -1
      if (free[0] !== undefined) isTaken[free[0]] = true
    }
    return classes
  }

  async #isPast({ physical, header, pages }: FoundZone, nowMs: number): Promise<boolean> {
    if (pages < this.pagesPerZone) return false
    const trailer = await this.#scanner.fullZoneTrailer(physical, header)
    return trailer !== null && trailer.lastDeadlineMs <= nowMs
  }
}

function foreign(physical: number): StoreError {
  return new StoreError(
    'STORE_ERR_FOREIGN',
    `zone ${physical} of the device holds data that is not this store's: name another device, or open it with format: true, which erases everything on it`,
  )
}
