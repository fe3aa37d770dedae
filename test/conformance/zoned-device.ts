/**
 * What every zoned device must do, as tests: run `zonedDeviceSuite` with a factory for the device under test.
 *
 * The factory gives an empty device of the geometry asked for. A device that cannot be made anew gives one whose zones have
 * been reset. Refusals are compared by NVMe status when the error has one, otherwise by errno.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_FULL,
  errnoOfStatus,
  type GeometryOptions,
  SECTOR_BYTES,
  STATUS_INVALID_TRANSITION,
  STATUS_TOO_MANY_ACTIVE,
  STATUS_TOO_MANY_OPEN,
  STATUS_ZONE_BOUNDARY_ERROR,
  STATUS_ZONE_INVALID_WRITE,
  STATUS_ZONE_IS_FULL,
  type ZonedDevice,
  ZoneIoError,
} from '../../zone-model/index.js'
import { randomFrom, seedFromEnvironment } from '../zone-model/tables.js'

export interface ZonedDeviceSuiteOptions {
  readonly name: string
  readonly factory: (geometry: GeometryOptions) => Promise<ZonedDevice>
  /** Steps of the random walk. */
  readonly walkSteps?: number
}

const ZONE_BYTES = 4 * 1024 * 1024
const CAPACITY_BYTES = 3 * 1024 * 1024
const LAYOUT: GeometryOptions = {
  zoneCount: 12,
  zoneSizeBytes: ZONE_BYTES,
  zoneCapacityBytes: CAPACITY_BYTES,
  conventionalCount: 2,
  maxOpen: 3,
  maxActive: 5,
  maxAppendBytes: 64 * 1024,
}
const FIRST = 2
const SIZE = ZONE_BYTES / SECTOR_BYTES
const CAPACITY = CAPACITY_BYTES / SECTOR_BYTES

/** Bytes that say which they are. */
function payload(bytes: number, mark: number): Uint8Array {
  const filled = new Uint8Array(bytes)
  const view = new DataView(filled.buffer)
  for (let at = 0; at + 8 <= bytes; at += 8) {
    view.setUint32(at, mark, true)
    view.setUint32(at + 4, at, true)
  }
  return filled
}

async function expectRefusal(attempt: Promise<unknown>, status: number): Promise<void> {
  const error = await attempt.then(
    () => undefined,
    reason => reason as unknown,
  )
  expect(error).toBeInstanceOf(ZoneIoError)
  const refusal = error as ZoneIoError
  expect(refusal.errno).toBe(errnoOfStatus(status))
  if (refusal.status !== undefined) expect(refusal.status.toString(16)).toBe(status.toString(16))
}

/** Registers the suite with vitest. */
export function zonedDeviceSuite({
  name,
  factory,
  walkSteps = 2000,
}: ZonedDeviceSuiteOptions): void {
  describe(`${name} is a zoned device`, () => {
    let device: ZonedDevice
    beforeEach(async () => {
      device = await factory(LAYOUT)
    })
    afterEach(() => device.dispose())
    const context = { device: () => device }
    reportTests(context)
    dataTests(context)
    capacityTests(context)
    managementTests(context)
    limitTests(context)
    walkTest(context, walkSteps)
  })
}

interface Context {
  readonly device: () => ZonedDevice
}

const start = (zone: number) => zone * SIZE
async function zoneOf(device: ZonedDevice, zone: number) {
  const [found] = await device.report({ firstZone: zone, zoneCount: 1 })
  return found!
}
async function expectZone(device: ZonedDevice, zone: number, condition: string, wp?: number) {
  const found = await zoneOf(device, zone)
  expect(found.condition).toBe(condition)
  if (wp !== undefined) expect(found.wpSector - found.startSector).toBe(wp)
}

