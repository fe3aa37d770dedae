/**
 * A drive in a directory passes the suite of all zoned devices, and what is its own: opening again, damage, locks, space,
 * files that fail.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { type DriveFile, type DriveFiles, NODE_DRIVE_FILES } from '../../devices/drive-files.js'
import { makeFileDrive, openFileDrive } from '../../devices/index.js'
import {
  type GeometryOptions,
  offlineZone,
  readOnlyZone,
  ZoneIoError,
} from '../../zone-model/index.js'
import { zonedDeviceSuite } from '../conformance/zoned-device.js'

const root = mkdtempSync(join(tmpdir(), 'zslab-file-drive-'))
afterAll(() => rmSync(root, { recursive: true }))
let made = 0
let directory = ''
const fresh = () => join(root, `drive-${++made}`)

zonedDeviceSuite({
  name: 'a drive in a directory',
  factory: async options => {
    const path = fresh()
    await makeFileDrive(path, options)
    return openFileDrive(path, { openFilesMax: 2 })
  },
})

const BLOCK = 4096
const SIZE = 2048
const LAYOUT: GeometryOptions = {
  zoneCount: 6,
  zoneSizeBytes: 1024 * 1024,
  zoneCapacityBytes: 768 * 1024,
  conventionalCount: 1,
  maxOpen: 3,
  maxActive: 3,
}
const block = (mark: number) => new Uint8Array(BLOCK).fill(mark)

async function failure(attempt: Promise<unknown>): Promise<ZoneIoError> {
  const error = await attempt.then(
    () => undefined,
    reason => reason as unknown,
  )
  expect(error).toBeInstanceOf(ZoneIoError)
  return error as ZoneIoError
}

beforeEach(async () => {
  directory = fresh()
  await makeFileDrive(directory, LAYOUT)
})

describe('opening again', () => {
  test('finds what there was, in zones that are closed now', async () => {
    const drive = await openFileDrive(directory)
    await drive.write(SIZE, block(1))
    await drive.open(2)
    await drive.write(3 * SIZE, block(3))
    await drive.finish(3)
    readOnlyZone(drive.table, 4)
    offlineZone(drive.table, 4)
    await drive.write(8 * 5, block(9))
    await drive.dispose()
    const again = await openFileDrive(directory)
    expect(again.geometry.equals(drive.geometry)).toBe(true)
    const zones = await again.report()
    expect(zones.map(({ condition }) => condition)).toEqual([
      ...['not-wp', 'closed', 'empty', 'full', 'offline', 'empty'],
    ])
    expect(zones[1]!.wpSector).toBe(SIZE + 8)
    const read = new Uint8Array(2 * BLOCK).fill(7)
    await again.read(3 * SIZE, read)
    expect(read.subarray(0, BLOCK)).toEqual(block(3))
    expect(read.subarray(BLOCK)).toEqual(block(0))
    await again.read(8 * 4, read)
    expect(read.subarray(0, BLOCK)).toEqual(block(0))
    expect(read.subarray(BLOCK)).toEqual(block(9))
    await again.write(SIZE + 8, block(2))
    await again.dispose()
  })

  test('keeps to the limit of active zones', async () => {
    const drive = await openFileDrive(directory)
    for (const zone of [1, 2, 3]) await drive.append(zone, block(zone))
    // A flush that saw zone 1 before a write filled it, and a fourth one after.
    const words = [1, 2, 3].map(zone => drive.table.load(zone))
    await drive.finish(3)
    await drive.append(4, block(4))
    drive.table.publish(3, words[2]!)
    await drive.dispose()
    const again = await openFileDrive(directory)
    const conditions = (await again.report()).map(({ condition }) => condition)
    expect(conditions.filter(condition => condition === 'closed')).toHaveLength(3)
    expect(conditions.filter(condition => condition === 'full')).toHaveLength(1)
    expect((await failure(again.append(5, block(1)))).code).toBe('EOVERFLOW')
    await again.dispose()
  })

  test('twice at once is refused, and not after a process that is gone', async () => {
    const drive = await openFileDrive(directory)
    await expect(openFileDrive(directory)).rejects.toMatchObject({
      code: 'DEVICE_ERR_BUSY',
      message: expect.stringContaining('in use by this process'),
    })
    await drive.dispose()
    writeFileSync(join(directory, 'lock'), '{"pid":1,"startTicks":-5,"bootId":"another"}')
    await (await openFileDrive(directory)).dispose()
  })

  test('where none is, and making one where something is', async () => {
    await expect(openFileDrive(root)).rejects.toMatchObject({ code: 'DEVICE_ERR_MISSING' })
    await expect(makeFileDrive(directory, LAYOUT)).rejects.toMatchObject({
      code: 'DEVICE_ERR_OPTION',
      message: expect.stringContaining('it holds header'),
    })
    const file = join(root, 'plain')
    writeFileSync(file, 'x')
    await expect(makeFileDrive(file, LAYOUT)).rejects.toMatchObject({ code: 'DEVICE_ERR_IO' })
  })
})

describe('damage', () => {
  const header = () => join(directory, 'header')
  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path)
    bytes[at]! ^= 0x40
    writeFileSync(path, bytes)
  }
  const refusal = async () => {
    const error = await openFileDrive(directory).catch((reason: Error) => reason)
    return error as Error & { code: string }
  }

  test.each([
    [0, 0],
    [9, 12],
    [13, 12],
    [30, 12],
    [4000, 12],
  ])('of byte %i of the header', async (at, named) => {
    flip(header(), at)
    const { code, message } = await refusal()
    expect(code).toBe('DEVICE_ERR_DAMAGED')
    expect(message).toContain(`${header()}: byte ${named}:`)
  })

  test('of one copy of the zone table is overcome, of both is not', async () => {
    flip(header(), 4096 + 70)
    await (await openFileDrive(directory)).dispose()
    flip(header(), 4096 + 70)
    flip(header(), 8192 + 17)
    expect((await refusal()).message).toContain(`${header()}: byte 4096: both copies`)
  })

  test('of a length', async () => {
    truncateSync(header(), 100)
    expect((await refusal()).message).toContain(`${header()}: byte 100: it is cut`)
  })

  test('of a zone', async () => {
    const drive = await openFileDrive(directory)
    await drive.write(2 * SIZE, new Uint8Array(2 * BLOCK).fill(1))
    await drive.dispose()
    const zone = join(directory, 'zone-00002')
    truncateSync(zone, BLOCK)
    expect((await refusal()).message).toContain(`${zone}: byte 4096: the file is cut`)
    rmSync(zone)
    expect((await refusal()).message).toContain(`${zone}: byte 0: the file is gone`)
    // The lock of a refused open is not left behind.
    writeFileSync(zone, new Uint8Array(2 * BLOCK))
    await (await openFileDrive(directory)).dispose()
  })

  test('while the drive is in use', async () => {
    const drive = await openFileDrive(directory)
    await drive.write(SIZE, block(1))
    truncateSync(join(directory, 'zone-00001'), 100)
    const error = await failure(drive.read(SIZE, block(0)))
    expect([error.code, error.zone]).toEqual(['EIO', 1])
    expect(error.message).toContain('ends at byte 100')
    await drive.dispose()
  })
})

test('a reset gives the space back', async () => {
  const drive = await openFileDrive(directory)
  await drive.write(SIZE, new Uint8Array(512 * 1024).fill(1))
  await drive.flush()
  const zone = join(directory, 'zone-00001')
  expect(statSync(zone).blocks).toBeGreaterThanOrEqual(1024)
  await drive.reset(1)
  expect(statSync(zone).blocks).toBe(0)
  await drive.dispose()
})

test('writes and appends at once go one after the other', async () => {
  const drive = await openFileDrive(directory)
  const appends = Array.from({ length: 20 }, (_, index) => drive.append(1, block(index)))
  const writes = [drive.write(2 * SIZE, block(1)), drive.write(2 * SIZE + 8, block(2))]
  const sectors = await Promise.all(appends)
  await Promise.all(writes)
  expect(sectors).toEqual(sectors.map((_, index) => SIZE + index * 8))
  const read = block(0)
  for (const [index, sector] of sectors.entries()) {
    await drive.read(sector, read)
    expect(read).toEqual(block(index))
  }
  await drive.dispose()
  expect((await failure(drive.report())).errno).toBe(22)
  await drive.dispose()
})

/** The machine's files, of which some calls fail on demand. */
class FailingFiles implements DriveFiles {
  readonly failures = new Map<string, string>()
  rename = NODE_DRIVE_FILES.rename
  makeDirectory = NODE_DRIVE_FILES.makeDirectory
  list = NODE_DRIVE_FILES.list
  syncDirectory = NODE_DRIVE_FILES.syncDirectory

