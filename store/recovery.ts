/**
 * Rebuilds the store from what is on its device, without reading the objects.
 *
 * Zones whose last deadline has passed are reset unread. Of all others the indexes of groups are read; slabs only where a zone was
 * still being written, after its last index. Marks are gathered first, and what they name is not entered. The write pointer
 * is the commit point: what lies before it is what was written.
 */
import { sideBySide } from '../devices/index.js'
import type { ZoneDescriptor } from '../zone-model/index.js'
import type { Engine } from './engine.js'
import { StoreError } from './errors.js'
import { PAGE_BYTES } from './layout.js'
import type { SharedContext } from './writer-context.js'
import { isSameStore, type StoreIdentity, type ZoneHeader } from './zone-header.js'
import type { ZoneIo } from './zone-io.js'
import { type OpenedZone, ZoneLoader } from './zone-loader.js'
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
const MARKS_SHARE = 0.6
/** So many zones are read at a time. */
const ZONES_AT_A_TIME = 32
/** Others of the process wait no longer for their turn than this and a zone. */
const TURN_MS = 25

const POINTED = ['implicit-open', 'explicit-open', 'closed', 'full']

export class Recovery {
  readonly #scanner: ZoneScanner
  readonly #found: FoundZone[] = []
  readonly #empty: number[] = []
  readonly #readOnly: number[] = []
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
    const used: { physical: number; pages: number }[] = []
    for (const [physical, zone] of report.entries()) {
      if (zone.type === 'conventional') continue
      const pages = this.#pagesOf(zone)
      if (zone.condition === 'read-only') this.#readOnly.push(physical)
      if (pages < 0) this.#zonesFailed++
      else if (pages === 0) this.#empty.push(physical)
      else if (format) await this.#wipe(physical)
      else used.push({ physical, pages })
    }
    const headers = await this.#besides(used, 0, HEADERS_SHARE, ({ physical }) =>
      this.#scanner.header(physical),
    )
    for (const [at, { physical, pages }] of used.entries()) {
      const header = headers[at]!
      if (header === null) {
        unknown.push(physical)
        continue
      }
      if (header.pagesPerZone !== this.pagesPerZone) throw foreign(physical)
      identity ??= header.identity
      if (!isSameStore(identity, header.identity)) throw foreign(physical)
      this.#found.push({ physical, header, pages })
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

  /** Work that reads, of many zones at a time; of the whole start it is from one part to another. */
  #besides<Item, Result>(
    items: readonly Item[],
    from: number,
    to: number,
    work: (item: Item) => Promise<Result>,
  ): Promise<Result[]> {
    let done = 0
    return sideBySide(items, ZONES_AT_A_TIME, async item => {
      const result = await work(item)
      this.#tell(from + ((to - from) * ++done) / items.length)
      return result
    })
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
    this.#found.sort((a, b) => a.header.sequence - b.header.sequence)
    const scanned = await this.#besides(this.#found, HEADERS_SHARE, INDEXES_SHARE, zone =>
      this.#scan(zone, nowMs),
    )
    let zonesExpired = 0
    for (const [at, { physical }] of this.#found.entries()) {
      if (scanned[at] !== null) continue
      await this.io.device.reset(physical)
      zones.giveFree(physical)
      zonesExpired++
    }
    const wanted = scanned.filter(zone => zone !== null)
    const named = await this.#enter(wanted, engine, context)
    const newest = this.#found.at(-1)?.header.sequence ?? 0
    keeper.nextZoneSequence = Math.max(named, newest) + 1
    return {
      zones: wanted.length,
      zonesExpired,
      objects: engine.parts.index.entries,
      pagesRead: this.#scanner.pagesRead,
      groupsLost: wanted.reduce((sum, zone) => sum + zone.damagedGroups, 0),
      zonesFailed: this.#zonesFailed,
    }
  }

  /** What a zone held that cannot be written any more is lost; what it says of others is not, as far as it can be read. */
  async #gatherMarksOf(physical: number, loader: ZoneLoader): Promise<void> {
    try {
      const header = await this.#scanner.header(physical)
      const known = this.#found[0]?.header.identity
      if (header === null || known === undefined || !isSameStore(known, header.identity)) return
      await loader.read(await this.#scanner.scan(physical, header, this.pagesPerZone))
    } catch {
      // It is counted as failed.
    }
  }

  /** Gives the largest sequence of a zone that was ever opened, as far as marks know. */
  async #enter(
    wanted: readonly ScannedZone[],
    engine: Engine,
    context: SharedContext,
  ): Promise<number> {
    const { index, writers } = engine.parts
    const load = index.beginLoad()
    const loader = new ZoneLoader(this.#scanner, engine, context, load)
    for (const physical of this.#readOnly) await this.#gatherMarksOf(physical, loader)
    const read = await this.#besides(wanted, INDEXES_SHARE, MARKS_SHARE, zone => loader.read(zone))
    const classes = this.#classesOf(wanted, writers.length)
    const turn = new Turn()
    const opened: OpenedZone[] = []
    for (const [at, zone] of read.entries()) {
      opened.push(loader.open(zone, classes[at]!))
      if (turn.isLong) await turn.end()
    }
    load.begin()
    for (const [at, zone] of opened.entries()) {
      loader.enter(zone)
      this.#tell(1 - ((1 - MARKS_SHARE) * (opened.length - at - 1)) / opened.length)
      if (turn.isLong) await turn.end()
    }
    while (load.settleSome()) if (turn.isLong) await turn.end()
    index.finishLoad(load)
    return loader.zoneSequenceMax
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

  /** Null when everything in the zone is past. */
  async #scan({ physical, header, pages }: FoundZone, nowMs: number): Promise<ScannedZone | null> {
    if (pages < this.pagesPerZone) return this.#scanner.scan(physical, header, pages)
    const end = await this.#scanner.endOf(physical, header)
    if (end !== null && end.trailer.lastDeadlineMs <= nowMs) return null
    return this.#scanner.scan(physical, header, pages, end)
  }
}

/** Work that waits for nothing, in pieces: others of the process have their turns between. */
class Turn {
  #begun = performance.now()

  get isLong(): boolean {
    return performance.now() - this.#begun > TURN_MS
  }

  async end(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#begun = performance.now()
  }
}

function foreign(physical: number): StoreError {
  return new StoreError(
    'STORE_ERR_FOREIGN',
    `zone ${physical} of the device holds data that is not this store's: name another device, or open it with format: true, which erases everything on it`,
  )
}
