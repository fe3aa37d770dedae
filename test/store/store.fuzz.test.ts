/**
 * The store against a Map: the same answers after every random step, on drives with and without direct access, over restarts.
 */
import { describe, expect, test } from 'vitest'
import { open, type Store, type StoreOptions } from '../../store/index.js'
import { createMemoryDrive, type ZonedDevice } from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'
import { CrashDrive } from './crash-drive.js'
import { NaiveStore } from './naive-store.js'

const GEOMETRY = { zoneCount: 64, zoneSizeBytes: 512 * 1024, maxActive: 8 }
const STEPS = 6000

class Walk {
  nowMs = 1_700_000_000_000
  readonly #kept = Buffer.alloc(131)
  readonly naive = new NaiveStore(() => this.nowMs)
  #serial = 0

  constructor(
    readonly prng: Prng,
    readonly device: ZonedDevice,
    readonly options: Partial<StoreOptions>,
  ) {}

  open(): Promise<Store> {
    const { device, options } = this
    return open({ device, now: () => this.nowMs, eviction: 'noeviction', ...options })
  }

  key(): string {
    const { prng } = this
    // Some in UTF-8, some as long as they can be, some that differ from others at the beginning only.
    const number = `k${prng.below(400)}`
    const name = prng.chance(0.2) ? `${prng.pick(['east', 'west'])}${number}` : number
    return prng.chance(0.05) ? `é${name}` : prng.chance(0.02) ? name.padEnd(250, '.') : name
  }

  value(): string {
    const lengths = [
      0, 1, 8, 20, 60, 110, 128, 128, 128, 400, 1000, 2500, 4000, 4096, 20_000, 70_000,
    ]
    return `${this.#serial++}`.padEnd(this.prng.pick(lengths), '-')
  }

  ttl(): number | undefined {
    return this.prng.pick([undefined, 0.5, 7, 300, 2000, 2000, 60_000, 1_000_000])
  }

  async step(store: Store): Promise<void> {
    const { prng, naive } = this
    const dice = prng.below(100)
    const key = this.key()
    if (dice < 30) await this.#set(store, key)
    else if (dice < 45) expect((await store.get(key))?.toString()).toBe(naive.get(key))
    else if (dice < 50) await this.#read(store, key)
    else if (dice < 60) expect(await store.delete(key)).toBe(naive.delete(key))
    else if (dice < 65) await this.#conditional(store, key)
    else if (dice < 70) await this.#touch(store, key)
    else if (dice < 78) await this.#increment(store, `n${prng.below(20)}`)
    else if (dice < 82) await this.#many(store)
    else if (dice < 97) this.#pass(store)
    else await store.flush()
  }

