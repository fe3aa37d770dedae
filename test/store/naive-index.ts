/**
 * What an index of objects means, in the plainest way: a multiset of (place, tag, locator), by key and by zone.
 */
export class NaiveIndex {
  /** Zones that are open, in no order. */
  readonly openZones: number[] = []
  /** By key, `place:tag`: how often each locator. */
  readonly #keys = new Map<string, Map<number, number>>()
  /** By locator: the keys that are there, one for each time. */
  readonly #locators = new Map<number, string[]>()
  readonly #entries = new Map<number, number>()

  constructor(readonly pagesPerZone: number) {}

  get entries(): number {
    return this.openZones.reduce((sum, zone) => sum + this.entriesOf(zone), 0)
  }

  get keys(): string[] {
    return [...this.#keys.keys()]
  }

  entriesOf(zone: number): number {
    return this.#entries.get(zone) ?? 0
  }

  hasSomethingAt(locator: number): boolean {
    return (this.#locators.get(locator)?.length ?? 0) > 0
  }

  locatorsOf(key: string): ReadonlyMap<number, number> {
    return this.#keys.get(key) ?? new Map()
  }

  openZone(zone: number): void {
    this.openZones.push(zone)
  }

  dropZone(zone: number): void {
    this.openZones.splice(this.openZones.indexOf(zone), 1)
    const first = zone * this.pagesPerZone
    for (let locator = first; locator < first + this.pagesPerZone; locator++) {
      for (const key of this.#locators.get(locator) ?? []) this.#forget(key, locator)
      this.#locators.delete(locator)
    }
    this.#entries.delete(zone)
  }

  insert(key: string, locator: number): void {
    const locators = this.#keys.get(key) ?? new Map<number, number>()
    this.#keys.set(key, locators.set(locator, (locators.get(locator) ?? 0) + 1))
    this.#locators.set(locator, [...(this.#locators.get(locator) ?? []), key])
    this.#count(locator, 1)
  }

  remove(key: string, locator: number): boolean {
    if (!this.locatorsOf(key).has(locator)) return false
    this.#forget(key, locator)
    const there = this.#locators.get(locator)!
    there.splice(there.indexOf(key), 1)
    this.#count(locator, -1)
    return true
  }

  #count(locator: number, change: number): void {
    const zone = Math.floor(locator / this.pagesPerZone)
    this.#entries.set(zone, this.entriesOf(zone) + change)
  }

  #forget(key: string, locator: number): void {
    const locators = this.#keys.get(key)!
    const left = locators.get(locator)! - 1
    if (left > 0) locators.set(locator, left)
    else locators.delete(locator)
    if (locators.size === 0) this.#keys.delete(key)
  }
}