  async open(path: string, create: boolean): Promise<DriveFile> {
    const file = await NODE_DRIVE_FILES.open(path, create)
    const failing = async (call: string) => {
      const code = this.failures.get(`${call} ${path.slice(path.lastIndexOf('/') + 1)}`)
      if (code === undefined) return
      const errno = code === 'ENOSPC' ? -28 : -5
      throw Object.assign(new Error(`${code}: made up`), { code, errno })
    }
    return {
      read: async (offset, target) => (await failing('read')) ?? file.read(offset, target),
      write: async (offset, source) => {
        // Half of it is there.
        await file.write(offset, source.subarray(0, source.length / 2))
        await failing('write')
        await file.write(offset, source)
      },
      truncate: async bytes => (await failing('truncate')) ?? file.truncate(bytes),
      size: () => file.size(),
      sync: async () => (await failing('sync')) ?? file.sync(),
      close: () => file.close(),
    }
  }
}

describe('when files fail', () => {
  test('a write that found no space leaves the zone at the old place, and no bytes behind it', async () => {
    const files = new FailingFiles()
    const drive = await openFileDrive(directory, { files })
    await drive.write(SIZE, block(1))
    files.failures.set('write zone-00001', 'ENOSPC')
    files.failures.set('write zone-00002', 'ENOSPC')
    const error = await failure(drive.write(SIZE + 8, new Uint8Array(4 * BLOCK).fill(2)))
    expect([error.code, error.zone]).toEqual(['ENOSPC', 1])
    expect((await failure(drive.append(2, block(2)))).code).toBe('ENOSPC')
    files.failures.clear()
    const zones = await drive.report({ firstZone: 1, zoneCount: 2 })
    expect(zones.map(({ condition, wpSector }) => [condition, wpSector % SIZE])).toEqual([
      ['closed', 8],
      ['empty', 0],
    ])
    const read = block(9)
    await drive.read(SIZE + 8, read)
    expect(read).toEqual(block(0))
    await drive.finish(1)
    await drive.dispose()
    const again = await openFileDrive(directory)
    await again.read(SIZE + 8, read)
    expect(read).toEqual(block(0))
    await again.dispose()
  })

  test('a sync that failed is never taken back', async () => {
    const files = new FailingFiles()
    const drive = await openFileDrive(directory, { files })
    await drive.write(SIZE, block(1))
    files.failures.set('sync zone-00001', 'EIO')
    expect((await failure(drive.flush())).code).toBe('EIO')
    files.failures.clear()
    expect((await failure(drive.flush())).code).toBe('EIO')
    expect((await failure(drive.dispose())).code).toBe('EIO')
    const again = await openFileDrive(directory)
    expect((await again.report({ firstZone: 1, zoneCount: 1 }))[0]!.condition).toBe('empty')
    await again.dispose()
  })

  test.each([
    'write header',
    'sync header',
    'truncate zone-00001',
  ])('a reset stopped by "%s" is ended before the next write', async call => {
    const files = new FailingFiles()
    const drive = await openFileDrive(directory, { files })
    await drive.write(SIZE, block(1))
    await drive.flush()
    files.failures.set(call, 'EIO')
    expect((await failure(drive.reset(1))).code).toBe('EIO')
    expect((await failure(drive.write(SIZE, block(2)))).code).toBe('EIO')
    files.failures.clear()
    await drive.write(SIZE, block(3))
    await drive.reset(1)
    expect(statSync(join(directory, 'zone-00001')).size).toBe(0)
    await drive.dispose()
  })
})