  async #set(store: Store, key: string): Promise<void> {
    const value = this.value()
    const ttl = this.ttl()
    if (this.prng.chance(0.1)) {
      await this.#setKept(store, key, ttl)
      return
    }
    expect(await store.set(key, this.prng.chance(0.5) ? value : Buffer.from(value), { ttl })).toBe(
      true,
    )
    this.naive.set(key, value, ttl)
  }

  /** Values that come in one and the same buffer. */
  async #setKept(store: Store, key: string, ttl: number | undefined): Promise<void> {
    for (const one of [key, this.key(), this.key()]) {
      const value = `${this.#serial++}`.padEnd(this.#kept.length, '+')
      this.#kept.write(value)
      await store.set(one, this.#kept, { ttl })
      this.naive.set(one, value, ttl)
    }
  }

  async #read(store: Store, key: string): Promise<void> {
    const expected = this.naive.get(key)
    const target = new Uint8Array(80_000)
    const length = await store.getInto(Buffer.from(key), target)
    expect(length).toBe(expected === undefined ? -1 : Buffer.byteLength(expected))
    if (length > 0) expect(Buffer.from(target.subarray(0, length)).toString()).toBe(expected)
    const known = store.getSync(key)
    if (known !== null) expect(known?.toString()).toBe(expected)
    expect(await store.has(key)).toBe(expected !== undefined)
    expect(await store.ttl(key)).toBe(this.naive.ttl(key))
  }

  async #conditional(store: Store, key: string): Promise<void> {
    const entry = await store.getEntry(key)
    expect(entry?.value.toString()).toBe(this.naive.get(key))
    const value = this.value()
    const isRight = this.prng.chance(0.5)
    const ifVersion = isRight ? (entry?.version ?? 'none') : 'wrong'
    expect(await store.set(key, value, { ifVersion })).toBe(isRight && entry !== undefined)
    if (isRight && entry !== undefined) this.naive.set(key, value, undefined)
    const other = this.key()
    const isAbsent = this.naive.get(other) === undefined
    expect(await store.set(other, value, { ifAbsent: true, ttl: 500 })).toBe(isAbsent)
    if (isAbsent) this.naive.set(other, value, 500)
  }

  async #touch(store: Store, key: string): Promise<void> {
    const ttl = this.ttl()
    const value = this.naive.get(key)
    expect(await store.touch(key, ttl)).toBe(value !== undefined)
    if (value !== undefined) this.naive.set(key, value, ttl)
  }

  async #increment(store: Store, key: string): Promise<void> {
    const by = this.prng.below(100) - 30
    const sum = Number(this.naive.get(key) ?? '0') + by
    const left = this.naive.ttl(key) ?? 5000
    expect(await store.increment(key, by, { ttl: 5000 })).toBe(sum)
    this.naive.set(key, String(sum), left === Number.POSITIVE_INFINITY ? undefined : left)
  }

  async #many(store: Store): Promise<void> {
    const keys = Array.from({ length: 20 }, () => this.key())
    const values = await store.getMany(keys)
    expect(values.map(value => value?.toString())).toEqual(keys.map(key => this.naive.get(key)))
  }

  #pass(store: Store): void {
    this.nowMs += this.prng.pick([0, 1, 5, 100, 900, 5000])
    if (this.prng.chance(0.5)) store.tick(this.nowMs)
  }

  async all(store: Store): Promise<void> {
    const keys = new Set<string>()
    for await (const key of store.keys()) keys.add(key.toString())
    expect([...keys].sort()).toEqual(this.naive.keys.sort())
    for (const key of keys) expect((await store.get(key))?.toString()).toBe(this.naive.get(key))
    expect(store.size).toBeGreaterThanOrEqual(keys.size)
  }
}

describe('a store and a Map give the same answers', () => {
  test('in memory', async () => {
    const prng = Prng.fromEnvironment('store fuzz, memory')
    const walk = new Walk(prng, createMemoryDrive(GEOMETRY), {})
    const store = await walk.open()
    for (let step = 0; step < STEPS; step++) await walk.step(store)
    await walk.all(store)
    await store.close()
  }, 120_000)

  test.each([0, 256 * 1024])('on a drive, over restarts, cache of %d bytes', async cacheBytes => {
    const prng = Prng.fromEnvironment(`store fuzz, drive, cache ${cacheBytes}`)
    const walk = new Walk(prng, new CrashDrive(GEOMETRY, prng), { cacheBytes })
    for (let life = 0; life < 6; life++) {
      const store = await walk.open()
      await walk.all(store)
      for (let step = 0; step < STEPS / 6; step++) await walk.step(store)
      await walk.all(store)
      await store.close()
    }
  }, 120_000)

  test('with eviction nothing is wrong, only missing', async () => {
    const prng = Prng.fromEnvironment('store fuzz, eviction')
    const geometry = { zoneCount: 12, zoneSizeBytes: 256 * 1024, maxActive: 4 }
    for (const device of [createMemoryDrive(geometry), new CrashDrive(geometry, prng)]) {
      const store = await open({ device, now: () => 1e12, cacheBytes: 0, lifetimeClasses: 3 })
      const values = new Map<string, string>()
      for (let step = 0; step < 40_000; step++) {
        const key = `k${prng.below(60_000)}`
        values.set(key, `${step}`.padEnd(100, 'x'))
        await store.set(key, values.get(key)!, { ttl: prng.chance(0.5) ? 1e6 : undefined })
      }
      let there = 0
      for (const [key, value] of values) {
        const found = await store.get(key)
        if (found !== undefined) expect(found.toString()).toBe(value)
        if (found !== undefined) there++
      }
      const { drops, objectsLost } = store.stats()
      expect(drops.evicted).toBeGreaterThan(3)
      expect(there).toBeGreaterThan(5000)
      expect(there + objectsLost).toBeGreaterThanOrEqual(values.size)
      await store.close()
    }
  }, 120_000)
})
