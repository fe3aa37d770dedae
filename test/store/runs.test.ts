/**
 * Objects that are larger than a slab's slot: a read of one is one I/O, whatever its length, after a restart too.
 */
import { expect, test } from 'vitest'
import { open, type Store } from '../../store/index.js'
import { Prng } from '../fakes/prng.js'
import { CrashDrive } from './crash-drive.js'

const LENGTHS = [0, 100, 4000, 4096, 9000, 100_000, 300_000, 900_000]

test('a read of an object is one I/O', async () => {
  const prng = Prng.fromEnvironment('runs')
  const drive = new CrashDrive({ zoneCount: 16, zoneSizeBytes: 2 ** 20 * 2, maxActive: 6 }, prng)
  let reads = 0
  const read = drive.read.bind(drive)
  drive.read = (sector, target) => {
    reads++
    return read(sector, target)
  }
  const openStore = (): Promise<Store> =>
    open({ device: drive, now: () => 1e12, cacheBytes: 0, eviction: 'noeviction' })
  const values = new Map(
    LENGTHS.map(length => [`of ${length}`, Buffer.alloc(length, `${length}.`)] as const),
  )
  const check = async (store: Store, note: string) => {
    for (const [key, value] of values) {
      reads = 0
      const found = await store.get(key)
      expect(found?.equals(value), `${key}, ${note}`).toBe(true)
      expect(reads, `${key}, ${note}`).toBe(1)
    }
  }
  const store = await openStore()
  for (const [key, value] of values) await store.set(key, value)
  await store.flush()
  // What is read is on the drive, not in a stage: those are used up.
  for (let filler = 0; filler < 80; filler++) await store.set(`filler${filler}`, Buffer.alloc(8000))
  await store.flush()
  await check(store, 'before a restart')
  await store.close()
  drive.revive()
  const again = await openStore()
  await check(again, 'after a restart')
  await again.close()
})
