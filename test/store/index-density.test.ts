/**
 * How many bytes the index's table takes at any count, and that the bit of each bucket says whether it is full.
 */
import { expect, test } from 'vitest'
import { IndexBuckets, SLOTS } from '../../store/index-buckets.js'
import { DIRECT_SLOTS_MAX, IndexLoader } from '../../store/index-loader.js'
import { OFFSETS } from '../../store/index-offsets.js'
import { IndexPlacer } from '../../store/index-placer.js'
import { IndexSpill } from '../../store/index-spill.js'
import { IndexZones } from '../../store/index-zones.js'
import { Prng } from '../fakes/prng.js'
import { HASHES } from './index-crowd.js'

test('from ten million entries on 4.18 bytes an entry, in a small table 4.31', () => {
  const buckets = new IndexBuckets(80_000_000)
  const bytesAt = (count: number): number => {
    buckets.reserve(count)
    expect(buckets.limit).toBeGreaterThanOrEqual(count)
    const { entries, states, plane } = buckets.memoryBytes
    return (entries + states + plane) / count
  }
  for (let count = 70_000; count < 8_000_000; count *= 1.01) {
    expect(bytesAt(Math.floor(count))).toBeLessThan(4.31)
  }
  for (let count = 10_000_000; count < 80_000_000; count *= 1.003) {
    expect(bytesAt(Math.floor(count))).toBeLessThan(4.18)
  }
})

function checkBuckets(buckets: IndexBuckets): void {
  let stored = 0
  for (let bucket = 0; bucket < buckets.buckets; bucket++) {
    const used = buckets.entries.subarray(bucket * SLOTS, (bucket + 1) * SLOTS).filter(Boolean)
    stored += used.length
    if (buckets.isFull(bucket) !== (used.length === SLOTS)) {
      expect.fail(`bucket ${bucket}: ${used.length} entries, full: ${buckets.isFull(bucket)}`)
    }
    // Its entries are at home: either bucket of what an entry says is this one.
    buckets.look(bucket)
    for (let at = bucket * SLOTS; at < (bucket + 1) * SLOTS; at++) {
      if (buckets.entries[at] === 0) continue
      buckets.read(at)
      if (buckets.locate(buckets.hash) !== bucket) expect.fail(`slot ${at}`)
      if (buckets.locate(buckets.hash ^ OFFSETS[buckets.jump]!) === bucket) expect.fail(`${at}`)
    }
  }
  expect(buckets.stored).toBe(stored)
}

test('a bucket is full when its bit says so, through inserts, removals and splits of two rounds', () => {
  const prng = Prng.fromEnvironment('full buckets')
  const zones = new IndexZones(1 << 14, 20)
  const buckets = new IndexBuckets(1_000_000)
  const placer = new IndexPlacer(buckets, zones, new IndexSpill())
  const first = zones.open() * (1 << 14)
  for (let i = 0; i < 300_000; i++) {
    if (buckets.stored >= buckets.limit) buckets.grow()
    const page = zones.note(first + ((i / 28) | 0))
    buckets.admit(page)
    if (buckets.lagging > 0) buckets.settleSome(1)
    placer.place(prng.below(1 << 30), prng.below(64), page)
    if (prng.chance(0.05)) {
      const at = prng.below(buckets.buckets * SLOTS)
      if (buckets.entries[at] !== 0) buckets.stored--
      buckets.entries[at] = 0
      buckets.setRoom((at / SLOTS) | 0)
    }
    if (i % 50_000 === 49_999 && buckets.lagging === 0) checkBuckets(buckets)
  }
  checkBuckets(buckets)
})

test.each([0, DIRECT_SLOTS_MAX])('so it is after a load (%d), whatever its size', most => {
  const prng = Prng.fromEnvironment('full buckets of a load')
  for (const objects of [1, 50, 61_000, 66_000, 100_000 + prng.below(100_000)]) {
    const zones = new IndexZones(1 << 14, 20)
    const buckets = new IndexBuckets(1_000_000)
    const loader = new IndexLoader(buckets, zones, most)
    const locator = zones.open() * (1 << 14) + 1
    loader.tell(locator, objects)
    loader.begin()
    loader.hold(objects)
    loader.pages.fill(loader.pageOf(locator), 0, objects)
    for (let i = 0; i < objects; i++) {
      loader.places[i] = prng.below(HASHES)
      loader.tags[i] = prng.below(HASHES)
    }
    loader.enter(objects)
    loader.close()
    expect(buckets.stored + loader.lateCount).toBe(objects)
    checkBuckets(buckets)
  }
})
