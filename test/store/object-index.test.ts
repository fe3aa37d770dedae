/**
 * The index against a naive one: random inserts, removals, replacements, openings and drops of zones, in shapes that force
 * what is rare: many entries of one hash, locators that outgrow their bits, tables that double, ids that come back.
 */
import { describe, expect, test } from 'vitest'
import { DIRECT_SLOTS_MAX } from '../../store/index-loader.js'
import { ObjectIndex } from '../../store/object-index.js'
import { Prng } from '../fakes/prng.js'
import { Crowd, enterAll, HASHES } from './index-crowd.js'
import { NaiveIndex } from './naive-index.js'

interface Shape {
  readonly name: string
  readonly pagesPerZone: number
  readonly zones: number
  /** Different places and tags. */
  readonly places: number
  readonly tags: number
  readonly operations: number
  /** Of an operation: that it takes an entry out, moves one, opens a zone (dropping one if it must). */
  readonly remove: number
  readonly replace: number
  readonly turnover: number
}

const SHAPES: readonly Shape[] = [
  {
    name: 'all kinds of keys',
    ...{ pagesPerZone: 64, zones: 40, places: HASHES, tags: HASHES },
    ...{ operations: 40_000, remove: 0.15, replace: 0.15, turnover: 0.001 },
  },
  {
    name: 'few hashes: one may be there more often than two buckets can hold',
    ...{ pagesPerZone: 16, zones: 30, places: 5, tags: 3 },
    ...{ operations: 6_000, remove: 0.3, replace: 0.2, turnover: 0.01 },
  },
  {
    name: 'tags that differ in the bits that are lost first',
    ...{ pagesPerZone: 1024, zones: 100, places: 300, tags: HASHES },
    ...{ operations: 15_000, remove: 0.2, replace: 0.3, turnover: 0.02 },
  },
  {
    name: 'zones come and go faster than the hand',
    ...{ pagesPerZone: 4, zones: 8, places: HASHES, tags: HASHES },
    ...{ operations: 10_000, remove: 0.05, replace: 0.1, turnover: 0.2 },
  },
  {
    name: 'the largest locators',
    ...{ pagesPerZone: 1 << 14, zones: 4095, places: HASHES, tags: HASHES },
    ...{ operations: 15_000, remove: 0.1, replace: 0.2, turnover: 0.01 },
  },
]

class Pair {
  readonly index: ObjectIndex
  readonly model: NaiveIndex
  candidates = 0
  finds = 0

  constructor(
    readonly shape: Shape,
    readonly prng: Prng,
  ) {
    this.index = new ObjectIndex(shape)
    this.model = new NaiveIndex(shape.pagesPerZone)
    this.open()
    // As after a restart.
    if (prng.chance(0.6)) this.load()
  }

  /** Entries of several zones, page by page. */
  load(): void {
    const { index, model, prng, shape } = this
    while (model.openZones.length < shape.zones && prng.chance(0.7)) this.open()
    const count = prng.below(prng.pick([10, 1000, shape.operations]))
    const pages = new Map<number, string[]>()
    for (let i = 0; i < count; i++) {
      const locator = this.randomLocator()
      // The same hash may be there more than once, in one page or in several.
      const keys = model.keys
      const again = i < 100 && keys.length > 0 && prng.chance(0.2)
      const key = again ? prng.pick(keys) : this.randomKey()
      pages.set(locator, [...(pages.get(locator) ?? []), key])
      model.insert(key, locator)
    }
    const loader = index.beginLoad(prng.chance(0.5) ? 0 : DIRECT_SLOTS_MAX)
    for (const [locator, keys] of pages) loader.tell(locator, keys.length)
    loader.begin()
    const entries = [...pages].flatMap(([locator, keys]) => {
      const page = loader.pageOf(locator)
      return keys.map(key => [...numbers(key), page] as const)
    })
    enterAll(loader, entries, prng.pick([1, 100, 5000]))
    index.finishLoad(loader)
    expect(index.entries).toBe(count)
    for (const key of model.keys) this.check(key)
    for (const zone of model.openZones) {
      expect(index.entriesOf(zone)).toBe(model.entriesOf(zone))
    }
  }

  open(): void {
    const { index, model } = this
    if (model.openZones.length === this.shape.zones) this.drop()
    const zone = index.openZone()
    expect(model.openZones).not.toContain(zone)
    expect(zone).toBeGreaterThan(0)
    model.openZone(zone)
  }