function reportTests({ device }: Context): void {
  test('reports every zone of a new device', async () => {
    const zones = await device().report()
    expect(zones).toHaveLength(12)
    for (const [index, zone] of zones.entries()) {
      const isConventional = index < FIRST
      expect(zone).toEqual({
        zone: index,
        startSector: start(index),
        lengthSectors: SIZE,
        capacitySectors: isConventional ? SIZE : CAPACITY,
        wpSector: isConventional ? start(index + 1) : start(index),
        type: isConventional ? 'conventional' : 'sequential',
        condition: isConventional ? 'not-wp' : 'empty',
      })
    }
  })

  test('reports a range, and zones of one condition', async () => {
    await device().finish(5)
    await device().finish(7)
    const range = await device().report({ firstZone: 4, zoneCount: 3 })
    expect(range.map(({ zone }) => zone)).toEqual([4, 5, 6])
    const full = await device().report({ condition: BLK_ZONE_COND_FULL })
    expect(full.map(({ zone }) => zone)).toEqual([5, 7])
    const second = await device().report({ firstZone: 6, condition: BLK_ZONE_COND_FULL })
    expect(second.map(({ zone }) => zone)).toEqual([7])
    const empty = await device().report({ condition: BLK_ZONE_COND_EMPTY, zoneCount: 4 })
    expect(empty.map(({ zone }) => zone)).toEqual([2, 3, 4, 6])
  })

  test('reports full zones with the write pointer at the end', async () => {
    await device().finish(FIRST)
    await expectZone(device(), FIRST, 'full', SIZE)
  })
}

function dataTests({ device }: Context): void {
  test('gives back what was written, and zeros past the write pointer', async () => {
    await device().write(start(FIRST), payload(8192, 1))
    await device().write(start(FIRST) + 16, payload(4096, 2))
    await expectZone(device(), FIRST, 'implicit-open', 24)
    const read = new Uint8Array(16384).fill(0xff)
    await device().read(start(FIRST), read)
    expect(Buffer.compare(read.subarray(0, 8192), payload(8192, 1))).toBe(0)
    expect(Buffer.compare(read.subarray(8192, 12288), payload(4096, 2))).toBe(0)
    expect(Buffer.compare(read.subarray(12288), new Uint8Array(4096))).toBe(0)
  })

  test('reads zeros between capacity and size', async () => {
    const read = new Uint8Array(4096).fill(0xff)
    await device().read(start(FIRST) + CAPACITY, read)
    expect(Buffer.compare(read, new Uint8Array(4096))).toBe(0)
  })

  test('appends one after the other and says where', async () => {
    expect(await device().append(FIRST, payload(4096, 1))).toBe(start(FIRST))
    expect(await device().append(FIRST, payload(65536, 2))).toBe(start(FIRST) + 8)
    const read = new Uint8Array(65536)
    await device().read(start(FIRST) + 8, read)
    expect(Buffer.compare(read, payload(65536, 2))).toBe(0)
    await expectZone(device(), FIRST, 'implicit-open', 8 + 128)
  })

  test('refuses a write that is not at the write pointer and changes nothing', async () => {
    await expectRefusal(
      device().write(start(FIRST) + 8, payload(4096, 9)),
      STATUS_ZONE_INVALID_WRITE,
    )
    await expectZone(device(), FIRST, 'empty', 0)
    // A fresh report is what lets Linux write to a zone again after a refusal.
    await device().write(start(FIRST), payload(8192, 1))
    await expectRefusal(device().write(start(FIRST), payload(4096, 9)), STATUS_ZONE_INVALID_WRITE)
    await expectZone(device(), FIRST, 'implicit-open', 16)
    const read = new Uint8Array(8192)
    await device().read(start(FIRST), read)
    expect(Buffer.compare(read, payload(8192, 1))).toBe(0)
  })
}

