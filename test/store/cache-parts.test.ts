/**
 * The parts of the cache by themselves: the ghost beside a naive one while its epochs' numbers wrap, the division of memory beside
 * what the process really takes, a full table, keys of equal hash, and the limits.
 */
import { describe, expect, it } from 'vitest'
import { planCache } from '../../store/cache-plan.js'
import { Ghost } from '../../store/ghost.js'
import { checkOptions } from '../../store/options.js'
import { MOVE_GRANULES, MOVED_GRANULES_MAX, RecordCache } from '../../store/record-cache.js'
import { Prng } from '../fakes/prng.js'
import { NaiveGhost } from './naive-cache.js'

const MIB = 2 ** 20

function compareGhosts(prng: Prng, capacity: number, steps: number) {
  const ghost = new Ghost(capacity, capacity / 4)
  const naive = new NaiveGhost(capacity)
  // A tag of its own for each key, else one would be taken for another.
  const places = Array.from({ length: 2000 }, () => prng.below(2 ** 18))
  const inside = new Set<number>()
  let taken = 0
  for (let i = 0; i < steps; i++) {
    const key = prng.below(places.length)
    const tag = key * 131
    const granules = 4 + prng.below(12)
    if (!inside.has(key) && prng.chance(0.7)) {
      ghost.add(places[key]!, tag, granules)
      naive.add(String(key), granules)
      inside.add(key)
      continue
    }
    const isThere = naive.take(String(key), granules)
    if (ghost.take(places[key]!, tag, granules) !== isThere) return { differsAt: i, taken, ghost }
    inside.delete(key)
    if (isThere) taken++
  }
  return { differsAt: -1, taken, ghost }
}

describe('the ghost', () => {
  it.each([
    { what: 'an epoch a record', capacity: 900, steps: 60_000 },
    { what: 'several records an epoch', capacity: 20_000, steps: 25_000 },
  ])('remembers and forgets as a naive one does: $what', ({ capacity, steps }) => {
    const prng = Prng.fromEnvironment('ghost')
    const { differsAt, taken, ghost } = compareGhosts(prng, capacity, steps)
    expect(differsAt).toBe(-1)
    expect(ghost.lost).toBe(0)
    expect(taken).toBeGreaterThan(1000)
  })

  it('passes over what is larger than all of it', () => {
    const ghost = new Ghost(100, 50)
    ghost.add(1, 1, 60)
    ghost.add(2, 2, 30)
    ghost.add(3, 3, 101)
    expect([3, 2, 1].map(id => ghost.take(id, id, 30))).toEqual([false, true, true])
  })

  it('gives way to new ones when it holds more records than it was made for', () => {
    const ghost = new Ghost(5000, 50)
    for (let key = 0; key < 1000; key++) ghost.add(key * 200, key, 5)
    expect(ghost.lost).toBeGreaterThan(800)
    const newest = Array.from({ length: 10 }, (_, i) => 990 + i)
    expect(newest.filter(key => ghost.take(key * 200, key, 5)).length).toBeGreaterThan(8)
  })
})

describe('memory', () => {
  it.each([
    [MIB / 4, 0.75],
    [MIB, 0.84],
    [10 * MIB + 3, 0.89],
    [64 * MIB, 0.91],
    [1024 * MIB, 0.925],
  ])('of %i bytes %d are for records', (capacity, share) => {
    const { memoryBytes, recordBytes, objectsMax } = planCache({ capacityBytes: capacity })
    const { records, table, ghost, segments } = memoryBytes
    const total = records + table + ghost + segments
    expect(total).toBeLessThanOrEqual(capacity)
    expect(total).toBeGreaterThan(capacity * 0.97)
    expect(recordBytes).toBeGreaterThan(capacity * share)
    expect(objectsMax).toBe(Math.floor(recordBytes / 160))
  })

  it('is what the process takes', () => {
    const difference = (): number => {
      const before = process.memoryUsage().arrayBuffers
      const cache = new RecordCache({ capacityBytes: 32 * MIB })
      const taken = process.memoryUsage().arrayBuffers - before
      const { records, table, ghost, segments } = cache.stats.memoryBytes
      return Math.abs(taken - (records + table + ghost + segments))
    }
    // A collection in between gives back what other tests had: the least of five is without. Counters and times are left.
    expect(Math.min(...Array.from({ length: 5 }, difference))).toBeLessThan(1024)
  })

  it.each([
    [{ capacityBytes: 1000 }, 'capacityBytes is 1000; it must be an integer from 262144'],
    [{ capacityBytes: MIB + 0.5 }, 'capacityBytes is 1048576.5'],
    [{ capacityBytes: MIB, meanRecordBytes: 39 }, 'meanRecordBytes is 39'],
    [{ capacityBytes: MIB, recordBytesMax: MIB + 1 }, 'recordBytesMax is 1048577'],
    [{ capacityBytes: MIB, segmentBytes: 3000 }, 'segmentBytes is 3000; it must be a power of two'],
  ])('%j is refused', (options, message) => {
    expect(() => new RecordCache(options)).toThrow(RangeError)
    expect(() => new RecordCache(options)).toThrow(message)
  })
})