  drop(): void {
    const zone = this.prng.pick(this.model.openZones)
    expect(this.index.entriesOf(zone)).toBe(this.model.entriesOf(zone))
    this.index.dropZone(zone)
    this.model.dropZone(zone)
    expect(this.index.entriesOf(zone)).toBe(0)
  }

  randomKey(): string {
    return `${this.prng.below(this.shape.places)}:${this.prng.below(this.shape.tags)}`
  }

  randomLocator(): number {
    const { pagesPerZone } = this.shape
    return this.prng.pick(this.model.openZones) * pagesPerZone + this.prng.below(pagesPerZone)
  }

  insert(key: string, locator: number): void {
    const [place, tag] = numbers(key)
    expect(this.index.insert(place, tag, locator)).toBe(true)
    this.model.insert(key, locator)
  }

  remove(key: string, locator: number): void {
    const [place, tag] = numbers(key)
    expect(this.index.remove(place, tag, locator)).toBe(this.model.remove(key, locator))
  }

  replace(key: string, from: number, to: number): void {
    const [place, tag] = numbers(key)
    const { index } = this
    const found = index.found.subarray(0, index.find(place, tag))
    const nth = found.indexOf(from)
    if (nth >= 0 && nth === found.lastIndexOf(from)) {
      expect(index.replaceFound(place, tag, nth, to)).toBe(true)
    } else expect(index.replace(place, tag, from, to)).toBe(true)
    this.model.remove(key, from)
    this.model.insert(key, to)
  }

  /** Everything that the model has under the key is found, and all that is found is of something in an open zone. */
  check(key: string): void {
    const [place, tag] = numbers(key)
    const count = this.index.find(place, tag)
    const found = [...this.index.found.subarray(0, count)]
    for (const [locator, times] of this.model.locatorsOf(key)) {
      const seen = found.filter(one => one === locator).length
      if (seen < times) expect.fail(`${key} at ${locator}: found ${seen} of ${times}`)
    }
    for (const locator of found) {
      if (!this.model.hasSomethingAt(locator)) expect.fail(`${key}: nothing lies at ${locator}`)
    }
    this.finds++
    this.candidates += count
  }
}

function numbers(key: string): [number, number] {
  const [place, tag] = key.split(':')
  return [Number(place), Number(tag)]
}

function run(pair: Pair): void {
  const { shape, prng, model } = pair
  const keys: string[] = []
  for (let step = 0; step < shape.operations; step++) {
    if (prng.chance(shape.turnover)) pair.open()
    if (prng.chance(shape.turnover / 2) && model.openZones.length > 1) pair.drop()
    const key = keys.length > 0 ? prng.pick(keys) : pair.randomKey()
    const locator = [...model.locatorsOf(key).keys()][0]
    const dice = prng.next() / 2 ** 32
    if (locator !== undefined && dice < shape.remove) pair.remove(key, locator)
    else if (locator !== undefined && dice < shape.remove + shape.replace) {
      pair.replace(key, locator, pair.randomLocator())
    } else {
      const fresh = pair.randomKey()
      if (keys.length < 100_000) keys.push(fresh)
      pair.insert(fresh, pair.randomLocator())
    }
    pair.check(key)
    if (step % 5000 === 0) expect(pair.index.entries).toBe(model.entries)
  }
}

