/**
 * Lifetime classes: the hot functions against naive ones, and what is learned against the best that can be.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { bestBounds } from '../../store/class-bounds.js'
import { StoreError } from '../../store/errors.js'
import { LifetimeClasses, type LifetimeClassesOptions } from '../../store/lifetime-classes.js'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, changed, compile } from '../fakes/compiled.js'
import { Prng } from '../fakes/prng.js'
import { costOf } from './class-costs.js'

const SECOND_MS = 1000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MIB = 2 ** 20
const randoms = (seed: number): (() => number) => {
  const prng = new Prng(seed)
  return () => prng.fraction()
}

const options = (more: Partial<LifetimeClassesOptions> = {}): LifetimeClassesOptions => ({
  ...{ count: 14, zoneBytes: 32 * MIB, nowMs: 0, ...more },
})

describe('fixed boundaries', () => {
  test.each([11, 12, 13])('are those of a naive search (seed %i)', seed => {
    const random = randoms(seed)
    for (let round = 0; round < 40; round++) {
      const spanned = 1 + random() * 41
      const boundariesMs = [
        ...new Set(
          Array.from({ length: Math.floor(random() * 13) }, () => {
            const boundary = 2 ** (random() * spanned)
            return random() < 0.5 ? boundary : Math.ceil(boundary)
          }),
        ),
      ].sort((a, b) => a - b)
      const classes = new LifetimeClasses(options({ boundariesMs, count: boundariesMs.length + 2 }))
      const naive = (ttl: number): number => boundariesMs.filter(boundary => boundary < ttl).length
      const ttls = Array.from({ length: 300 }, () => 2 ** (random() * 43 - 1))
      for (const boundary of boundariesMs) {
        ttls.push(boundary, boundary * (1 - 2 ** -52), boundary * (1 + 2 ** -52), boundary + 1)
      }
      for (const ttl of ttls)
        expect(classes.classOf(ttl), `${ttl} ${boundariesMs}`).toBe(naive(ttl))
      expect(classes.classOf(Infinity)).toBe(classes.count - 1)
      expect(classes.boundariesMs).toEqual(boundariesMs)
    }
  })

  it('stay', () => {
    const boundariesMs = [HOUR_MS]
    const classes = new LifetimeClasses(options({ boundariesMs, lendLast: true }))
    for (let i = 1; i < 100; i++) {
      classes.note(SECOND_MS, 1e9)
      classes.note(DAY_MS, 1e9)
      expect(classes.learn(i * HOUR_MS)).toBe(false)
    }
    expect(classes.boundariesMs).toEqual(boundariesMs)
    expect(classes.classOf(100 * DAY_MS)).toBe(1)
  })
})

describe('the ends', () => {
  const extremes = [
    Number.MIN_VALUE,
    0.5,
    1,
    2,
    100 * 366 * DAY_MS,
    2 ** 42,
    2 ** 50,
    Number.MAX_VALUE,
  ]
  test.each([
    ['as it begins', options()],
    ['with two classes', options({ count: 2 })],
    ['with the most classes', options({ count: 255 })],
    ['lent', options({ lendLast: true })],
  ])('classes ascend with the TTL and are there: %s', (_, chosen) => {
    const classes = new LifetimeClasses(chosen)
    const check = (): void => {
      const found = extremes.map(ttl => classes.classOf(ttl))
      expect(found).toEqual([...found].sort((a, b) => a - b))
      expect(found[0]).toBe(0)
      const last = chosen.count - (chosen.lendLast ? 1 : 2)
      expect(found.at(-1)).toBeLessThanOrEqual(last)
      expect(classes.classOf(Infinity)).toBe(chosen.count - 1)
    }
    check()
    for (const ttl of extremes) classes.note(ttl, 1e12)
    classes.learn(HOUR_MS)
    check()
  })

  it('separates 1 ms, a century and none', () => {
    const classes = new LifetimeClasses(options({ count: 3 }))
    for (const ttl of [1, 100 * 366 * DAY_MS, Infinity]) classes.note(ttl, 1e12)
    classes.learn(HOUR_MS)
    expect([1, 100 * 366 * DAY_MS, Infinity].map(ttl => classes.classOf(ttl))).toEqual([0, 1, 2])
  })
})

describe('learning', () => {
  const TTLS = [60 * SECOND_MS, 300 * SECOND_MS, HOUR_MS, 12 * HOUR_MS, 7 * DAY_MS]
  const OTHERS = [DAY_MS, 1.5 * DAY_MS, 2 * DAY_MS, 4 * DAY_MS, 7 * DAY_MS]
  const rates = [1000, 3000, 2000, 500, 800]
  /** Notes a minute's bytes, each TTL half to one and a half of its rate, and learns. */
  function minute(
    classes: LifetimeClasses,
    ttls: readonly number[],
    at: number,
    random = randoms(at),
  ) {
    ttls.forEach((ttl, i) => {
      classes.note(ttl, rates[i]! * 60_000 * (0.5 + random()))
    })
    return classes.learn(at * 60_000)
  }
  function hours(classes: LifetimeClasses, ttls: readonly number[], count: number): void {
    for (let at = 1; at < count * 60; at++) minute(classes, ttls, at)
  }
  const cost = (classes: LifetimeClasses, ttls: readonly number[], zoneBytes: number): number =>
    costOf(ttl => classes.classOf(ttl), ttls, rates, zoneBytes)

  it('gives each of few TTLs a class, and what lies between goes up', () => {
    const classes = new LifetimeClasses(options())
    hours(classes, OTHERS, 12)
    const found = OTHERS.map(ttl => classes.classOf(ttl))
    expect(new Set(found).size).toBe(5)
    expect(classes.classOf(400 * SECOND_MS)).toBe(found[0])
    expect(classes.classOf(2.1 * DAY_MS)).toBe(found[3])
    expect(classes.boundariesMs.length).toBeLessThanOrEqual(5)
    OTHERS.slice(0, 4).forEach((ttl, i) => {
      const [, longest] = classes.rangeOf(found[i]!)
      expect(longest / ttl).toBeGreaterThanOrEqual(1)
      expect(longest / ttl).toBeLessThan(1.01)
    })
  })

  it('puts what is longer than all where it holds nothing of the others, if it can', () => {
    const classes = new LifetimeClasses(options({ zoneBytes: 4096 }))
    hours(
      classes,
      [1, 2, 3, 4, 5].map(n => n * SECOND_MS),
      12,
    )
    const longest = classes.classOf(5 * SECOND_MS)
    expect(classes.classOf(6 * SECOND_MS)).toBe(longest + 1)
    expect(classes.rangeOf(longest + 1)[1]).toBe(Infinity)
  })

  it('gives few bytes no zone of their own', () => {
    const classes = new LifetimeClasses(options({ zoneBytes: 1077 * MIB }))
    for (let at = 1; at < 4000; at++) {
      classes.note(60 * SECOND_MS, 60_000)
      classes.note(HOUR_MS, 60_000)
      classes.note(7 * DAY_MS, 60_000_000)
      classes.learn(at * 60_000)
    }
    expect([60 * SECOND_MS, HOUR_MS].map(ttl => classes.rangeOf(classes.classOf(ttl))[0])).toEqual([
      0, 0,
    ])
    expect(classes.classOf(7 * DAY_MS)).toBeGreaterThan(classes.classOf(HOUR_MS))
  })

  test.each([
    [0.5, false],
    [2, true],
  ])('a day less for %f zones a day deserves a class: %s', (zonesADay, isApart) => {
    const zoneBytes = 1077 * MIB
    const classes = new LifetimeClasses(options({ count: 3, zoneBytes }))
    for (let at = 1; at < 2000; at++) {
      classes.note(DAY_MS, (zonesADay * zoneBytes) / 1440)
      classes.note(2 * DAY_MS, zoneBytes)
      classes.learn(at * 60_000)
    }
    expect(classes.classOf(DAY_MS) !== classes.classOf(2 * DAY_MS)).toBe(isApart)
  })

  test.each([
    ['small zones', MIB],
    ['large zones', 1077 * MIB],
  ])('follows another mix: %s', (_, zoneBytes) => {
    const count = 5
    const classes = new LifetimeClasses(options({ count, zoneBytes }))
    const best = (ttls: readonly number[]): number =>
      bestBounds(Float64Array.from(ttls), Float64Array.from(rates), count - 1, zoneBytes).costBytes
    let at = 1
    for (; at < 1440; at++) minute(classes, TTLS, at)
    expect(cost(classes, TTLS, zoneBytes) / best(TTLS)).toBeLessThan(1.01)
    const before = cost(classes, OTHERS, zoneBytes) / best(OTHERS)
    expect(before).toBeGreaterThan(1.05)
    const end = at + 3 * 1440
    for (; at < end; at++) minute(classes, OTHERS, at)
    expect(cost(classes, OTHERS, zoneBytes) / best(OTHERS)).toBeLessThan(1.01)
  })

  describe('moving', () => {
    const ttls = [HOUR_MS, DAY_MS, 2 * DAY_MS]
    /** Of two classes, which begin as [1 h] and [1 d, 2 d]: when the day goes to the hour; minutes, or 0 for never. */
    function movedAfter(classes: LifetimeClasses, megabytes: readonly number[], minutes: number) {
      for (let at = 1; at <= minutes; at++) {
        ttls.forEach((ttl, i) => {
          classes.note(ttl, megabytes[i]! * 1e6)
        })
        if (classes.learn(at * 60_000)) return at
      }
      return 0
    }
    const large = (): LifetimeClasses =>
      new LifetimeClasses(options({ count: 3, zoneBytes: 1077 * MIB }))

    it('waits until staying has cost as much', () => {
      // A minute of staying costs 10 MB a day more and 1 MB 23 hours less; moving costs 23 hours of half a zone, 565 MB.
      const expected = (565 * 23) / (10 * 24 - 23)
      const minutes = movedAfter(large(), [1, 10, 10], 200)
      expect(Math.abs(minutes / expected - 1)).toBeLessThan(0.05)
    })

    it('is cheap while there is little in the zones', () => {
      expect(movedAfter(large(), [0.1, 10, 10], 200)).toBe(1)
    })

    it('takes a class back that does not pay any more', () => {
      const zoneBytes = 1077 * MIB
      const classes = new LifetimeClasses(options({ count: 3, zoneBytes }))
      const isApart = (): boolean => classes.classOf(ttls[1]!) !== classes.classOf(ttls[2]!)
      for (let at = 1; at < 8000; at++) {
        classes.note(DAY_MS, ((at < 3000 ? 2 : 0.2) * zoneBytes) / 1440)
        classes.note(2 * DAY_MS, zoneBytes)
        classes.learn(at * 60_000)
        if (at === 2999) expect(isApart()).toBe(true)
      }
      expect(isApart()).toBe(false)
    })

    it('does not take a burst for drift, however small zones are', () => {
      const classes = new LifetimeClasses(options({ count: 3, zoneBytes: 4096 }))
      const isApart = (): boolean => classes.classOf(ttls[1]!) !== classes.classOf(ttls[2]!)
      for (let second = 1; second < 1810; second++) {
        ttls.forEach((ttl, i) => {
          classes.note(ttl, (second < 1800 ? [1, 10, 10] : [100, 1, 10])[i]! * 1e6)
        })
        classes.learn(second * 1000)
        if (second > 1000) expect(isApart()).toBe(true)
      }
    })

    it('follows rates that change, however long they were others', () => {
      const classes = new LifetimeClasses(options({ count: 3, zoneBytes: MIB }))
      const isApart = (): boolean => classes.classOf(ttls[1]!) !== classes.classOf(ttls[2]!)
      for (let at = 1; at < 2200; at++) {
        ttls.forEach((ttl, i) => {
          classes.note(ttl, (at < 2000 ? [1000, 1, 10] : [1, 10, 10])[i]! * 1e6)
        })
        classes.learn(at * 60_000)
        if (at === 1999) expect(isApart()).toBe(false)
      }
      expect(isApart()).toBe(true)
    })
  })

  it('finds nearly the best where there are TTLs in every bin', () => {
    const count = 6
    const classes = new LifetimeClasses(options({ count, zoneBytes: MIB }))
    const ttls = Array.from({ length: 5376 }, (_, i) => 2 ** ((i + 0.5) / 128))
    const ones = ttls.map(() => 1)
    for (let at = 1; at < 20; at++) {
      for (const ttl of ttls) classes.note(ttl, 60_000)
      classes.learn(at * 60_000)
    }
    const best = bestBounds(Float64Array.from(ttls), Float64Array.from(ones), count - 1, MIB)
    const found = costOf(ttl => classes.classOf(ttl), ttls, ones, MIB)
    expect(found / best.costBytes).toBeLessThan(1.02)
  })

  it('forgets a TTL that is not used any more', () => {
    const classes = new LifetimeClasses(options({ count: 3, zoneBytes: MIB }))
    const ttls = [DAY_MS, 2 * DAY_MS, 7 * DAY_MS]
    const isApart = (a: number, b: number): boolean =>
      classes.classOf(ttls[a]!) !== classes.classOf(ttls[b]!)
    hours(classes, ttls, 12)
    expect([isApart(0, 1), isApart(1, 2)]).toEqual([false, true])
    // Four half-lives of ten minutes, and some for the move to pay.
    for (let at = 720; at < 720 + 120; at++) minute(classes, ttls.slice(0, 2), at)
    expect([isApart(0, 1), isApart(1, 2)]).toEqual([true, false])
  })

  it('learns nothing without bytes, time, or when the clock goes back', () => {
    const classes = new LifetimeClasses(options({ nowMs: 1000 }))
    const begin = classes.boundariesMs
    expect(begin.length).toBe(12)
    expect(classes.learn(2000)).toBe(false)
    for (const day of [1, 2, 3, 4]) classes.note(day * DAY_MS, 1e12)
    expect(classes.learn(2000)).toBe(false)
    expect(classes.learn(2999)).toBe(false)
    expect(classes.learn(500)).toBe(false)
    expect(classes.boundariesMs).toEqual(begin)
    expect(classes.learn(500 + HOUR_MS)).toBe(true)
  })

  it('lends the last class until there is an object without TTL', () => {
    const classes = new LifetimeClasses(options({ count: 5, lendLast: true, zoneBytes: MIB }))
    hours(classes, TTLS, 12)
    expect(TTLS.map(ttl => classes.classOf(ttl))).toEqual([0, 1, 2, 3, 4])
    classes.note(Infinity, 100)
    expect(TTLS.map(ttl => classes.classOf(ttl))).toEqual([0, 1, 2, 3, 3])
    for (let at = 720; at < 1000; at++) {
      minute(classes, TTLS, at)
      for (const ttl of TTLS) expect(classes.classOf(ttl)).toBeLessThan(4)
    }
  })
})

