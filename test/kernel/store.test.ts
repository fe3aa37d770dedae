/**
 * The store on zoned block devices of the kernel: one of ours, and null_blk of the same layout. Conventional zones first, capacity below
 * the zone size, as many active zones as classes; objects and long ones, deletes, restarts, a zone that expires, a full device.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { open, type Store, type StoreOptions } from '../../store/index.js'
import { closeAll, create, type Device, newKernelWarnings, remove } from './harness.js'
import { nullBlk } from './null-blk.js'

const MIB = 1024 * 1024
const LAYOUT = {
  zones: 12,
  conventional: 2,
  zoneSize: 4 * MIB,
  zoneCapacity: 3 * MIB,
  maxOpen: 6,
  maxActive: 6,
}
const OBJECTS = 3000

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

let ours: Device
beforeAll(async () => {
  ours = await create(LAYOUT)
})
afterAll(() => remove(ours))

const reference = await nullBlk(LAYOUT)
if (reference === null) process.stdout.write('no null_blk here: the store is not run on it\n')
else afterAll(() => reference.remove())

const DEVICES = [
  { name: 'our block device', path: () => ours.path },
  ...(reference === null ? [] : [{ name: 'null_blk', path: () => reference.path }]),
]

describe.each(DEVICES)('the store on $name', ({ path }) => {
  let nowMs = 1e12
  const openStore = (options: Partial<StoreOptions> = {}): Promise<Store> =>
    open({ device: path(), cacheBytes: 0, now: () => nowMs, ...options })
  const contentOf = (at: number) => `${at}`.padEnd(at % 500 === 0 ? 20_000 : 100, '-')

  async function check(store: Store, wanted: (at: number) => boolean): Promise<void> {
    const keys = Array.from({ length: OBJECTS }, (_, at) => `key ${at}`)
    const values = await store.getMany(keys)
    for (const [at, value] of values.entries()) {
      expect(value?.toString(), `key ${at}`).toBe(wanted(at) ? contentOf(at) : undefined)
    }
  }

  it('keeps objects over restarts, lets them end, and gives their zones back', async () => {
    const made = await openStore({ format: true })
    for (let at = 0; at < OBJECTS; at++) {
      await made.set(`key ${at}`, contentOf(at), { ttl: at % 3 === 0 ? 5000 : 3_600_000 })
    }
    await check(made, () => true)
    for (let at = 0; at < OBJECTS; at += 7) expect(await made.delete(`key ${at}`)).toBe(true)
    await made.close()

    const again = await openStore()
    expect(again.recovery.objects).toBe(OBJECTS - Math.ceil(OBJECTS / 7))
    await check(again, at => at % 7 !== 0)
    nowMs += 5000
    await check(again, at => at % 7 !== 0 && at % 3 !== 0)
    again.tick(nowMs)
    await again.flush()
    expect(again.stats().drops.expired).toBeGreaterThan(0)
    await again.close()

    const last = await openStore()
    await check(last, at => at % 7 !== 0 && at % 3 !== 0)
    await last.close()
  })

  it('evicts the zone of least use when the device is full', async () => {
    const store = await openStore({ format: true, lifetimeClasses: 2 })
    const bytes = (LAYOUT.zones - LAYOUT.conventional) * LAYOUT.zoneCapacity
    const value = Buffer.alloc(100_000, 7)
    for (let at = 0; at * value.length < 2 * bytes; at++) await store.set(`large ${at}`, value)
    expect(store.stats().drops.evicted).toBeGreaterThan(5)
    const last = Math.ceil((2 * bytes) / value.length) - 1
    expect((await store.get(`large ${last}`))?.equals(value)).toBe(true)
    expect(await store.get('large 0')).toBeUndefined()
    await store.close()
  })
})
