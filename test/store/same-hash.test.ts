/**
 * Keys with the same 36 bits of hash, which chance makes once in billions: each stays itself, whatever becomes of the others,
 * in one page or in many, in memory and on a drive, and after a restart.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEmulatedDrive, createMemoryDrive, open, type Store } from '../../store/index.js'
import { KeyHash } from '../../store/key-hash.js'
import { Prng } from '../fakes/prng.js'

const GEOMETRY = { zoneCount: 16, zoneSizeBytes: 256 * 1024, maxActive: 4 }
/** Few enough that all copies of one hash fit its two buckets. */
const KEYS = 10
const STEPS = 2500
const { hash, hashIn } = KeyHash.prototype

/** Of two hashes; what begins otherwise has its own. */
const keyOf = (number: number) => `t${number % 2}${number}`

beforeEach(() => {
  const force = (keys: KeyHash) => {
    if (keys.bytes[0] !== 116) return
    keys.place = 77
    keys.tag = keys.bytes[1]!
  }
  KeyHash.prototype.hash = function (key) {
    const length = hash.call(this, key)
    force(this)
    return length
  }
  KeyHash.prototype.hashIn = function (page, at, length) {
    hashIn.call(this, page, at, length)
    force(this)
  }
})

afterEach(() => {
  KeyHash.prototype.hash = hash
  KeyHash.prototype.hashIn = hashIn
})

async function compare(store: Store, values: ReadonlyMap<string, string>, when: string) {
  for (let number = 0; number < KEYS; number++) {
    const key = keyOf(number)
    expect((await store.get(key))?.toString(), `${when}: ${key}`).toBe(values.get(key))
  }
}

async function listed(store: Store): Promise<string[]> {
  const found = new Set<string>()
  for await (const key of store.keys()) if (key[0] === 116) found.add(key.toString())
  return [...found].sort()
}

const twinsOf = (store: Store) => store['parts'].engine.twins

describe.each(['in memory', 'on a drive'])('%s', where => {
  const device = () => {
    const drive =
      where === 'in memory' ? createMemoryDrive(GEOMETRY) : createEmulatedDrive(GEOMETRY)
    // For the next store.
    drive.dispose = async () => {}
    return drive
  }

  test('a random life is that of a Map', async () => {
    const prng = Prng.fromEnvironment(`same hash, ${where}`)
    const drive = device()
    const options = { device: drive, now: () => 1e12, cacheBytes: 0 }
    let store = await open(options)
    const values = new Map<string, string>()
    let fillers = 0
    let twinsMost = 0
    for (let step = 0; step < STEPS; step++) {
      const key = keyOf(prng.below(KEYS))
      const what = prng.below(4)
      if (what < 2) {
        values.set(key, `${step}`.padEnd(100))
        await store.set(key, values.get(key)!)
      } else if (what === 2) {
        expect(await store.delete(key), `step ${step}: ${key}`).toBe(values.delete(key))
      }
      // So that pages are full now and then, with several of them in one.
      for (let each = 0; each < 6; each++)
        await store.set(`f${fillers++ % 3000}`, Buffer.alloc(100))
      if (where !== 'in memory' && prng.chance(0.02)) await store.flush()
      twinsMost = Math.max(twinsMost, twinsOf(store).size)
      await compare(store, values, `step ${step}`)
      if (where === 'in memory' || !prng.chance(0.004)) continue
      expect(await listed(store)).toEqual([...values.keys()].sort())
      await store.close()
      store = await open(options)
      await compare(store, values, `after a restart at step ${step}`)
    }
    expect(twinsMost).toBeGreaterThan(0)
    expect(await listed(store)).toEqual([...values.keys()].sort())
    await store.close()
  })

  test('the dead are remembered only where one of the same hash lives in their page', async () => {
    const store = await open({ device: device(), now: () => 1e12, cacheBytes: 0 })
    const fill = async (count: number) => {
      for (let at = 0; at < count; at++) await store.set(`f${at}`, Buffer.alloc(100))
    }
    await store.set('t0', 'a')
    await store.set('t1', 'b')
    await fill(3000)
    await store.delete('t0')
    await store.set('t1', 'c')
    await store.flush()
    expect(twinsOf(store).size).toBe(0)
    for (const key of ['t00', 't02', 't04']) await store.set(key, key.padEnd(100))
    await fill(3000)
    await store.delete('t00')
    expect(twinsOf(store).size).toBe(1)
    await store.set('t02', 'new')
    await store.flush()
    expect(twinsOf(store).size).toBe(2)
    expect(await store.get('t00')).toBe(undefined)
    expect((await store.get('t02'))?.toString()).toBe('new')
    expect((await store.get('t04'))?.toString().trim()).toBe('t04')
    await store.close()
  })
})
