/**
 * A drive in memory passes the suite of all zoned devices by both its entrances; its views, its memory, its refusals.
 */
import { afterEach, describe, expect, test } from 'vitest'
import {
  createMemoryDrive,
  EINVAL,
  EIO,
  EOVERFLOW,
  ETOOMANYREFS,
  type GeometryOptions,
  type MemoryDrive,
  type MemoryDriveOptions,
  readOnlyZone,
  ZoneIoError,
} from '../../zone-model/index.js'
import { zonedDeviceSuite } from '../conformance/zoned-device.js'
import { randomFrom, seedFromEnvironment } from './tables.js'

zonedDeviceSuite({
  name: 'a drive in memory',
  factory: async options => createMemoryDrive(options),
})

/** The same drive, but what direct access can do goes through it. */
function throughDirect(options: GeometryOptions): MemoryDrive {
  const drive = createMemoryDrive({ ...options, spareZones: 1 })
  const direct = drive.direct
  const check = (operation: string, result: number) => {
    if (result < 0) throw new ZoneIoError({ operation, errno: -result })
  }
  return Object.assign(drive, {
    write: async (sector: number, source: Uint8Array) =>
      check('write', direct.write(sector, source)),
    reset: async (zone: number) => check('reset', direct.reset(zone)),
  })
}

zonedDeviceSuite({
  name: 'a drive in memory, by direct access',
  factory: async options => throughDirect(options),
})

const BLOCK = 4096
const SECTORS = 8
const OPTIONS: MemoryDriveOptions = {
  zoneCount: 6,
  zoneSizeBytes: 1024 * 1024,
  zoneCapacityBytes: 768 * 1024,
  conventionalCount: 1,
  maxOpen: 2,
  maxActive: 3,
}
const SIZE = 2048
const block = (mark: number) => new Uint8Array(BLOCK).fill(mark)

describe('views', () => {
  const drive = createMemoryDrive(OPTIONS)
  afterEach(() => drive.resetAll())

  test('show what is written, before and after', () => {
    const view = drive.direct.zone(1)
    expect(view.length).toBe(768 * 1024)
    expect(drive.direct.write(SIZE, block(7))).toBe(0)
    expect(view.subarray(0, BLOCK)).toEqual(block(7))
    expect(drive.direct.write(SIZE + SECTORS, block(8))).toBe(0)
    expect(view.subarray(BLOCK, 2 * BLOCK)).toEqual(block(8))
    expect(drive.direct.zone(1)).toBe(view)
    expect(drive.direct.zone(0).length).toBe(1024 * 1024)
  })

  test('are of one zone each, through a random walk with resets', async () => {
    const random = randomFrom(seedFromEnvironment('views'))
    const marks = new Map<number, number[]>([1, 2].map(zone => [zone, []]))
    for (let step = 1; step < 3000; step++) {
      const zone = 1 + random(2)
      const written = marks.get(zone)!
      if (random(40) === 0 || written.length === 192) {
        if (random(2) === 0) expect(drive.direct.reset(zone)).toBe(0)
        else await drive.reset(zone)
        written.length = 0
        continue
      }
      const sector = zone * SIZE + written.length * SECTORS
      expect(drive.direct.write(sector, block(step))).toBe(0)
      written.push(step & 0xff)
      const view = drive.direct.zone(zone)
      const at = random(written.length)
      expect([view[at * BLOCK], view[at * BLOCK + BLOCK - 1]]).toEqual([written[at], written[at]])
    }
  })

  test('of a zone that is none', () => {
    for (const zone of [-1, 6, 1.5, Number.NaN]) {
      expect(() => drive.direct.zone(zone)).toThrow(ZoneIoError)
    }
  })
})

