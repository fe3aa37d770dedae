/**
 * The index against a naive one: random inserts, removals, replacements, openings and drops of zones, in shapes that force
 * what is rare: many entries of one hash, locators that outgrow their bits, tables that double, ids that come back.
 */
import { describe, expect, test } from 'vitest'
import { ObjectIndex } from '../../store/object-index.js'
import { Prng } from '../fakes/prng.js'
import { NaiveIndex } from './naive-index.js'

const HASHES = 1 << 18

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
    ...{ operations: 70_000, remove: 0.15, replace: 0.15, turnover: 0.001 },
  },
  {
    name: 'few hashes: one may be there more often than two buckets can hold',
    ...{ pagesPerZone: 16, zones: 30, places: 5, tags: 3 },
    ...{ operations: 6_000, remove: 0.3, replace: 0.2, turnover: 0.01 },
  },
  {
    name: 'tags that differ in the bits that are lost first',
    ...{ pagesPerZone: 1024, zones: 100, places: 40, tags: HASHES },
    ...{ operations: 20_000, remove: 0.2, replace: 0.3, turnover: 0.02 },
  },
  {
    name: 'zones come and go faster than the hand',
    ...{ pagesPerZone: 4, zones: 8, places: HASHES, tags: HASHES },
    ...{ operations: 30_000, remove: 0.05, replace: 0.1, turnover: 0.2 },
  },
  {
    name: 'the largest locators',
    ...{ pagesPerZone: 1 << 14, zones: 4095, places: HASHES, tags: HASHES },
    ...{ operations: 30_000, remove: 0.1, replace: 0.2, turnover: 0.01 },
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
    expect(this.index.replace(place, tag, from, to)).toBe(true)
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
