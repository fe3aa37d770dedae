/**
 * All marks of a store: which records on its device are dead. A restart enters none of these, and a check counts none.
 *
 * For each zone a sorted list of numbers, page × 256 + record, so four bytes a mark and a search in the list.
 */
import { MarkList, readMarks } from './marks.js'
import { marksPages } from './marks-pages.js'
import type { ScannedZone, ZoneScanner } from './zone-scan.js'

/** The dead records of one zone. */
export class DeadRecords {
  #spots = new Uint32Array(16)
  #length = 0
  #isSorted = true

  add(page: number, record: number): void {
    if (this.#length === this.#spots.length) {
      const wider = new Uint32Array(this.#length * 2)
      wider.set(this.#spots)
      this.#spots = wider
    }
    this.#spots[this.#length++] = page * 256 + record
    this.#isSorted = false
  }

  has(page: number, record: number): boolean {
    const spot = page * 256 + record
    const at = this.#firstFrom(spot)
    return at < this.#length && this.#spots[at] === spot
  }

  /** How many of the page's first `records` records are dead. */
  countIn(page: number, records: number): number {
    const end = page * 256 + records
    let count = 0
    let before = -1
    for (let i = this.#firstFrom(page * 256); i < this.#length && this.#spots[i]! < end; i++) {
      // The same copy may have been marked twice.
      if (this.#spots[i] !== before) count++
      before = this.#spots[i]!
    }
    return count
  }

  #firstFrom(spot: number): number {
    if (!this.#isSorted) {
      this.#spots = this.#spots.slice(0, this.#length).sort()
      this.#isSorted = true
    }
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#spots[middle]! < spot) low = middle + 1
      else high = middle
    }
    return low
  }
}

export class MarkBook {
  /** Of all zones that marks name, those that are no more among them. */
  zoneSequenceMax = 0
  /** By zone sequence. */
  readonly #dead = new Map<number, DeadRecords>()

  /** Adds the marks that lie in a zone. Rejects when the device does. */
  async gather(scanner: ZoneScanner, zone: ScannedZone): Promise<void> {
    const list = new MarkList()
    for await (const { bytes, base } of marksPages(scanner, zone)) readMarks(bytes, base, list)
    this.add(list)
  }

  add(list: MarkList): void {
    for (let index = 0; index < list.length; index++) {
      const sequence = list.zoneSequenceOf(index)
      let dead = this.#dead.get(sequence)
      if (dead === undefined) {
        dead = new DeadRecords()
        this.#dead.set(sequence, dead)
        this.zoneSequenceMax = Math.max(this.zoneSequenceMax, sequence)
      }
      dead.add(list.pageOf(index), list.recordOf(index))
    }
  }

  /** Null when no mark names the zone. */
  deadOf(zoneSequence: number): DeadRecords | null {
    return this.#dead.get(zoneSequence) ?? null
  }

  isDead(zoneSequence: number, page: number, record: number): boolean {
    return this.#dead.get(zoneSequence)?.has(page, record) ?? false
  }
}
