/**
 * Entries that found no slot in their two buckets: hardly ever any, unless the same 36 bits come more often than two buckets
 * have slots. Searched from end to end; tried again when the table grows.
 */

export class IndexSpill {
  count = 0
  #homes = new Int32Array(16)
  #tags = new Int32Array(16)
  #jumps = new Int32Array(16)
  #pages = new Int32Array(16)
  /** Tag bits that are known of each. */
  #known = new Int32Array(16)

  get memoryBytes(): number {
    return this.#homes.byteLength * 5
  }

  homeOf(i: number): number {
    return this.#homes[i]!
  }

  tagOf(i: number): number {
    return this.#tags[i]!
  }

  jumpOf(i: number): number {
    return this.#jumps[i]!
  }

  pageOf(i: number): number {
    return this.#pages[i]!
  }

  knownOf(i: number): number {
    return this.#known[i]!
  }

  push(home: number, tag: number, jump: number, page: number, known: number): void {
    if (this.count === this.#homes.length) this.#widen()
    const i = this.count++
    this.#homes[i] = home
    this.#tags[i] = tag
    this.#jumps[i] = jump
    this.#pages[i] = page
    this.#known[i] = known
  }

  setPage(i: number, page: number): void {
    this.#pages[i] = page
  }

  /** The last takes the place of the one removed. */
  remove(i: number): void {
    const last = --this.count
    this.#homes[i] = this.#homes[last]!
    this.#tags[i] = this.#tags[last]!
    this.#jumps[i] = this.#jumps[last]!
    this.#pages[i] = this.#pages[last]!
    this.#known[i] = this.#known[last]!
  }

  /** Whether the entry may be of a key with this home, tag and jump. */
  matches(i: number, home: number, tag: number, jump: number): boolean {
    if (this.#homes[i] !== home || this.#jumps[i] !== jump) return false
    return ((this.#tags[i]! ^ tag) & ((1 << this.#known[i]!) - 1)) === 0
  }

  #widen(): void {
    this.#homes = widened(this.#homes)
    this.#tags = widened(this.#tags)
    this.#jumps = widened(this.#jumps)
    this.#pages = widened(this.#pages)
    this.#known = widened(this.#known)
  }
}

function widened(column: Int32Array): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(column.length * 2)
  wider.set(column)
  return wider
}