describe('growth', () => {
  test('a dense table: hardly a candidate in vain, and all are found', () => {
    const crowd = new Crowd(16384, 20, 300_000)
    const zone = crowd.index.openZone()
    for (let i = 1; i <= 300_000; i++) {
      crowd.insert(zone * 16384 + ((i / 28) | 0))
      if (i > 80_000 && i % 5000 === 0) {
        const { entries, states, plane } = crowd.index.memoryBytes()
        expect(plane).toBe(0)
        expect((entries + states) / i).toBeLessThan(4.31)
      }
    }
    expect(crowd.check()).toBeLessThan((2 * 300_000) / 2 ** 31)
    crowd.removeAll()
    expect(crowd.index.entries).toBe(0)
    expect(crowd.check()).toBeNaN()
  })

  test.each([
    1, 20, 300, 5000, 70_000, 131_072, 200_000, 300_000,
  ])('a load of %d: a table as dense as by inserts, and all are found', objects => {
    const crowd = new Crowd(16384, 20, objects)
    const { index } = crowd
    const zone = index.openZone()
    crowd.load(zone * 16384, objects, 28)
    expect(index.entries).toBe(objects)
    const { entries, states } = index.memoryBytes()
    if (objects > 80_000) expect((entries + states) / objects).toBeLessThan(4.31)
    expect(crowd.check()).toBeLessThan((3 * objects) / 2 ** 31)
    crowd.removeAll()
    expect(index.entries).toBe(0)
  })

  test('a load of large objects: tags are in the plane', () => {
    const crowd = new Crowd(4096, 30, 300_000)
    const { index } = crowd
    for (let zone = 0; zone < 4; zone++) index.openZone()
    crowd.load(4096, 256, 1 / 64)
    expect(index.memoryBytes().plane).toBeGreaterThan(0)
    expect(crowd.check()).toBeLessThan(0.001)
    for (let zone = 0; zone < 10; zone++) crowd.fill(index.openZone(), 29_000, 28)
    expect(index.memoryBytes().plane).toBe(0)
    expect(crowd.check()).toBeLessThan(0.001)
  })

  test('a load with more of a hash than two buckets hold: what is pushed out for them is found too', () => {
    const index = new ObjectIndex({ pagesPerZone: 64, zones: 100 })
    const locator = index.openZone() * 64 + 1
    const prng = new Prng(4)
    const keys = Array.from({ length: 2000 }, () => [prng.below(HASHES), prng.below(HASHES)])
    for (const key of keys.slice(0, 20)) for (let i = 1; i < 40; i++) keys.push(key)
    const loader = index.beginLoad()
    loader.tell(locator, keys.length)
    loader.begin()
    const page = loader.pageOf(locator)
    enterAll(
      loader,
      keys.map(([place, tag]) => [place!, tag!, page]),
      700,
    )
    index.finishLoad(loader)
    expect(index.entries).toBe(keys.length)
    for (const [at, [place, tag]] of keys.entries()) {
      const copies = at < 20 || at >= 2000 ? 40 : 1
      expect(index.find(place!, tag!)).toBeGreaterThanOrEqual(copies)
    }
    for (const [place, tag] of keys) expect(index.remove(place!, tag!, locator)).toBe(true)
    expect(index.entries).toBe(0)
  })

  test('a load into a table that was in use and is empty again', () => {
    const crowd = new Crowd(64, 400, 100_000)
    const { index } = crowd
    // Pages that grow, so that buckets keep fewer bits, and some lag behind.
    for (let zone = 0; zone < 200; zone++) crowd.fill(index.openZone(), 20, 0.5)
    crowd.removeAll()
    crowd.load(64, 60_000, 28)
    expect(crowd.check()).toBeLessThan(0.001)
  })

  test('large objects first: tags move to the plane, and back when small ones come', () => {
    const crowd = new Crowd(4096, 30, 300_000)
    const { index } = crowd
    for (let zone = 0; zone < 4; zone++) crowd.fill(index.openZone(), 64, 1 / 64)
    expect(index.memoryBytes().plane).toBeGreaterThan(0)
    expect(crowd.check()).toBeLessThan(0.001)
    for (let zone = 0; zone < 10; zone++) {
      crowd.fill(index.openZone(), 29_000, 28)
      expect(index.entriesOf(5 + zone)).toBe(29_000)
    }
    expect(index.memoryBytes().plane).toBe(0)
    expect(crowd.check()).toBeLessThan(0.001)
  })

  test('a dropped zone is gone at once, and its slots serve others', () => {
    const crowd = new Crowd(1024, 12, 400_000)
    const { index } = crowd
    for (let zone = 0; zone < 8; zone++) crowd.fill(index.openZone(), 25_000, 28)
    const { slots } = index
    index.dropZone(2)
    index.dropZone(2)
    index.dropZone(5)
    expect(index.entries).toBe(150_000)
    const isGone = (locator: number) => ((locator / 1024) | 0) === 2 || ((locator / 1024) | 0) === 5
    expect(crowd.check(isGone)).toBeLessThan(0.001)
    const zone = index.openZone()
    expect(zone).toBe(9)
    crowd.fill(zone, 28_000, 28)
    expect(index.slots).toBeLessThan(slots * 1.05)
    expect(index.openZone()).toBe(2)
    expect(crowd.check(isGone)).toBeLessThan(0.001)
  })
})

