/**
 * A drive whose memory is one lazy mapping passes the suite of all zoned devices, takes what is written and gives it back to the
 * page; what is no such memory is refused.
 */
import { describe, expect, test } from 'vitest'
import { openDevice } from '../../devices/index.js'
import { LazyBuffers } from '../../devices/lazy-buffers.js'
import { giveBack, mapLazy } from '../../ublk-native/index.js'
import { createMemoryDrive, Geometry, type MemoryDrive } from '../../zone-model/index.js'
import { zonedDeviceSuite } from '../conformance/zoned-device.js'

const MIB = 1024 * 1024
const SIZE = MIB / 512

describe.each([false, true])('huge pages: %s', isHuge => {
  zonedDeviceSuite({
    name: 'a drive in lazy memory',
    factory: async options => {
      const buffers = new LazyBuffers(Geometry.create(options), isHuge)
      return createMemoryDrive({ ...options, spareZones: 1, buffers })
    },
  })
})

test('takes and gives back, zone by zone', async () => {
  const zoneCount = 256
  const geometry = { zoneCount, zoneSizeBytes: MIB, maxActive: 0 }
  const buffers = new LazyBuffers(Geometry.create(geometry), false)
  const drive = createMemoryDrive({ ...geometry, spareZones: 0, buffers })
  const data = new Uint8Array(MIB / 2).fill(1)
  const grown = (from: number) => (process.memoryUsage.rss() - from) / MIB
  const start = process.memoryUsage.rss()
  for (let zone = 0; zone < zoneCount; zone++) expect(drive.direct.write(zone * SIZE, data)).toBe(0)
  expect(drive.memory()).toEqual({ zonesBytes: 128 * MIB, spareBytes: 0 })
  expect(grown(start)).toBeGreaterThan(120)
  expect(grown(start)).toBeLessThan(145)
  // Every other zone: nothing that holds them together keeps the memory.
  const full = process.memoryUsage.rss()
  for (let zone = 0; zone < zoneCount; zone += 2) drive.direct.reset(zone)
  expect(grown(full)).toBeLessThan(-55)
  expect(drive.direct.zone(1)[0]).toBe(1)
  expect(drive.direct.zone(0)[0]).toBe(0)
  await drive.dispose()
  expect(grown(start)).toBeLessThan(30)
})

test('zones of several mappings', async () => {
  const device = (await openDevice({ memory: 64 * 1024 * MIB })) as MemoryDrive
  const { zoneCount, zoneSizeSectors } = device.geometry
  const block = new Uint8Array(4096)
  const zones = [0, 3, 4, 9, zoneCount - 1]
  for (const zone of zones) device.direct.write(zone * zoneSizeSectors, block.fill(zone))
  for (const zone of zones) expect(device.direct.zone(zone)[4095]).toBe(zone & 0xff)
  device.direct.reset(4)
  expect(device.direct.zone(3)[0]).toBe(3)
  await device.dispose()
})

test('openDevice uses it, and counts huge pages whole', async () => {
  const drive = (await openDevice({ memory: 64 * MIB, hugePages: true })) as MemoryDrive
  drive.direct.write(0, new Uint8Array(4096))
  expect(drive.memory().zonesBytes).toBe(2 * MIB)
  await drive.dispose()
})

test('what is none of a lazy buffer', () => {
  const invalid = expect.objectContaining({ code: 'EINVAL' })
  const memory = mapLazy(64 * 1024, false)
  const bytes = new Uint8Array(memory).fill(1)
  giveBack(memory, 4096, 8192)
  expect([bytes[4095], bytes[4096], bytes[12287], bytes[12288]]).toEqual([1, 0, 0, 1])
  expect(() => giveBack(memory, 1, 4096)).toThrow(invalid)
  expect(() => giveBack(memory, 4096, 64 * 1024)).toThrow(invalid)
  expect(() => giveBack(new ArrayBuffer(8192), 0, 4096)).toThrow(invalid)
  expect(() => mapLazy(0, false)).toThrow(TypeError)
  expect(() => mapLazy(2 ** 32, false)).toThrow(TypeError)
})
