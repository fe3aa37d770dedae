/**
 * The cache does what a naive S3-FIFO does, step by step: the same records stay, with the same bytes and the same counts. Seeds are
 * printed; `SEED=n` replays.
 */
import { expect, test } from 'vitest'
import {
  DEADLINE,
  MOVE_GRANULES,
  MOVED_GRANULES_MAX,
  RecordCache,
  VERSION,
} from '../../store/record-cache.js'
import { recordGranules } from '../../store/record-memory.js'
import { Prng } from '../fakes/prng.js'
import { NaiveCache } from './naive-cache.js'

interface Key {
  readonly name: string
  readonly bytes: Uint8Array
  readonly place: number
  readonly tag: number
}

interface Shape {
  readonly keys: readonly Key[]
  readonly valueBytes: (prng: Prng) => number
  readonly cache: RecordCache
  readonly naive: NaiveCache
}

/** Tags differ in their low 16 bits, so that neither cache takes one ghost for another. */
function keysOf(prng: Prng, count: number, lengthOf: () => number): Key[] {
  const tagStep = (prng.below(2 ** 15) << 1) | 1
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(Math.max(lengthOf(), 2)).map(() => prng.below(256))
    bytes[0] = i & 0xff
    bytes[1] = i >>> 8
    const tag = ((i * tagStep) & 0xffff) | (prng.below(4) << 16)
    return { name: String(i), bytes, place: prng.below(2 ** 18), tag }
  })
}

function shapeOf(prng: Prng): Shape {
  const recordBytesMax = prng.pick([1024, 3000, 8192, 30_000, 100_000])
  const segmentBytes = prng.pick([512, 1024, 4096])
  const keyLength = prng.pick([2, 8, 16, 250, 0])
  const isEqual = prng.chance(0.3)
  const equalBytes = prng.below(120)
  const keyBytes = () => (keyLength === 0 ? 2 + prng.below(249) : keyLength)
  const largest = Math.floor(recordBytesMax / 10)
  const valueBytes = (prng: Prng) => {
    if (isEqual) return equalBytes
    const limit = prng.pick([8, 40, 40, 200, 200, largest, largest + 100])
    return prng.below(limit + 1)
  }
  // Of equal records about as many as there may be; else as many as there are.
  const equalGranules = recordGranules(keyBytes(), equalBytes)
  const isCountLimited = isEqual && keyLength !== 0 && prng.chance(0.5)
  const meanRecordBytes = isCountLimited ? equalGranules * 8 + prng.below(4) : 40
  const options = { capacityBytes: 2 ** 20, recordBytesMax, segmentBytes, meanRecordBytes }
  const cache = new RecordCache(options)
  const naive = new NaiveCache({
    granulesMax: cache.plan.recordBytes / 8,
    objectsMax: cache.plan.objectsMax,
    movedMax: MOVED_GRANULES_MAX,
    moveGranules: MOVE_GRANULES,
  })
  const keys = keysOf(prng, Math.ceil(recordBytesMax / prng.pick([20, 60, 150])), keyBytes)
  return { keys, valueBytes, cache, naive }
}

/** Mostly the first keys, sometimes any. */
function someKey(prng: Prng, keys: readonly Key[]): Key {
  const limit = prng.chance(0.4) ? keys.length : Math.ceil(keys.length / 8)
  return keys[prng.below(limit)]!
}

/** An `expect` for what is done a hundred thousand times. */
function same(what: string, actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) expect({ [what]: actual }).toEqual({ [what]: expected })
}

