/**
 * How often keys were read of late: a counter of 0 to 3 for each of many hashes, after the sketch of TinyLFU (Einziger,
 * Friedman, Manes, 2017) with one row. Keys that share a counter share their heat.
 *
 * Every read ages a part of the counters, so that all of them are halved once in as many reads as there are counters times
 * AGEING_READS: there is no moment at which all are.
 */

const COUNT_MAX = 3
/** Reads for each counter that is halved. */
const AGEING_READS = 8
const COUNTERS_MIN = 2 ** 12
const COUNTERS_MAX = 2 ** 24
/** A slab of 4 KiB holds 28 records of 144 bytes, of which few are read often. */
const COUNTERS_A_PAGE = 8

export class Heat {
  readonly #counters: Uint8Array
  readonly #mask: number
  #hand = 0
  #reads = 0

  /** `pages`: of the whole store. */
  constructor(pages: number) {
    const wanted = Math.min(COUNTERS_MAX, Math.max(COUNTERS_MIN, pages * COUNTERS_A_PAGE))
    this.#counters = new Uint8Array(2 ** Math.ceil(Math.log2(wanted)))
    this.#mask = this.#counters.length - 1
  }

  /** A key with this hash was read. */
  note(place: number, tag: number): void {
    const counters = this.#counters
    const at = this.#at(place, tag)
    if (counters[at]! < COUNT_MAX) counters[at]!++
    if (++this.#reads < AGEING_READS) return
    this.#reads = 0
    counters[this.#hand]! >>>= 1
    this.#hand = (this.#hand + 1) & this.#mask
  }

  /** 0 to 3. */
  of(place: number, tag: number): number {
    return this.#counters[this.#at(place, tag)]!
  }

  get memoryBytes(): number {
    return this.#counters.length
  }

  /** `place` and `tag` have 18 bits each. */
  #at(place: number, tag: number): number {
    return (place ^ (tag << 6)) & this.#mask
  }
}
