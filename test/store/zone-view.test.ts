/**
 * What a store says of its zones is the same after a restart: records, and those of them that live.
 */
import { expect, test } from 'vitest'
import { createEmulatedDrive, open, type Store } from '../../store/index.js'

const GEOMETRY = { zoneCount: 32, zoneSizeBytes: 256 * 1024, maxActive: 4 }

const countsOf = (store: Store) =>
  store.zones().map(({ zone, records, liveRecords }) => ({ zone, records, liveRecords }))

test('records and living records of each zone, before a restart and after it', async () => {
  const drive = createEmulatedDrive(GEOMETRY)
  drive.dispose = async () => {}
  const options = { device: drive, now: () => 1e12 }
  let store = await open(options)
  for (let i = 0; i < 12_000; i++) await store.set(`key ${i}`, Buffer.alloc(100, i))
  // A run of pages among them.
  await store.set('long', Buffer.alloc(20_000))
  await store.flush()
  for (let i = 0; i < 12_000; i += 7) await store.delete(`key ${i}`)
  for (let i = 1; i < 12_000; i += 7) await store.set(`key ${i}`, Buffer.alloc(100, 1))
  await store.flush()
  const before = countsOf(store)
  const living = before.reduce((sum, { liveRecords }) => sum + liveRecords, 0)
  expect(living).toBe(store.size)
  expect(before.length).toBeGreaterThan(3)
  expect(before.some(({ records, liveRecords }) => records > liveRecords)).toBe(true)
  await store.close()
  store = await open(options)
  expect(countsOf(store)).toEqual(before)
  await store.close()
})
