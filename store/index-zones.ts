/**
 * The zones that index entries name, by virtual id: which are live, and how many entries of the table name each.
 *
 * A dropped zone's entries stay in the table until the hand, an insert or a split comes by; its id is free again when none is
 * left, which its count tells. So dropping costs the same whatever the zone held, and no id is given out while an old entry
 * names it. Id 0 is never given out: locator 0 is an empty slot.
 */

const FREE = 0
const LIVE = 1
const DROPPED = 2

export class IndexZones {
  /** Ids that wait for the table to forget them. */
  dropped = 0
  /** Entries that name live zones. */
  entries = 0
  readonly #pagesPerZone: number
  readonly #states: Uint8Array
  /** Entries in the table that name the zone, live or not. */
  readonly #counts: Uint32Array
  /** No id below is free. */
  #lowest = 1

  constructor(pagesPerZone: number, ids: number) {
    this.#pagesPerZone = pagesPerZone
    this.#states = new Uint8Array(ids)
    this.#states[0] = DROPPED
    this.#counts = new Uint32Array(ids)
  }

  get memoryBytes(): number {
    return this.#states.byteLength + this.#counts.byteLength
  }

  /** The smallest free id, now live; -1 when every id is in use. */
  open(): number {
    const zone = this.#states.indexOf(FREE, this.#lowest)
    if (zone < 0) return -1
    this.#lowest = zone + 1
    this.#states[zone] = LIVE
    return zone
  }

  drop(zone: number): void {
    if (zone === 0 || this.#states[zone] !== LIVE) return
    this.entries -= this.#counts[zone]!
    this.#states[zone] = DROPPED
    this.dropped++
    if (this.#counts[zone] === 0) this.#free(zone)
  }

  /** Records of a live zone; 0 of any other. */
  entriesOf(zone: number): number {
    return this.#states[zone] === LIVE ? this.#counts[zone]! : 0
  }

  isLive(locator: number): boolean {
    return this.#states[(locator / this.#pagesPerZone) | 0] === LIVE
  }

  /** An entry with the locator of a live zone came into the table. */
  note(locator: number): void {
    const zone = (locator / this.#pagesPerZone) | 0
    this.#counts[zone]!++
    this.entries++
  }

  /** An entry left the table. */
  forget(locator: number): void {
    const zone = (locator / this.#pagesPerZone) | 0
    const left = this.#counts[zone]! - 1
    this.#counts[zone] = left
    if (this.#states[zone] === LIVE) this.entries--
    else if (left === 0) this.#free(zone)
  }

  #free(zone: number): void {
    this.#states[zone] = FREE
    this.dropped--
    if (zone < this.#lowest) this.#lowest = zone
  }
}