describe('the option cacheBytes', () => {
  it.each([0, 256 * 1024, 4096 * MIB])('%i is taken', cacheBytes => {
    expect(checkOptions({ device: 'memory', cacheBytes }).cacheBytes).toBe(cacheBytes)
  })

  it.each([1, 256 * 1024 - 1, 4096 * MIB + 1, -1])('%i is refused', cacheBytes => {
    const message = `cacheBytes is ${cacheBytes}: it must be 0, or a whole number from 262144 to 4294967296`
    expect(() => checkOptions({ device: 'memory', cacheBytes })).toThrow(message)
  })
})

const value = new Uint8Array(MIB)
const keyBuffer = new Uint8Array(8)

function keyOf(id: number): Uint8Array {
  for (let i = 0; i < 4; i++) keyBuffer[i] = id >>> (i * 8)
  return keyBuffer
}

const placeOf = (id: number) => Math.imul(id + 1, 0x9e3779b1) >>> 14
const tagOf = (id: number) => Math.imul(id ^ 0x5bd1e995, 0x85ebca6b) >>> 14
const insert = (cache: RecordCache, id: number, valueBytes: number) =>
  cache.insert(keyOf(id), 8, placeOf(id), tagOf(id), value, 0, valueBytes, id)
const find = (cache: RecordCache, id: number) => cache.find(keyOf(id), 8, placeOf(id), tagOf(id))

/** 300 bytes that are of no other `seed`. */
const pattern = (seed: number) => Uint8Array.from({ length: 300 }, (_, i) => i * 7 + seed)

describe('arrays of callers', () => {
  /** Each is used three times, so that a view of it is made and kept; some begin within their buffer. */
  const arrays = [0, 3, 8].map(offset => new Uint8Array(1000).subarray(offset, offset + 700))

  it('are copied from and to, whichever they are', () => {
    const cache = new RecordCache({ capacityBytes: MIB })
    for (const [seed, array] of arrays.entries()) {
      for (let time = 0; time < 3; time++) {
        array.set(pattern(seed * 10 + time), 5)
        const id = seed * 10 + time
        cache.insert(keyOf(id), 8, placeOf(id), tagOf(id), array, 5, 300, id)
      }
    }
    for (const array of arrays) {
      for (const id of [0, 1, 2, 10, 11, 12, 20, 21, 22]) {
        cache.copyValue(find(cache, id), array, 9)
        expect(Buffer.compare(array.subarray(9, 309), pattern(id)), `record ${id}`).toBe(0)
      }
    }
  })

  it('may have other keys in them each time', () => {
    const cache = new RecordCache({ capacityBytes: MIB })
    for (const [seed, array] of arrays.entries()) {
      for (let time = 0; time < 3; time++) {
        array.set(pattern(seed * 10 + time))
        cache.insert(array, 33, 5, 7, value, 0, 1, seed * 10 + time)
      }
    }
    for (const array of arrays) {
      for (const id of [0, 1, 2, 10, 11, 12, 20, 21, 22]) {
        array.set(pattern(id))
        expect(cache.locatorOf(cache.find(array, 33, 5, 7))).toBe(id)
      }
    }
  })
})

