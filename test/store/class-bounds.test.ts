/** The cut of TTLs into classes, and which class takes which range: against all that there are. Seeds are in the names. */
import { describe, expect, it, test } from 'vitest'
import { align } from '../../store/class-alignment.js'
import { bestBounds } from '../../store/class-bounds.js'
import { Prng } from '../fakes/prng.js'
import { costOf } from './class-costs.js'

const SECOND_MS = 1000
const MIB = 2 ** 20
const randoms = (seed: number): (() => number) => {
  const prng = new Prng(seed)
  return () => prng.fraction()
}

describe('the dynamic program', () => {
  /** Every way to cut `count` groups, as bits: a cut after group i. */
  function cheapest(ttls: number[], rates: number[], classesMax: number, zoneBytes: number) {
    let best = Infinity
    for (let cuts = 0; cuts < 1 << (ttls.length - 1); cuts++) {
      const classes = ttls.map(
        (_, i) => (cuts & ((1 << i) - 1)).toString(2).replace(/0/g, '').length,
      )
      if (classes.at(-1)! >= classesMax) continue
      best = Math.min(
        best,
        costOf(ttl => classes[ttls.indexOf(ttl)]!, ttls, rates, zoneBytes),
      )
    }
    return best
  }

  test.each([1, 2, 3, 4])('finds the cheapest of all cuts (seed %i)', seed => {
    const random = randoms(seed)
    for (let round = 0; round < 150; round++) {
      const count = 1 + Math.floor(random() * 9)
      const ttls = Array.from({ length: count }, () => Math.ceil(2 ** (random() * 40)))
        .sort((a, b) => a - b)
        .map((ttl, i) => ttl + i)
      const rates = ttls.map(() => 2 ** (random() * 30 - 15))
      // From "a zone costs nothing" to "a zone costs more than all bytes".
      const zoneBytes = 2 ** (random() * 60)
      const classesMax = 1 + Math.floor(random() * 6)
      const longestMs = Float64Array.from(ttls)
      const { costBytes, lasts } = bestBounds(
        longestMs,
        Float64Array.from(rates),
        classesMax,
        zoneBytes,
      )
      const message = JSON.stringify({ ttls, rates, zoneBytes, classesMax })
      const expected = cheapest(ttls, rates, classesMax, zoneBytes)
      expect(Math.abs(costBytes / expected - 1), message).toBeLessThan(1e-7)
      // And the cut that it names costs what it says.
      expect(lasts.length, message).toBeLessThanOrEqual(classesMax)
      const classOf = (ttl: number): number => lasts.findIndex(last => ttls[last]! >= ttl)
      const named = costOf(classOf, ttls, rates, zoneBytes)
      expect(Math.abs(costBytes / named - 1), message).toBeLessThan(1e-7)
    }
  })

  it('uses no class that costs more than it saves', () => {
    const ttls = Float64Array.of(SECOND_MS, 2 * SECOND_MS)
    const rates = Float64Array.of(1, 1)
    expect([...bestBounds(ttls, rates, 2, 999).lasts]).toEqual([0, 1])
    expect([...bestBounds(ttls, rates, 2, 1000).lasts]).toEqual([1])
  })

  it('does not take time by the square', () => {
    const random = randoms(5)
    const longestMs = new Float64Array(5376).map((_, i) => 2 ** (i / 128))
    const rates = longestMs.map(() => random() / 1e6)
    let best = Infinity
    for (let round = 0; round < 10; round++) {
      const start = process.cpuUsage()
      bestBounds(longestMs, rates, 14, 1077 * MIB)
      best = Math.min(best, process.cpuUsage(start).user / 1000)
    }
    // Loose, for a busy machine: it takes 2 ms of CPU time, and code by the square takes 300.
    expect(best).toBeLessThan(60)
  })
})

describe('the alignment', () => {
  /** Every choice of classes for the ranges: the least loss. */
  function least(newMs: number[], oldMs: number[]): number {
    let best = Infinity
    for (let taken = 0; taken < 1 << oldMs.length; taken++) {
      let range = 0
      let lossMs = 0
      oldMs.forEach((old, c) => {
        const isTaken = (taken & (1 << c)) !== 0
        const now = isTaken ? (newMs[range++] ?? Infinity) : 0
        if (old > 0) lossMs += Math.abs(now - old)
        else if (now === Infinity) lossMs = Infinity
      })
      if (range === newMs.length) best = Math.min(best, lossMs)
    }
    return best
  }

  test.each([21, 22, 23])('loses least (seed %i)', seed => {
    const random = randoms(seed)
    for (let round = 0; round < 200; round++) {
      const classes = 1 + Math.floor(random() * 8)
      const ascending = (count: number): number[] =>
        Array.from({ length: count }, () => 1 + Math.floor(random() * 50)).sort((a, b) => a - b)
      const oldMs = ascending(classes).map(ms => (random() < 0.3 ? 0 : ms))
      const newMs = ascending(1 + Math.floor(random() * classes))
      const found = align(Float64Array.from(newMs), Float64Array.from(oldMs))
      const message = JSON.stringify({ oldMs, newMs, found })
      expect(found.lossMs, message).toBe(least(newMs, oldMs))
      const named = oldMs.map((old, c) => {
        const range = found.classes.indexOf(c)
        return old === 0 ? 0 : Math.abs((newMs[range] ?? 0) - old)
      })
      expect(
        named.reduce((a, b) => a + b, 0),
        message,
      ).toBe(found.lossMs)
      expect([...found.classes], message).toEqual([...new Set(found.classes)].sort((a, b) => a - b))
    }
  })

  it('leaves everything where it is when nothing moved, and the last class free', () => {
    const some = Float64Array.of(1, 2, 3)
    expect(align(some, some)).toEqual({ classes: Int32Array.of(0, 1, 2), lossMs: 0 })
    const { classes } = align(some, new Float64Array(5))
    expect([...classes]).toEqual([0, 1, 2])
  })
})
