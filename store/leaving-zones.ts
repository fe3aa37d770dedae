/**
 * Zones that were evicted, or that the device gave up, while marks lay in them: marks of dead copies in zones that stay. A
 * restart would bring those copies back, so the marks go with the next commit into other zones, and only then is the zone
 * reset. What the zone held besides is lost at once.
 *
 * The order, which power cuts test (test/store/life.ts): the marks elsewhere, a flush, the reset, a flush. A commit that
 * began after the eviction ends after all of it: a delete of an evicted key that it made durable stays one.
 */
import { NOW } from './cells.js'
import type { LifetimeClasses } from './lifetime-classes.js'
import { MarkList, readMarks } from './marks.js'
import { marksPages } from './marks-pages.js'
import type { ZoneIo } from './zone-io.js'
import { ZoneScanner } from './zone-scan.js'
import type { Zones } from './zones.js'

export interface LeavingParts {
  readonly io: ZoneIo
  readonly zones: Zones
  readonly pagesPerZone: number
  /** For the next commit, by lifetime class. */
  readonly marks: readonly MarkList[]
  readonly classes: LifetimeClasses
  readonly cells: Float64Array
}

interface LeavingZone {
  readonly physical: number
  readonly sequence: number
  readonly pages: number
  /** The device has not failed: it can be reset. */
  readonly isUsable: boolean
  /** Its marks are in the lists, or on the drive elsewhere. */
  isCarried: boolean
}

export class LeavingZones {
  readonly #leaving = new Set<LeavingZone>()

  constructor(private readonly parts: LeavingParts) {}

  get count(): number {
    return this.#leaving.size
  }

  add(zone: Pick<LeavingZone, 'physical' | 'sequence' | 'pages' | 'isUsable'>): void {
    this.#leaving.add({ ...zone, isCarried: false })
  }

  /** Puts their marks into the lists of the commit that begins. Gives the zones, for `reset` behind it. */
  async carry(): Promise<readonly LeavingZone[]> {
    const leaving = [...this.#leaving]
    for (const zone of leaving) {
      if (!zone.isCarried) await this.#carry(zone)
      zone.isCarried = true
    }
    return leaving
  }

  /** Their marks are durable elsewhere. Resolves when the resets are done, as far as the device can. */
  async reset(leaving: readonly LeavingZone[]): Promise<void> {
    const { io, zones } = this.parts
    for (const zone of leaving) {
      this.#leaving.delete(zone)
      if (!zone.isUsable) continue
      io.reset(zone.physical, isReset => {
        if (isReset) zones.giveFree(zone.physical)
      })
    }
    await io.settled()
    await io.flush()
  }

  /**
   * What cannot be read is lost: of a zone that went offline. What its marks named lives again after the next restart, if it
   * has not expired by then.
   */
  async #carry({ physical, pages }: LeavingZone): Promise<void> {
    const { io, pagesPerZone } = this.parts
    const scanner = new ZoneScanner(io.device, pagesPerZone)
    const wanted = this.#sequencesWanted()
    try {
      await io.idle(physical)
      const header = await scanner.header(physical)
      if (header === null) return
      const zone = await scanner.scan(physical, header, pages)
      for await (const { bytes, base } of marksPages(scanner, zone)) {
        this.#take(bytes, base, wanted)
      }
    } catch {
      // The device said why when it refused; there is nothing else to read the marks from.
    }
  }

  /** Zones whose copies a restart would find. */
  #sequencesWanted(): Set<number> {
    const { zones } = this.parts
    const wanted = new Set<number>()
    for (const vzone of zones.virtualOf) if (vzone >= 0) wanted.add(zones.sequence[vzone]!)
    // Among those that leave together one may be reset, and the power cut, before the other is.
    for (const { sequence } of this.#leaving) wanted.add(sequence)
    return wanted
  }

  #take(bytes: Uint8Array, base: number, wanted: ReadonlySet<number>): void {
    const { classes, marks, cells } = this.parts
    const found = new MarkList()
    readMarks(bytes, base, found)
    const left = found.lastDeadlineMs - cells[NOW]!
    if (left <= 0) return
    const list = marks[classes.classOf(left)]!
    const before = list.length
    for (let index = 0; index < found.length; index++) {
      const sequence = found.zoneSequenceOf(index)
      if (wanted.has(sequence)) list.add(sequence, found.pageOf(index), found.recordOf(index))
    }
    // A page of which nothing is needed must not keep the zone that the others come into.
    if (list.length === before) return
    list.lastDeadlineMs = Math.max(list.lastDeadlineMs, found.lastDeadlineMs)
  }
}
