/**
 * What a restart is made of, against the plainest models: dead records, keys that the index takes for each other.
 */
import { expect, test } from 'vitest'
import {
  GroupIndex,
  GroupPages,
  ITEM_MARKS,
  ITEM_NOTHING,
  isWholeIndex,
  mayHoldMarks,
  readHashes,
  readIndex,
  readTrailer,
} from '../../store/group-index.js'
import { IndexBuckets, SLOTS } from '../../store/index-buckets.js'
import { areAlike, DIRECT_SLOTS_MAX, IndexLoader } from '../../store/index-loader.js'
import { HOME_OFFSETS, TAG_OFFSETS } from '../../store/index-offsets.js'
import { IndexZones } from '../../store/index-zones.js'
import { DeadRecords } from '../../store/mark-book.js'
import { ObjectIndex } from '../../store/object-index.js'
import { Prng } from '../fakes/prng.js'
import { enterAll, HASHES } from './index-crowd.js'

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

test.each([0, DIRECT_SLOTS_MAX])('a load leaves nothing behind the last bucket (%d)', most => {
  const zones = new IndexZones(64, 100)
  const buckets = new IndexBuckets(1_000_000)
  const loader = new IndexLoader(buckets, zones, most)
  loader.tell(zones.open() * 64 + 1, 100)
  loader.begin()
  const page = loader.pageOf(64 + 1)
  enterAll(
    loader,
    Array.from({ length: 100 }, () => [77, 99, page]),
    30,
  )
  loader.close()
  expect(buckets.stored).toBe(2 * SLOTS)
  expect(loader.lateCount).toBe(100 - 2 * SLOTS)
  expect(buckets.entries.subarray(buckets.buckets * SLOTS).every(entry => entry === 0)).toBe(true)
})

/** What a test wrote of a group: a page or a run, by its first page. */
interface Written {
  readonly page: number
  readonly pages: number
  readonly records: number
}

/** Writes a group of random pages; every so often it has more of them than a group has as a rule. */
function randomGroup(prng: Prng) {
  const group = new GroupIndex()
  const written: Written[] = []
  const hashes: (readonly [number, number])[] = []
  const marks: number[] = []
  const firstPage = 1 + prng.below(1000)
  const count = prng.pick([0, 3, 250, 2000])
  let page = firstPage
  for (let i = 0; i < count; i++) {
    const kind = prng.pick(['slab', 'slab', 'slab', 'nothing', 'marks', 'run'])
    const pages = kind === 'run' ? prng.pick([2, 254, 65_278, 1 + prng.below(100_000)]) : 1
    const records = kind === 'run' ? 1 : kind === 'slab' ? prng.below(121) : 0
    if (kind === 'slab') group.addItem(records)
    if (kind === 'nothing') group.addItem(ITEM_NOTHING)
    if (kind === 'run') group.addRun(pages)
    if (kind === 'marks') {
      group.addItem(ITEM_MARKS)
      marks.push(page)
    }
    for (let record = 0; record < records; record++) {
      hashes.push([prng.below(HASHES), prng.below(HASHES)])
      group.addRecord(...hashes.at(-1)!)
    }
    if (records > 0) written.push({ page, pages, records })
    page += pages
  }
  const indexPages = group.pagesWith(0, 0)
  const trailer = {
    ...{ zoneSequence: 7, firstPage, previousTrailer: 0 },
    ...{ nextSequence: 9, lastDeadlineMs: 1e12 },
  }
  const bytes = group.encode(trailer, page, indexPages)
  return { bytes, written, hashes, marks }
}

test('the index of a group says what was written to it', () => {
  const prng = Prng.fromEnvironment('group index')
  const found = new GroupPages()
  for (let step = 0; step < 60; step++) {
    const { bytes, written, hashes, marks } = randomGroup(prng)
    expect(isWholeIndex(bytes)).toBe(true)
    const trailer = readTrailer(bytes, bytes.length)!
    found.read(bytes, trailer)
    const columns = [found.pages, found.lengths, found.records] as const
    const rows = Array.from({ length: found.count }, (_, i) => columns.map(column => column[i]!))
    expect(rows).toEqual(written.map(({ page, pages, records }) => [page, pages, records]))
    const places = new Int32Array(hashes.length)
    const tags = new Int32Array(hashes.length)
    readHashes(bytes, trailer, places, tags)
    expect(hashes.every(([place, tag], i) => place === places[i] && tag === tags[i])).toBe(true)
    if (marks.length > 0) expect(mayHoldMarks(bytes, trailer)).toBe(true)
    const marksRead: number[] = []
    const pagesRead = new Map<number, number>()
    readIndex(bytes, trailer, {
      onPage: (page, _, records) => pagesRead.set(page, records),
      onMarks: page => marksRead.push(page),
    })
    expect(marksRead).toEqual(marks)
    for (const { page, records } of written) expect(pagesRead.get(page)).toBe(records)
    // Of a tail the same is known page by page.
    const taken = new GroupPages()
    taken.take([{ page: 1, pages: 1, records: 0 }, ...written])
    expect(taken.count).toBe(found.count)
    expect(taken.pages.subarray(0, taken.count)).toEqual(found.pages.subarray(0, found.count))
    expect(taken.lengths.subarray(0, taken.count)).toEqual(found.lengths.subarray(0, found.count))
    expect(taken.records.subarray(0, taken.count)).toEqual(found.records.subarray(0, found.count))
  }
})
