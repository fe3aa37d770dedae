/**
 * Goes through all objects, zone by zone in the order in which zones were opened.
 *
 * A cursor names a page: `<zone sequence>.<page>`. An object that is written anew moves to a zone that comes later, so what was there
 * all the time is seen at least once; something written meanwhile is seen or not, and perhaps twice.
 */
import { NOW } from './cells.js'
import type { Clock } from './clock.js'
import type { DriveReader } from './drive-reader.js'
import type { Engine } from './engine.js'
import { StoreError } from './errors.js'
import { AT_KIND, KIND_RUN } from './layout.js'
import { PageRecords } from './page-records.js'
import { runPagesAt } from './run.js'

export interface ScannedObject {
  readonly key: Buffer
  readonly valueBytes: number
  /** Milliseconds left; Infinity without. */
  readonly ttl: number
}

export interface ScanPage {
  readonly objects: readonly ScannedObject[]
  /** Where to go on; null: this was the end. */
  readonly cursor: string | null
}

interface Position {
  readonly sequence: number
  readonly page: number
}

export class Scanner {
  readonly #records = new PageRecords()

  constructor(
    private readonly engine: Engine,
    private readonly reader: DriveReader,
    private readonly clock: Clock,
  ) {}

  /** Objects from a cursor on, a few more than `count` as a rule; pages are taken whole. */
  async scan(cursor: string | null, count: number): Promise<ScanPage> {
    const objects: ScannedObject[] = []
    let position: Position | null = parseCursor(cursor)
    while (position !== null && objects.length < count) {
      position = await this.#page(position, objects)
    }
    return { objects, cursor: position === null ? null : `${position.sequence}.${position.page}` }
  }

  /** The zone in use with this sequence, or the next one. */
  #zoneFrom(sequence: number): number {
    const { zones } = this.engine.parts
    let next = -1
    for (const vzone of zones.virtualOf) {
      if (vzone < 0 || !zones.isInUse(vzone) || zones.sequence[vzone]! < sequence) continue
      if (next < 0 || zones.sequence[vzone]! < zones.sequence[next]!) next = vzone
    }
    return next
  }

  async #page(position: Position, objects: ScannedObject[]): Promise<Position | null> {
    const { zones, pagesPerZone } = this.engine.parts
    const vzone = this.#zoneFrom(position.sequence)
    if (vzone < 0) return null
    const sequence = zones.sequence[vzone]!
    const page = sequence === position.sequence ? position.page : 1
    if (page >= zones.pagesUsed[vzone]!) return { sequence: sequence + 1, page: 1 }
    const locator = vzone * pagesPerZone + page
    const found = this.engine.pageAt(locator) ?? (await this.reader.pageAt(locator))
    let pages = 1
    if (found !== null) {
      const { bytes, base } = found
      const kind = bytes[base + AT_KIND]!
      this.#list(kind, bytes, base, locator, objects)
      if (kind === KIND_RUN) pages = runPagesAt(bytes, base)
    }
    return { sequence, page: page + pages }
  }

  #list(kind: number, bytes: Uint8Array, base: number, locator: number, to: ScannedObject[]): void {
    const records = this.#records
    records.begin(kind, bytes, base)
    while (records.next()) {
      const { keyAt, keyBytes, valueBytes, deadlineMs, record } = records
      const key = Buffer.from(bytes.subarray(keyAt, keyAt + keyBytes))
      this.#add(to, key, valueBytes, deadlineMs, locator, record)
    }
  }

  /** Only what lives, and what the index still names here. */
  #add(
    objects: ScannedObject[],
    key: Buffer,
    valueBytes: number,
    deadlineMs: number,
    locator: number,
    record: number,
  ): void {
    const { engine } = this
    const { index, keys } = engine.parts
    this.clock.read(engine.cells)
    const nowMs = engine.cells[NOW]!
    if (deadlineMs <= nowMs || !engine.loadKey(key)) return
    const count = index.find(keys.place, keys.tag)
    if (!index.found.subarray(0, count).includes(locator)) return
    if (engine.twins.has(locator * 256 + record)) return
    objects.push({ key, valueBytes, ttl: deadlineMs - nowMs })
  }
}

function parseCursor(cursor: string | null): Position {
  if (cursor === null) return { sequence: 0, page: 1 }
  const match = /^(\d{1,10})\.(\d{1,8})$/.exec(cursor)
  if (match !== null) return { sequence: Number(match[1]), page: Number(match[2]) }
  const message = `the cursor ${JSON.stringify(cursor.slice(0, 40))} is none that scan gave: begin without one`
  throw new StoreError('STORE_ERR_OPTION', message)
}
