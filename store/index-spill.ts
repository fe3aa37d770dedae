/**
 * Entries that found no slot in their two buckets: hardly ever any, unless the same 36 bits come more often than two buckets
 * have slots. Searched from end to end; tried again when the table grows.
 */
import { HOME_BITS } from './index-offsets.js'

export class IndexSpill {
  count = 0
  #hashes = new Int32Array(16)
  #jumps = new Int32Array(16)
  #pages = new Int32Array(16)
  /** Tag bits that are known of each. */
  #known = new Int32Array(16)

  get memoryBytes(): number {
    return this.#hashes.byteLength * 4
  }

  hashOf(i: number): number {
    return this.#hashes[i]!
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

  push(hash: number, jump: number, page: number, known: number): void {
    if (this.count === this.#hashes.length) this.#widen()
    const i = this.count++
    this.#hashes[i] = hash
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
    this.#hashes[i] = this.#hashes[last]!
    this.#jumps[i] = this.#jumps[last]!
    this.#pages[i] = this.#pages[last]!
    this.#known[i] = this.#known[last]!
  }

  /** Whether the entry may be of a key with this hash and jump. */
  matches(i: number, hash: number, jump: number): boolean {
    if (this.#jumps[i] !== jump) return false
    return ((this.#hashes[i]! ^ hash) & ((1 << (HOME_BITS + this.#known[i]!)) - 1)) === 0
  }

  #widen(): void {
    this.#hashes = widened(this.#hashes)
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
