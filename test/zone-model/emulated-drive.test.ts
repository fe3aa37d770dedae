/**
 * The emulated drive passes the suite of all zoned devices, and what is its own: media that fail, misuse.
 */
import { expect, test } from 'vitest'
import {
  createEmulatedDrive,
  EINVAL,
  ENOSPC,
  MemoryMedia,
  offlineZone,
  readOnlyZone,
  STATUS_ZONE_IS_OFFLINE,
  STATUS_ZONE_IS_READ_ONLY,
  ZoneIoError,
} from '../../zone-model/index.js'
import { zonedDeviceSuite } from '../conformance/zoned-device.js'

zonedDeviceSuite({
  name: 'an emulated drive',
  factory: async options => createEmulatedDrive(options),
})

const OPTIONS = { zoneCount: 4, zoneSizeBytes: 1024 * 1024, conventionalCount: 1 }
const START = 2048

async function failure(attempt: Promise<unknown>): Promise<ZoneIoError> {
  const error = await attempt.then(
    () => undefined,
    reason => reason as unknown,
  )
  expect(error).toBeInstanceOf(ZoneIoError)
  return error as ZoneIoError
}

/** Fails the next writes or discards on demand, after having stored half of them. */
class FailingMedia extends MemoryMedia {
  failures = 0

  override write(offsetBytes: number, source: Uint8Array): number {
    if (this.failures === 0) return super.write(offsetBytes, source)
    this.failures--
    super.write(offsetBytes, source.subarray(0, source.length / 2))
    return -ENOSPC
  }

  override discard(offsetBytes: number, lengthBytes: number): number {
    return this.failures > 0 ? -ENOSPC : super.discard(offsetBytes, lengthBytes)
  }
}

test('a write that the media refuses leaves the zone as it was, and no bytes past the write pointer', async () => {
  const media = new FailingMedia(4 * 1024 * 1024)
  const drive = createEmulatedDrive({ ...OPTIONS, media })
  media.failures = 1
  const error = await failure(drive.write(START, new Uint8Array(8192).fill(7)))
  expect([error.code, error.zone, error.operation]).toEqual(['ENOSPC', 1, 'write'])
  expect((await drive.report({ firstZone: 1, zoneCount: 1 }))[0]!.condition).toBe('empty')
  const read = new Uint8Array(8192).fill(1)
  await drive.read(START, read)
  expect(read.every(byte => byte === 0)).toBe(true)
  await drive.write(START, new Uint8Array(4096).fill(8))
  media.failures = 1
  expect((await failure(drive.append(1, new Uint8Array(4096).fill(9)))).code).toBe('ENOSPC')
  const [zone] = await drive.report({ firstZone: 1, zoneCount: 1 })
  expect([zone!.condition, zone!.wpSector]).toEqual(['implicit-open', START + 8])
})

test('a write to a conventional zone that the media refuses undoes nothing of another zone', async () => {
  const media = new FailingMedia(4 * 1024 * 1024)
  const drive = createEmulatedDrive({ ...OPTIONS, media })
  await drive.write(START, new Uint8Array(4096).fill(8))
  media.failures = 1
  await failure(drive.write(0, new Uint8Array(4096)))
  expect((await drive.report({ firstZone: 1, zoneCount: 1 }))[0]!.wpSector).toBe(START + 8)
})

test('a reset whose bytes cannot be discarded leaves the zone as it was', async () => {
  const media = new FailingMedia(4 * 1024 * 1024)
  const drive = createEmulatedDrive({ ...OPTIONS, media })
  await drive.write(START, new Uint8Array(4096).fill(8))
  media.failures = 1
  expect((await failure(drive.reset(1))).code).toBe('ENOSPC')
  expect((await failure(drive.resetAll())).code).toBe('ENOSPC')
  expect((await drive.report({ firstZone: 1, zoneCount: 1 }))[0]!.wpSector).toBe(START + 8)
})

test('a reset gives the memory back', async () => {
  const media = new MemoryMedia(4 * 1024 * 1024)
  const drive = createEmulatedDrive({ ...OPTIONS, media })
  expect(media.allocatedBytes).toBe(0)
  await drive.write(START, new Uint8Array(65536))
  expect(media.allocatedBytes).toBe(0)
  await drive.write(START + 128, new Uint8Array(65536).fill(1))
  expect(media.allocatedBytes).toBeGreaterThan(0)
  await drive.reset(1)
  expect(media.allocatedBytes).toBe(0)
})

test('refuses what lies outside, or is not whole blocks', async () => {
  const drive = createEmulatedDrive(OPTIONS)
  const block = new Uint8Array(4096)
  const attempts = [
    drive.read(4 * START, block),
    drive.read(-8, block),
    drive.read(1, block),
    drive.read(0, new Uint8Array(100)),
    drive.read(0, new Uint8Array(0)),
    drive.write(4 * START, block),
    drive.append(4, block),
    drive.open(4),
    drive.reset(-1),
    drive.open(1.5),
    drive.append(1.0625, block),
    drive.finish(Number.NaN),
  ]
  for (const attempt of attempts) expect((await failure(attempt)).errno).toBe(EINVAL)
  const [first] = await drive.report({ firstZone: -3, zoneCount: 1 })
  expect(first!.zone).toBe(0)
  // Out of one zone into the next.
  expect((await failure(drive.read(START - 8, new Uint8Array(8192)))).code).toBe('EIO')
})

test('read-only zones can be read, offline ones cannot', async () => {
  const drive = createEmulatedDrive(OPTIONS)
  const block = new Uint8Array(4096).fill(3)
  await drive.write(START, block)
  readOnlyZone(drive.table, 1)
  const read = new Uint8Array(4096)
  await drive.read(START, read)
  expect(read).toEqual(block)
  expect((await failure(drive.write(START + 8, block))).status).toBe(STATUS_ZONE_IS_READ_ONLY)
  offlineZone(drive.table, 1)
  expect((await failure(drive.read(START, read))).status).toBe(STATUS_ZONE_IS_OFFLINE)
})

test('nothing works after dispose', async () => {
  const drive = createEmulatedDrive(OPTIONS)
  await drive.dispose()
  await drive.dispose()
  for (const attempt of [drive.report(), drive.reset(1), drive.read(0, new Uint8Array(4096))]) {
    expect((await failure(attempt)).errno).toBe(EINVAL)
  }
})