describe('limits', () => {
  it('a table as full as it gets finds every record, and loses none', () => {
    const cache = new RecordCache({ capacityBytes: 8 * MIB, meanRecordBytes: 168 })
    const { objectsMax } = cache.stats
    for (let id = 0; id < objectsMax; id++) insert(cache, id, 128)
    expect(cache.stats).toMatchObject({ objects: objectsMax, evictions: 0, displaced: 0 })
    for (let id = 0; id < objectsMax; id++) {
      if (cache.locatorOf(find(cache, id)) !== id) expect(id).toBe(-1)
    }
    for (let id = objectsMax; id < 4 * objectsMax; id++) insert(cache, id, 128)
    expect(cache.stats).toMatchObject({ objects: objectsMax, displaced: 0 })
  })

  it('smaller records than expected are as many as expected', () => {
    const cache = new RecordCache({ capacityBytes: MIB, meanRecordBytes: 400 })
    for (let id = 0; id < 20_000; id++) insert(cache, id, 1)
    expect(cache.stats.objects).toBe(cache.stats.objectsMax)
  })

  it('keys of equal hash are kept apart; of more than 16 some are lost', () => {
    const cache = new RecordCache({ capacityBytes: MIB })
    const put = (id: number) => cache.insert(keyOf(id), 8, 5, 7, value, 0, 20, id)
    for (let id = 0; id < 14; id++) put(id)
    for (let id = 0; id < 14; id++) expect(cache.locatorOf(cache.find(keyOf(id), 8, 5, 7))).toBe(id)
    for (let id = 14; id < 40; id++) put(id)
    const { objects, displaced } = cache.stats
    expect(objects + displaced).toBe(40)
    let found = 0
    for (let id = 0; id < 40; id++) {
      const handle = cache.find(keyOf(id), 8, 5, 7)
      if (handle < 0) continue
      found++
      expect(cache.locatorOf(handle)).toBe(id)
    }
    expect(found).toBe(objects)
    expect(found).toBe(16)
  })

  it('keys of equal hash come and go, and each record is found in the slot that it has now', () => {
    const prng = Prng.fromEnvironment('equal hashes')
    // At most 12 records, so that 16 slots are enough.
    const cache = new RecordCache({ capacityBytes: MIB, recordBytesMax: 1024, segmentBytes: 512 })
    for (let i = 0; i < 2000; i++) {
      const id = prng.below(30)
      const isRemoved = prng.chance(0.1)
      if (isRemoved) cache.remove(keyOf(id), 8, 5, 7)
      else cache.insert(keyOf(id), 8, 5, 7, value, 0, 40, id)
      expect(cache.find(keyOf(id), 8, 5, 7) >= 0).toBe(!isRemoved)
      let found = 0
      for (let other = 0; other < 30; other++) {
        const handle = cache.find(keyOf(other), 8, 5, 7)
        if (handle < 0) continue
        found++
        if (cache.locatorOf(handle) !== other) expect(cache.locatorOf(handle)).toBe(other)
      }
      expect(found).toBe(cache.stats.objects)
    }
    expect(cache.stats).toMatchObject({ displaced: 0 })
  })

  it('a key that begins like another of equal hash is another', () => {
    const cache = new RecordCache({ capacityBytes: MIB })
    const key = Uint8Array.from({ length: 250 }, (_, i) => i)
    const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 250]
    for (const length of lengths) cache.insert(key, length, 5, 7, value, 0, length, length)
    for (const length of lengths) {
      const handle = cache.find(key, length, 5, 7)
      expect([cache.locatorOf(handle), cache.valueBytesOf(handle)]).toEqual([length, length])
    }
    for (const length of [6, 10, 15, 249]) expect(cache.find(key, length, 5, 7)).toBe(-1)
    for (let i = 0; i < 16; i++) {
      const other = Uint8Array.from(key)
      other[i] = 255
      // The second time its words are compared.
      expect([cache.find(other, 16, 5, 7), cache.find(other, 16, 5, 7)]).toEqual([-1, -1])
      expect(cache.find(other, 16, 5, 7)).toBe(-1)
    }
  })

  it('the largest record is a tenth; a larger one takes its predecessor along', () => {
    const cache = new RecordCache({ capacityBytes: MIB, recordBytesMax: 80_000 })
    const largest = 8000 - 40
    expect(insert(cache, 1, largest)).toBe(true)
    expect(cache.valueBytesOf(find(cache, 1))).toBe(largest)
    expect(insert(cache, 1, largest + 1)).toBe(false)
    expect(find(cache, 1)).toBe(-1)
    expect(cache.stats.objects).toBe(0)
  })

  it('one insertion moves a limited number of records, however hot they all are', () => {
    const cache = new RecordCache({ capacityBytes: 16 * MIB, meanRecordBytes: 48 })
    let id = 0
    while (cache.stats.evictions === 0 && cache.stats.objects < cache.stats.objectsMax - 1) {
      insert(cache, id, 8)
      for (let i = 0; i < 3; i++) find(cache, id)
      id++
    }
    const most = Math.ceil(MOVED_GRANULES_MAX / (6 + MOVE_GRANULES))
    let moved = 0
    for (let i = 0; i < 100; i++) {
      const { toMain, rounds } = cache.stats
      insert(cache, id++, 8)
      const now = cache.stats.toMain + cache.stats.rounds - toMain - rounds
      expect(now).toBeLessThanOrEqual(most)
      moved = Math.max(moved, now)
    }
    expect(moved).toBe(most)
  })
})
