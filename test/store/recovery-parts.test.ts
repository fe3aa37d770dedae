/**
 * What a restart is made of, against the plainest models: dead records, keys that the index takes for each other.
 */
import { expect, test } from 'vitest'
import { IndexBuckets, SLOTS } from '../../store/index-buckets.js'
import { areAlike, IndexLoader } from '../../store/index-loader.js'
import { HOME_OFFSETS, TAG_OFFSETS } from '../../store/index-offsets.js'
import { IndexZones } from '../../store/index-zones.js'
import { DeadRecords } from '../../store/mark-book.js'
import { ObjectIndex } from '../../store/object-index.js'
import { Prng } from '../fakes/prng.js'
import { HASHES } from './index-crowd.js'

test('dead records are those that were added, however often', () => {
  const prng = Prng.fromEnvironment('dead records')
  const dead = new DeadRecords()
  const model = new Set<number>()
  for (let step = 0; step < 3000; step++) {
    const page = prng.below(40)
    const record = prng.below(120)
    if (prng.chance(0.3)) {
      dead.add(page, record)
      model.add(page * 256 + record)
    }
    expect(dead.has(page, record)).toBe(model.has(page * 256 + record))
    const inPage = [...model].filter(spot => spot >>> 8 === page && (spot & 255) < record)
    expect(dead.countIn(page, record)).toBe(inPage.length)
  }
})

test('keys that the index takes for each other are alike', () => {
  const prng = Prng.fromEnvironment('alike')
  let taken = 0
  for (let step = 0; step < 300; step++) {
    const index = new ObjectIndex({ pagesPerZone: 64, zones: 4 })
    const locator = index.openZone() * 64 + 1
    const place = prng.below(HASHES)
    const tag = prng.below(HASHES)
    index.insert(place, tag, locator)
    const jump = place >>> 12
    for (const place2 of [place, place ^ HOME_OFFSETS[jump]!, place ^ 1, place ^ (1 << 12)]) {
      for (const bit of [0, 1, 1 << 12, 1 << 13, 1 << 16]) {
        for (const tag2 of [tag ^ bit, tag ^ TAG_OFFSETS[jump]! ^ bit]) {
          const isTaken = index.find(place2, tag2) > 0
          if (isTaken) expect(areAlike(place, tag, place2, tag2)).toBe(true)
          taken += isTaken ? 1 : 0
        }
      }
    }
    expect(areAlike(place, tag, place ^ 1, tag)).toBe(false)
    expect(areAlike(place, tag, place, tag ^ (1 << 12))).toBe(false)
    expect(areAlike(place, tag, place ^ (1 << 12), tag)).toBe(false)
  }
  expect(taken).toBeGreaterThan(600)
})

test('a load leaves nothing behind the last bucket', () => {
  const zones = new IndexZones(64, 100)
  const buckets = new IndexBuckets(1_000_000)
  const loader = new IndexLoader(buckets, zones)
  loader.tell(zones.open() * 64 + 1, 100)
  loader.begin()
  for (let i = 0; i < 100; i++) loader.put(77, 99, loader.pageOf(64 + 1))
  loader.close()
  expect(buckets.stored).toBe(2 * SLOTS)
  expect(loader.lateCount).toBe(100 - 2 * SLOTS)
  expect(buckets.entries.subarray(buckets.buckets * SLOTS).every(entry => entry === 0)).toBe(true)
})
