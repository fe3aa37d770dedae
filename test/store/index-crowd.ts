/**
 * An index of very many entries, and the plainest memory of them: columns.
 */
import { expect } from 'vitest'
import type { IndexLoader } from '../../store/index-loader.js'
import { ObjectIndex } from '../../store/object-index.js'
import { Prng } from '../fakes/prng.js'

/** Different places, and different tags. */
export const HASHES = 1 << 18

/** Gives a loader entries, as many at a time as a group may have. */
export function enterAll(
  loader: IndexLoader,
  entries: readonly (readonly [place: number, tag: number, page: number])[],
  atOnce: number,
): void {
  for (let from = 0; from < entries.length; from += atOnce) {
    const some = entries.slice(from, from + atOnce)
    loader.hold(some.length)
    for (const [i, [place, tag, page]] of some.entries()) {
      loader.places[i] = place
      loader.tags[i] = tag
      loader.pages[i] = page
    }
    loader.enter(some.length)
  }
}

/** Many entries, of which typed arrays remember all. */
export class Crowd {
  readonly index: ObjectIndex
  readonly #places: Int32Array
  readonly #tags: Int32Array
  readonly #locators: Int32Array
  readonly #prng = new Prng(20261121)
  count = 0

  constructor(
    readonly pagesPerZone: number,
    zones: number,
    max: number,
  ) {
    this.index = new ObjectIndex({ pagesPerZone, zones })
    this.#places = new Int32Array(max)
    this.#tags = new Int32Array(max)
    this.#locators = new Int32Array(max)
  }

  insert(locator: number): void {
    const i = this.count++
    this.#places[i] = this.#prng.below(HASHES)
    this.#tags[i] = this.#prng.below(HASHES)
    this.#locators[i] = locator
    if (!this.index.insert(this.#places[i], this.#tags[i], locator)) expect.fail(`entry ${i}`)
  }

  /** Objects that lie in order, so many to a page, from a page on: all at once, into an empty index. */
  load(first: number, objects: number, perPage: number): void {
    const loader = this.index.beginLoad()
    for (let i = 0; i < objects; i++) {
      this.#places[i] = this.#prng.below(HASHES)
      this.#tags[i] = this.#prng.below(HASHES)
      this.#locators[i] = first + ((i / perPage) | 0)
      loader.tell(this.#locators[i]!, 1)
    }
    loader.begin()
    loader.hold(objects)
    for (let i = 0; i < objects; i++) {
      loader.places[i] = this.#places[i]!
      loader.tags[i] = this.#tags[i]!
      loader.pages[i] = loader.pageOf(this.#locators[i]!)
    }
    loader.enter(objects)
    this.index.finishLoad(loader)
    this.count = objects
  }

  /** Objects that lie in order, so many to a page, from the first page of a zone on. */
  fill(zone: number, objects: number, perPage: number): void {
    const first = zone * this.pagesPerZone
    for (let i = 0; i < objects; i++) this.insert(first + ((i / perPage) | 0))
  }

  /** Candidates that `find` gives in vain, an entry, after each was found where it is. */
  check(isGone: (locator: number) => boolean = () => false): number {
    let vain = 0
    for (let i = 0; i < this.count; i++) {
      const candidates = this.index.find(this.#places[i]!, this.#tags[i]!)
      const found = this.index.found.subarray(0, candidates)
      const isThere = found.includes(this.#locators[i]!)
      if (isThere === isGone(this.#locators[i]!)) expect.fail(`entry ${i}: ${isThere}`)
      vain += candidates - (isThere ? 1 : 0)
    }
    return vain / this.count
  }

  removeAll(): void {
    for (let i = 0; i < this.count; i++) {
      if (!this.index.remove(this.#places[i]!, this.#tags[i]!, this.#locators[i]!)) {
        expect.fail(`entry ${i}`)
      }
    }
    this.count = 0
  }
}
