/**
 * A store that is always full: nothing it says is wrong, and with `reinsert` what is read often stays.
 */
import { describe, expect, test } from 'vitest'
import { type Eviction, open, type StoreStats } from '../../store/index.js'
import { createMemoryDrive, type ZonedDevice } from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'
import { CrashDrive } from './crash-drive.js'

const GEOMETRY = { zoneCount: 8, zoneSizeBytes: 256 * 1024, maxActive: 4 }
const KEYS = 60_000
const STEPS = 24_000
/** Keys that are read again and again, a few in every zone; the device holds some 12,000 objects. */
const HOT_KEYS = 300
const STEPS_A_HOT_KEY = STEPS / HOT_KEYS

interface Outcome {
  readonly hotHits: number
  readonly hotReads: number
  readonly stats: StoreStats
}

/** Writes many keys once and reads a few often; everything that comes back has to be what was written last. */
async function fillAndRead(device: ZonedDevice, eviction: Eviction, prng: Prng): Promise<Outcome> {
  const store = await open({ device, now: () => 1e12, cacheBytes: 0, lifetimeClasses: 3, eviction })
  const values = new Map<string, string>()
  const set = async (key: string, step: number) => {
    values.set(key, `${step}`.padEnd(100, 'x'))
    await store.set(key, values.get(key)!, { ttl: prng.chance(0.5) ? 1e6 : undefined })
  }
  let hotCount = 0
  let hotHits = 0
  let hotReads = 0
  for (let step = 0; step < STEPS; step++) {
    if (step % STEPS_A_HOT_KEY === 0 && hotCount < HOT_KEYS) await set(`hot${hotCount++}`, step)
    await set(`k${prng.below(KEYS)}`, step)
    const key = prng.chance(0.5) ? `hot${prng.below(hotCount)}` : `k${prng.below(KEYS)}`
    const found = await store.get(key)
    if (found !== undefined) expect(found.toString()).toBe(values.get(key))
    if (!key.startsWith('hot')) continue
    hotReads++
    if (found !== undefined) hotHits++
  }
  for (const [key, value] of values) {
    const found = await store.get(key)
    if (found !== undefined) expect(found.toString()).toBe(value)
  }
  const stats = store.stats()
  await store.close()
  return { hotHits, hotReads, stats }
}

describe.each(['in memory', 'on a drive'])('%s', where => {
  const device = (prng: Prng): ZonedDevice =>
    where === 'in memory' ? createMemoryDrive(GEOMETRY) : new CrashDrive(GEOMETRY, prng)

  test.each([
    undefined,
    1e6,
  ])('what nobody reads goes in the order in which it came: TTL %s', async ttl => {
    const prng = Prng.fromEnvironment(`eviction order ${where}`)
    const store = await open({ device: device(prng), now: () => 1e12, cacheBytes: 0 })
    const count = 40_000 + prng.below(3000)
    const value = Buffer.alloc(100)
    for (let at = 0; at < count; at++) await store.set(`k${at}`, value, { ttl })
    let first = -1
    let holes = 0
    for (let at = 0; at < count; at++) {
      const isThere = await store.has(`k${at}`)
      if (isThere && first < 0) first = at
      if (!isThere && first >= 0) holes++
    }
    expect(holes).toBe(0)
    expect(first).toBeGreaterThan(20_000)
    expect(first).toBeLessThan(count - 8000)
    await store.close()
  })

  test('reinsert keeps what is read often; evict does not', async () => {
    const seed = Prng.fromEnvironment(`eviction ${where}`).seed
    const outcomes = new Map<Eviction, Outcome>()
    for (const eviction of ['evict', 'reinsert'] as const) {
      const prng = new Prng(seed)
      outcomes.set(eviction, await fillAndRead(device(prng), eviction, prng))
    }
    const evict = outcomes.get('evict')!
    const reinsert = outcomes.get('reinsert')!
    expect(evict.stats.drops.evicted).toBeGreaterThan(3)
    expect(evict.stats.objectsMoved).toBe(0)
    expect(reinsert.stats.objectsMoved).toBeGreaterThan(HOT_KEYS / 2)
    expect(reinsert.stats.writes.reinsertedBytes).toBeGreaterThan(100 * (HOT_KEYS / 2))
    const misses = ({ hotHits, hotReads }: Outcome) => 1 - hotHits / hotReads
    console.log(`hot reads missed: ${misses(evict).toFixed(3)}, ${misses(reinsert).toFixed(3)}`)
    expect(misses(evict)).toBeGreaterThan(0)
    expect(misses(reinsert)).toBeLessThan(misses(evict) * 0.8)
    // Most of what moves is worth it, and most of a zone is free afterwards.
    const { reinsertedBytes, payloadBytes } = reinsert.stats.writes
    expect(reinsertedBytes).toBeLessThan(payloadBytes / 3)
  }, 120_000)
})