function capacityTests({ device }: Context): void {
  test('fills a zone up to its capacity and not beyond', async () => {
    const chunk = 64 * 1024
    for (let at = 0; at < CAPACITY_BYTES; at += chunk) {
      await device().write(start(FIRST) + at / SECTOR_BYTES, payload(chunk, at))
    }
    await expectZone(device(), FIRST, 'full')
    await expectRefusal(
      device().write(start(FIRST) + CAPACITY, payload(4096, 9)),
      STATUS_ZONE_IS_FULL,
    )
    await device().report()
    await expectRefusal(device().append(FIRST, payload(4096, 9)), STATUS_ZONE_IS_FULL)
  })

  test('refuses a write or append past the capacity', async () => {
    for (let at = 0; at < CAPACITY_BYTES - 65536; at += 65536) {
      await device().append(FIRST, payload(65536, at))
    }
    await device().append(FIRST, payload(65536 - 4096, 1))
    const wp = CAPACITY - 8
    await expectRefusal(
      device().write(start(FIRST) + wp, payload(8192, 9)),
      STATUS_ZONE_BOUNDARY_ERROR,
    )
    await expectZone(device(), FIRST, 'implicit-open', wp)
    await expectRefusal(device().append(FIRST, payload(8192, 9)), STATUS_ZONE_BOUNDARY_ERROR)
    await expectZone(device(), FIRST, 'implicit-open', wp)
    expect(await device().append(FIRST, payload(4096, 2))).toBe(start(FIRST) + wp)
    await expectZone(device(), FIRST, 'full')
  })

  test('conventional zones are written anywhere, again and again', async () => {
    await device().write(start(1) + 64, payload(8192, 1))
    await device().write(start(1), payload(4096, 2))
    await device().write(start(1) + 72, payload(4096, 3))
    await device().write(start(2) - 8, payload(4096, 4))
    const read = new Uint8Array(8192)
    await device().read(start(1) + 64, read)
    expect(Buffer.compare(read.subarray(0, 4096), payload(8192, 1).subarray(0, 4096))).toBe(0)
    expect(Buffer.compare(read.subarray(4096), payload(4096, 3))).toBe(0)
    await expectZone(device(), 1, 'not-wp')
  })

  test('flushes', async () => {
    await device().write(start(FIRST), payload(4096, 1))
    await device().flush()
    await expectZone(device(), FIRST, 'implicit-open', 8)
  })
}

function managementTests({ device }: Context): void {
  test('opens, closes, finishes and resets', async () => {
    await device().open(FIRST)
    await expectZone(device(), FIRST, 'explicit-open', 0)
    await device().open(FIRST)
    await device().write(start(FIRST), payload(4096, 1))
    await expectZone(device(), FIRST, 'explicit-open', 8)
    await device().close(FIRST)
    await expectZone(device(), FIRST, 'closed', 8)
    await device().close(FIRST)
    await device().write(start(FIRST) + 8, payload(4096, 2))
    await expectZone(device(), FIRST, 'implicit-open', 16)
    await device().finish(FIRST)
    await expectZone(device(), FIRST, 'full')
    await device().finish(FIRST)
    await device().reset(FIRST)
    await expectZone(device(), FIRST, 'empty', 0)
    await device().reset(FIRST)
  })

  test('keeps what a finished zone held, and reads the rest as zeros', async () => {
    await device().write(start(FIRST), payload(4096, 1))
    await device().finish(FIRST)
    const read = new Uint8Array(8192).fill(0xff)
    await device().read(start(FIRST), read)
    expect(Buffer.compare(read.subarray(0, 4096), payload(4096, 1))).toBe(0)
    expect(Buffer.compare(read.subarray(4096), new Uint8Array(4096))).toBe(0)
  })

  test('reads zeros after a reset, and writes from the start again', async () => {
    await device().write(start(FIRST), payload(65536, 1))
    await device().write(start(FIRST + 1), payload(4096, 7))
    await device().reset(FIRST)
    const read = new Uint8Array(65536).fill(0xff)
    await device().read(start(FIRST), read)
    expect(Buffer.compare(read, new Uint8Array(65536))).toBe(0)
    const other = new Uint8Array(4096)
    await device().read(start(FIRST + 1), other)
    expect(Buffer.compare(other, payload(4096, 7))).toBe(0)
    await device().write(start(FIRST), payload(4096, 2))
    await expectZone(device(), FIRST, 'implicit-open', 8)
  })

  test('resets all zones, and leaves conventional ones alone', async () => {
    await device().write(start(1), payload(4096, 5))
    await device().write(start(FIRST), payload(4096, 1))
    await device().open(FIRST + 1)
    await device().finish(FIRST + 2)
    await device().resetAll()
    const empty = await device().report({ condition: BLK_ZONE_COND_EMPTY })
    expect(empty).toHaveLength(10)
    const read = new Uint8Array(4096)
    await device().read(start(1), read)
    expect(Buffer.compare(read, payload(4096, 5))).toBe(0)
  })

  test('refuses transitions that do not exist', async () => {
    await expectRefusal(device().close(FIRST), STATUS_INVALID_TRANSITION)
    await device().finish(FIRST)
    await expectRefusal(device().open(FIRST), STATUS_INVALID_TRANSITION)
    await expectRefusal(device().close(FIRST), STATUS_INVALID_TRANSITION)
    for (const command of ['open', 'close', 'finish', 'reset'] as const) {
      await expectRefusal(device()[command](0), STATUS_INVALID_TRANSITION)
    }
  })
}