function checkRecord({ cache, naive }: Shape, key: Key, into: Uint8Array): number {
  const expected = naive.find(key.name)
  const handle = cache.find(key.bytes, key.bytes.length, key.place, key.tag)
  same(`key ${key.name} is there`, handle >= 0, expected !== undefined)
  if (expected === undefined) return -1
  const { value, deadline, version, locator } = expected
  const end = 3 + value.length
  same('value bytes', cache.valueBytesOf(handle), value.length)
  into.fill(0xee, 0, end + 1)
  cache.copyValue(handle, into, 3)
  same('value', Buffer.compare(into.subarray(3, end), value), 0)
  same('before the value', into[2], 0xee)
  same('behind the value', into[end], 0xee)
  same('deadline', cache.deadlineOf(handle), deadline)
  same('version', cache.versionOf(handle), version)
  same('locator', cache.locatorOf(handle), locator)
  return handle
}

function insertBoth(prng: Prng, { cache, naive, valueBytes }: Shape, key: Key, buffer: Uint8Array) {
  const length = valueBytes(prng)
  const offset = prng.below(5)
  for (let i = 0; i < length; i++) buffer[offset + i] = prng.next()
  const version = prng.next() * 2 ** 20 + prng.below(64)
  const deadline = prng.chance(0.2) ? Infinity : 1.7e12 + prng.next()
  const locator = prng.below(2 ** 26)
  cache.times[DEADLINE] = deadline
  cache.times[VERSION] = version
  const { bytes, place, tag } = key
  const isIn = cache.insert(bytes, bytes.length, place, tag, buffer, offset, length, locator)
  const value = buffer.slice(offset, offset + length)
  const granules = recordGranules(bytes.length, length)
  same('is taken', isIn, naive.insert(key.name, { granules, value, deadline, version, locator }))
}

function step(prng: Prng, shape: Shape, buffer: Uint8Array): void {
  const { cache, naive, keys } = shape
  const key = someKey(prng, keys)
  const { bytes, place, tag, name } = key
  const kind = prng.below(1000)
  if (kind === 0) {
    cache.clear()
    naive.clear()
  } else if (kind < 40) {
    same('was there', cache.remove(bytes, bytes.length, place, tag), naive.remove(name))
  } else if (kind < 250) insertBoth(prng, shape, key, buffer)
  else {
    const handle = checkRecord(shape, key, buffer)
    if (handle < 0) insertBoth(prng, shape, key, buffer)
    else if (kind > 980) {
      cache.expire(handle)
      naive.expire(name)
    } else if (kind > 960) {
      const record = naive.records.get(name)!
      record.locator = prng.below(2 ** 26)
      record.version = prng.next()
      cache.times[VERSION] = record.version
      cache.relocate(handle, record.locator)
    }
  }
}

function checkCounts({ cache, naive }: Shape): void {
  const stats = cache.stats
  for (const [name, count] of Object.entries(naive.counts))
    same(name, stats[name as keyof typeof naive.counts], count)
  same('objects', stats.objects, naive.records.size)
}

/** Steps that were compared; fewer than asked for when a table lost something, which the naive one cannot know. */
function run(prng: Prng, steps: number): { compared: number; evictions: number } {
  const shape = shapeOf(prng)
  const buffer = new Uint8Array(shape.cache.plan.recordBytes + 200)
  const { cache, naive, keys } = shape
  for (let i = 0; i < steps; i++) {
    step(prng, shape, buffer)
    const { displaced, ghostsLost } = cache.stats
    if (displaced + ghostsLost > 0) return { compared: i, evictions: naive.counts.evictions }
    checkCounts(shape)
    if (i % 1000 !== 999) continue
    same('bytes', cache.stats.bytes, naive.granules * 8)
    for (const key of keys) checkRecord(shape, key, buffer)
  }
  return { compared: steps, evictions: naive.counts.evictions }
}

test('the same as a naive S3-FIFO after every step', () => {
  const seeds = Prng.fromEnvironment('record-cache')
  let compared = 0
  let evictions = 0
  for (let round = 0; round < 40; round++) {
    const done = run(new Prng(seeds.next()), 3000)
    compared += done.compared
    evictions += done.evictions
  }
  // A table loses something in one round of thirty, early or late.
  expect(compared).toBeGreaterThan(40 * 3000 * 0.8)
  expect(evictions).toBeGreaterThan(10_000)
})