describe('bad options are refused by name, value and range', () => {
  test.each<[Partial<LifetimeClassesOptions>, RegExp]>([
    [{ count: 1 }, /^count is 1; allowed: 2 to 255/],
    [{ count: 256 }, /^count is 256/],
    [{ count: 2.5 }, /^count is 2.5/],
    [{ zoneBytes: 4095 }, /^zoneBytes is 4095; allowed: 4096 to 281474976710656/],
    [{ zoneBytes: NaN }, /^zoneBytes is NaN/],
    [{ nowMs: NaN }, /^nowMs is NaN/],
    [{ boundariesMs: [0.5] }, /^lifetimeBoundaries\[0\] is 0.5; allowed: 1 to 4398046511104 ms/],
    [{ boundariesMs: [1, Infinity] }, /^lifetimeBoundaries\[1\] is Infinity/],
    [
      { boundariesMs: [5, 5] },
      /^lifetimeBoundaries\[1\] is 5; allowed: more than the one before, 5/,
    ],
    [{ count: 3, boundariesMs: [5, 6] }, /^lifetimeBoundaries is a list of 2; allowed: at most 1/],
  ])('%j', (bad, message) => {
    let error: unknown
    try {
      new LifetimeClasses(options(bad))
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(StoreError)
    expect((error as StoreError).code).toBe('STORE_ERR_OPTION')
    expect((error as StoreError).message).toMatch(message)
  })
})

describe('the hot functions', () => {
  const child = fileURLToPath(new URL('lifetime-classes-gc-child.mjs', import.meta.url))
  let plain: Compiled
  let wasteful: Compiled
  beforeAll(() => {
    plain = compile(['store/lifetime-classes.ts'])
    wasteful = changed(plain, (path, source) =>
      path === 'store/lifetime-classes.js'
        ? source.replace(
            'note(ttlMs, bytes) {',
            'note(ttlMs, bytes) { globalThis.garbage = [ttlMs, {}];',
          )
        : source,
    )
  })
  afterAll(() => {
    plain.remove()
    wasteful.remove()
  })
  const collectionsIn = (compiled: Compiled) =>
    collectionsBetweenMarks([child, compiled.url('store/lifetime-classes.js')]).collections

  it('make no garbage in ten million calls, and garbage would be seen', () => {
    expect(collectionsIn(plain)).toEqual([])
    expect(collectionsIn(wasteful).length).toBeGreaterThan(0)
  })
})