function limitTests({ device }: Context): void {
  test('closes an implicitly open zone when another must be opened', async () => {
    for (const zone of [2, 3, 4, 5]) await device().write(start(zone), payload(4096, zone))
    const zones = await device().report({ firstZone: FIRST, zoneCount: 4 })
    expect(zones.filter(({ condition }) => condition === 'implicit-open')).toHaveLength(3)
    expect(zones.filter(({ condition }) => condition === 'closed')).toHaveLength(1)
    expect(zones[3]!.condition).toBe('implicit-open')
  })

  test('refuses to open more zones than may be open', async () => {
    for (const zone of [2, 3, 4]) await device().open(zone)
    await expectRefusal(device().open(5), STATUS_TOO_MANY_OPEN)
    await expectRefusal(device().write(start(5), payload(4096, 1)), STATUS_TOO_MANY_OPEN)
    await expectRefusal(device().append(6, payload(4096, 1)), STATUS_TOO_MANY_OPEN)
    await expectZone(device(), 5, 'empty', 0)
    await device().close(2)
    await device().open(5)
  })

  test('refuses to make more zones active than may be active', async () => {
    for (const zone of [2, 3, 4, 5, 6]) {
      await device().open(zone)
      await device().write(start(zone), payload(4096, zone))
      await device().close(zone)
    }
    expect(await device().report({ condition: BLK_ZONE_COND_CLOSED })).toHaveLength(5)
    await expectRefusal(device().open(7), STATUS_TOO_MANY_ACTIVE)
    await expectRefusal(device().append(7, payload(4096, 1)), STATUS_TOO_MANY_ACTIVE)
    // A zone that is active already may be opened, and a finished or reset one makes room.
    await device().write(start(2) + 8, payload(4096, 1))
    await device().finish(3)
    await device().open(7)
    await device().reset(4)
    await device().append(8, payload(4096, 1))
  })
}

/** A random walk over four sequential zones, checked against arrays of bytes. */
function walkTest({ device }: Context, steps: number): void {
  test('keeps its bytes through a random walk', { timeout: 120_000 }, async () => {
    const seed = seedFromEnvironment('random walk')
    const random = randomFrom(seed)
    const shadow = Array.from({ length: 4 }, () => new Uint8Array(ZONE_BYTES))
    const wps = [0, 0, 0, 0]
    for (let step = 0; step < steps; step++) {
      const index = random(4)
      const zone = FIRST + index
      const wp = wps[index]!
      const bytes = Math.min((1 + random(16)) * 4096, CAPACITY_BYTES - wp)
      const kind = random(10)
      if (kind < 6 && bytes > 0) {
        const data = payload(bytes, step)
        if (kind < 3) await device().write(start(zone) + wp / SECTOR_BYTES, data)
        else expect(await device().append(zone, data)).toBe(start(zone) + wp / SECTOR_BYTES)
        shadow[index]!.set(data, wp)
        wps[index] = wp + bytes
      } else if (kind < 9) {
        const from = random(ZONE_BYTES / 4096) * 4096
        const read = new Uint8Array(Math.min((1 + random(16)) * 4096, ZONE_BYTES - from)).fill(0xff)
        await device().read(start(zone) + from / SECTOR_BYTES, read)
        const wanted = shadow[index]!.subarray(from, from + read.length)
        if (Buffer.compare(read, wanted) !== 0)
          expect.fail(`SEED=${seed}, step ${step}: zone ${zone} at byte ${from}`)
      } else if (random(4) === 0) {
        await device().reset(zone)
        shadow[index]!.fill(0)
        wps[index] = 0
      }
    }
    for (const [index, bytes] of shadow.entries()) {
      const read = new Uint8Array(ZONE_BYTES)
      await device().read(start(FIRST + index), read)
      expect(Buffer.compare(read, bytes)).toBe(0)
    }
  })
}