describe('memory', () => {
  test('is taken as far as it is written, kept up to the spares, and given back', async () => {
    const drive = createMemoryDrive({ ...OPTIONS, spareZones: 1 })
    expect(drive.memory()).toEqual({ zonesBytes: 0, spareBytes: 0 })
    const views = [1, 2].map(zone => {
      drive.direct.write(zone * SIZE, block(zone))
      return drive.direct.zone(zone)
    })
    expect(drive.memory()).toEqual({ zonesBytes: 2 * BLOCK, spareBytes: 0 })
    await drive.reset(1)
    expect(drive.memory()).toEqual({ zonesBytes: BLOCK, spareBytes: BLOCK })
    drive.direct.reset(2)
    expect(drive.memory()).toEqual({ zonesBytes: 0, spareBytes: BLOCK })
    // The second one is gone; the first waits for the next zone, which does not show what was in it.
    expect(views.map(({ length }) => length)).toEqual([768 * 1024, 0])
    expect(drive.direct.zone(3)).toBe(views[0])
    const read = block(1)
    await drive.read(3 * SIZE, read)
    expect(read).toEqual(block(0))
    await drive.dispose()
    expect(drive.memory()).toEqual({ zonesBytes: 0, spareBytes: 0 })
  })

  test('comes back to the system, and not at the next garbage collection', async () => {
    const zoneSizeBytes = 64 * 1024 * 1024
    const drive = createMemoryDrive({ zoneCount: 5, zoneSizeBytes, spareZones: 0 })
    const data = new Uint8Array(1024 * 1024).fill(1)
    const growth = (before: number) => process.memoryUsage.rss() - before
    const start = process.memoryUsage.rss()
    for (let zone = 0; zone < 5; zone++) {
      for (let at = 0; at < 64; at++) drive.direct.write((zone * 64 + at) * SIZE, data)
    }
    expect(growth(start)).toBeGreaterThan(250 * 1024 * 1024)
    for (let zone = 0; zone < 5; zone++) expect(drive.direct.reset(zone)).toBe(0)
    expect(growth(start)).toBeLessThan(64 * 1024 * 1024)
  })

  test('that a conventional zone is written in out of order', async () => {
    const drive = createMemoryDrive({ ...OPTIONS, spareZones: 4 })
    drive.direct.write(SIZE, block(9))
    drive.direct.reset(1)
    drive.direct.write(10 * SECTORS, block(1))
    drive.direct.write(2 * SECTORS, block(2))
    const read = new Uint8Array(11 * BLOCK)
    await drive.read(0, read)
    const marks = Array.from({ length: 11 }, (_, index) => read[index * BLOCK])
    expect(marks).toEqual([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1])
    expect(drive.direct.zone(0).subarray(0, 11 * BLOCK)).toEqual(read)
  })
})

describe('refusals are numbers', () => {
  test('of writes', () => {
    const drive = createMemoryDrive(OPTIONS)
    const write = (sector: number, bytes: number) =>
      drive.direct.write(sector, new Uint8Array(bytes))
    expect(write(SIZE + SECTORS, BLOCK)).toBe(-EIO)
    for (const sector of [1, -8, 6 * SIZE, Number.NaN, 8.5, Number.POSITIVE_INFINITY]) {
      expect(write(sector, BLOCK)).toBe(-EINVAL)
    }
    for (const bytes of [0, 100, 4608]) expect(write(SIZE, bytes)).toBe(-EINVAL)
    expect(write(SIZE, 1024 * 1024)).toBe(-EIO)
    readOnlyZone(drive.table, 5)
    expect(write(5 * SIZE, BLOCK)).toBe(-EIO)
    expect([1, 2, 3].map(zone => write(zone * SIZE, BLOCK))).toEqual([0, 0, 0])
    expect(write(4 * SIZE, BLOCK)).toBe(-EOVERFLOW)
  })

  test('at the limit of open zones', async () => {
    const drive = createMemoryDrive(OPTIONS)
    await drive.open(1)
    await drive.open(2)
    expect(drive.direct.write(3 * SIZE, block(1))).toBe(-ETOOMANYREFS)
  })

  test('of resets, and after dispose', async () => {
    const drive = createMemoryDrive(OPTIONS)
    expect(drive.direct.reset(0)).toBe(-EIO)
    for (const zone of [-1, 6, 1.5]) expect(drive.direct.reset(zone)).toBe(-EINVAL)
    await drive.dispose()
    expect(drive.direct.reset(1)).toBe(-EINVAL)
    expect(drive.direct.write(SIZE, block(1))).toBe(-EINVAL)
    expect(() => drive.direct.zone(1)).toThrow(ZoneIoError)
  })

  test('of options', () => {
    for (const spareZones of [-1, 65, 1.5]) {
      expect(() => createMemoryDrive({ ...OPTIONS, spareZones })).toThrow(
        /spareZones is .* 0 to 64/,
      )
    }
  })
})