test('of two keys that differ in a bit that half of the buckets have lost, the right one is removed', () => {
  const crowd = new Crowd(64, 100, 64_000)
  const { index } = crowd
  const zone = index.openZone()
  for (let i = 0; i < 58_000; i++) crowd.insert(zone * 64 + (i & 63))
  const prng = new Prng(3)
  const pairs = Array.from({ length: 3000 }, () => [prng.below(HASHES), prng.below(1 << 15)])
  for (const [place, tag] of pairs) {
    index.insert(place!, tag!, zone * 64)
    index.insert(place!, tag! | (1 << 15), zone * 64)
  }
  // More blocks: pages of one bit more, so all entries keep a bit less. Each insert brings one bucket up to date.
  for (let i = 0; i < 40; i++) crowd.insert(index.openZone() * 64)
  for (let i = 0; i < 2000; i++) crowd.insert(zone * 64 + (i & 63))
  for (const [place, tag] of pairs) expect(index.remove(place!, tag!, zone * 64)).toBe(true)
  for (const [place, tag] of pairs) {
    const count = index.find(place!, tag! | (1 << 15))
    if (!index.found.subarray(0, count).includes(zone * 64)) expect.fail(`${place}:${tag}`)
  }
  expect(crowd.check()).toBeLessThan(1)
})

describe('limits', () => {
  test('zones that are not open take nothing', () => {
    const index = new ObjectIndex({ pagesPerZone: 64, zones: 4 })
    expect(index.insert(1, 2, 70)).toBe(false)
    const zone = index.openZone()
    expect(index.insert(1, 2, zone * 64 + 6)).toBe(true)
    expect(index.replace(1, 2, zone * 64 + 6, 3 * 64)).toBe(false)
    expect(index.remove(1, 2, 3 * 64)).toBe(false)
    expect(index.remove(1, 2, zone * 64 + 6)).toBe(true)
    expect(index.remove(1, 2, zone * 64 + 6)).toBe(false)
    expect(index.entries).toBe(0)
  })

  test('a table for as many objects as there is room for, and no more', () => {
    const index = new ObjectIndex({ pagesPerZone: 64, zones: 40 })
    const zone = index.openZone()
    const prng = new Prng(1)
    let count = 0
    while (index.insert(prng.below(HASHES), prng.below(HASHES), zone * 64 + (count & 63))) count++
    expect(count).toBeGreaterThan(64 * 40 * 64)
    expect(index.entries).toBe(count)
  })

  test('a load of more than there is room for', () => {
    const index = new ObjectIndex({ pagesPerZone: 4, zones: 2 })
    const zone = index.openZone()
    const prng = new Prng(1)
    const loader = index.beginLoad()
    loader.tell(zone * 4 + 1, 200_000)
    loader.begin()
    const page = loader.pageOf(zone * 4 + 1)
    for (let i = 0; i < 200_000; i++) {
      enterAll(loader, [[prng.below(HASHES), prng.below(HASHES), page]], 1)
    }
    index.finishLoad(loader)
    expect(index.entries).toBeGreaterThan(index.slots * 0.97)
    expect(index.entries).toBeLessThanOrEqual(index.slots)
    expect(index.insert(1, 2, zone * 4 + 1)).toBe(false)
    expect(() => index.beginLoad()).toThrow(/full index/)
  })

  test('what no entry can hold is refused', () => {
    const refused = { pagesPerZone: 1 << 18, zones: 256 }
    expect(() => new ObjectIndex(refused)).toThrow(/256 zones of 262144 pages.*67108864/)
    expect(() => new ObjectIndex({ pagesPerZone: 1, zones: 4 })).toThrow(RangeError)
    expect(() => new ObjectIndex({ pagesPerZone: 4, zones: Number.NaN })).toThrow(RangeError)
    const index = new ObjectIndex({ pagesPerZone: 64, zones: 2 })
    for (let i = 0; i < 2 + 64; i++) index.openZone()
    expect(() => index.openZone()).toThrow(/drop one/)
  })
})

describe('random operations', () => {
  test.each(SHAPES)('$name', shape => {
    const pair = new Pair(shape, Prng.fromEnvironment(shape.name))
    run(pair)
    expect(pair.index.entries).toBe(pair.model.entries)
    for (const key of pair.model.keys) pair.check(key)
    for (const zone of pair.model.openZones) {
      expect(pair.index.entriesOf(zone)).toBe(pair.model.entriesOf(zone))
    }
  })
})
