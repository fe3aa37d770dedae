/**
 * Space held over space live: zones filled object by object, the bench's fluid, and the formula agree; learned classes hold less than
 * fixed ones.
 */
import { describe, expect, it, test } from 'vitest'
import { gridOf, simulate } from '../../bench/space-sim.js'
import { bestBounds } from '../../store/class-bounds.js'
import { LifetimeClasses } from '../../store/lifetime-classes.js'
import { Prng } from '../fakes/prng.js'

const randoms = (seed: number): (() => number) => {
  const prng = new Prng(seed)
  return () => prng.fraction()
}

/** Zones filled one object at a time; held over live in the second half of the time. */
function byObject(classes: LifetimeClasses, ttlOf: () => number, zoneBytes: number, endMs: number) {
  const objectBytes = zoneBytes / 2048
  const stepMs = 20
  const fromMs = endMs / 2
  const open = new Map<number, { openedMs: number; bytes: number; deadlineMs: number }>()
  let held = 0
  let live = 0
  const measured = (start: number, end: number): number =>
    Math.max(0, Math.min(end, endMs) - Math.max(start, fromMs))
  for (let nowMs = 0; nowMs < endMs; nowMs += stepMs) {
    const ttl = ttlOf()
    classes.note(ttl, objectBytes)
    if (nowMs % 20_000 === 0) classes.learn(nowMs)
    const one = classes.classOf(ttl)
    let zone = open.get(one)
    if (zone === undefined || zone.deadlineMs < nowMs || zone.bytes === zoneBytes) {
      if (zone !== undefined) held += measured(zone.openedMs, zone.deadlineMs) * zoneBytes
      zone = { openedMs: nowMs, bytes: 0, deadlineMs: 0 }
      open.set(one, zone)
    }
    zone.bytes += objectBytes
    zone.deadlineMs = Math.max(zone.deadlineMs, nowMs + ttl)
    live += measured(nowMs, nowMs + ttl) * objectBytes
  }
  for (const zone of open.values()) held += measured(zone.openedMs, zone.deadlineMs) * zoneBytes
  return held / live
}

describe('held over live', () => {
  const MIX = {
    name: 'test',
    modes: [
      { fromMs: 54_000, toMs: 66_000, share: 0.5 },
      { fromMs: 540_000, toMs: 660_000, share: 0.3 },
      { fromMs: 3_240_000, toMs: 3_960_000, share: 0.2 },
    ],
  }
  const zoneBytes = 2048 * 128
  const bytesPerMs = 128 / 20
  const grid = gridOf(MIX)
  const endMs = 3 * 3_960_000
  const setting = {
    ...{ grid, bytesPerMs, zoneBytes, endMs, measureFromMs: endMs / 2 },
    ...{ stepMs: 5000, learnEvery: 1, seed: 7 },
  }
  const learning = (count: number): LifetimeClasses =>
    new LifetimeClasses({ count, zoneBytes, nowMs: 0, lendLast: true })
  const rates = grid.share.map(share => share * bytesPerMs)
  const live = rates.reduce((sum, rate, i) => sum + rate * grid.meanMs[i]!, 0)
  const limit = (count: number): number =>
    bestBounds(grid.longestMs, rates, count, zoneBytes).costBytes / live

  /** Of the mix, by object. */
  function ttls(seed: number): () => number {
    const random = randoms(seed)
    return () => {
      const at = random()
      const mode = MIX.modes[at < 0.5 ? 0 : at < 0.8 ? 1 : 2]!
      return mode.fromMs + random() * (mode.toMs - mode.fromMs)
    }
  }

  test.each([3, 6, 10])('by object, as a fluid and by the formula: %i classes', count => {
    const objects = byObject(learning(count), ttls(count), zoneBytes, endMs)
    const fluid = simulate(learning(count), setting).ratio
    expect(Math.abs(objects / limit(count) - 1)).toBeLessThan(0.03)
    expect(Math.abs(fluid / limit(count) - 1)).toBeLessThan(0.03)
  })

  it('is less than with fixed classes', () => {
    const small = { ...setting, zoneBytes: zoneBytes / 32 }
    const options = { count: 14, zoneBytes: small.zoneBytes, nowMs: 0 }
    const learned = simulate(new LifetimeClasses({ ...options, count: 10 }), small).ratio
    const fixed = (boundariesMs: number[]): number =>
      simulate(new LifetimeClasses({ ...options, boundariesMs }), small).ratio
    const halves = fixed(Array.from({ length: 12 }, (_, i) => 2 ** (15.5 + i / 2)))
    const geometric = fixed(Array.from({ length: 9 }, (_, i) => 54_000 * 73.3 ** ((i + 1) / 10)))
    expect(learned).toBeLessThan(halves - 0.02)
    expect(learned).toBeLessThan(geometric - 0.02)
  })
})
