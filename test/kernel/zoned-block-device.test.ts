/**
 * A zoned block device as a program's ZonedDevice (devices/block-drive.ts) passes the suite of all zoned devices: one of ours,
 * and null_blk of the same layout. Who else has it, and any memory.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { BlockDrive, openDevice } from '../../devices/index.js'
import type { GeometryOptions } from '../../zone-model/index.js'
import { zonedDeviceSuite } from '../conformance/zoned-device.js'
import { closeAll, create, type Device, newKernelWarnings, remove } from './harness.js'
import { nullBlk } from './null-blk.js'

const KIB = 1024
const MIB = 1024 * KIB
/** What the suite asks for. */
const LAYOUT = {
  zones: 12,
  conventional: 2,
  zoneSize: 4 * MIB,
  zoneCapacity: 3 * MIB,
  maxOpen: 3,
  maxActive: 5,
}
const WALK_STEPS = 300
const SIZE = LAYOUT.zoneSize / 512

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

/** Opened anew for each test, its zones reset. */
async function openEmpty(path: string, wanted: GeometryOptions): Promise<BlockDrive> {
  const device = (await openDevice(path)) as BlockDrive
  expect(device).toBeInstanceOf(BlockDrive)
  const { maxAppendBytes: _, ...geometry } = wanted
  expect(device.geometry.toJSON()).toMatchObject(geometry)
  await device.resetAll()
  return device
}

let ours: Device
beforeAll(async () => {
  ours = await create(LAYOUT)
})
afterAll(() => remove(ours))

zonedDeviceSuite({
  name: 'our block device',
  factory: options => openEmpty(ours.path, options),
  walkSteps: WALK_STEPS,
})

describe('our block device', () => {
  it('is refused while somebody has it', async () => {
    const fd = openSync(ours.path, constants.O_RDONLY | constants.O_EXCL)
    const busy = { code: 'DEVICE_ERR_BUSY', message: expect.stringContaining('held by another') }
    await expect(openDevice(ours.path)).rejects.toMatchObject(busy)
    closeSync(fd)
    const device = await openDevice(ours.path)
    await expect(openDevice(ours.path)).rejects.toMatchObject(busy)
    await device.dispose()
    await expect(device.report()).rejects.toMatchObject({ code: 'EINVAL' })
  })

  it('takes aligned memory, and any other, at any depth', async () => {
    const device = await openEmpty(ours.path, {} as GeometryOptions)
    const start = 4 * SIZE
    const aligned = device.allocate(512 * KIB)
    for (let at = 0; at < aligned.length; at += 4096) aligned.fill(1 + at / 4096, at, at + 4096)
    await Promise.all(
      [0, 1].map(half =>
        device.append(4, aligned.subarray(half * 256 * KIB, (half + 1) * 256 * KIB)),
      ),
    )
    const other = new Uint8Array(512 * KIB + 8).subarray(8)
    await device.read(start, other)
    expect(Buffer.compare(other, aligned)).toBe(0)
    const pages = Array.from({ length: 128 }, () => device.allocate(4096))
    await Promise.all(pages.map((page, index) => device.read(start + index * 8, page)))
    expect(pages.map(page => page[4095])).toEqual(pages.map((_, index) => index + 1))
    // Unaligned, and longer than a bounce.
    await device.write(5 * SIZE, other)
    await device.read(5 * SIZE, aligned.fill(0))
    expect(Buffer.compare(other, aligned)).toBe(0)
    await expect(device.read(start + 1, pages[0]!)).rejects.toMatchObject({ code: 'EINVAL' })
    await device.dispose()
  })

  it('learns where the write pointer is after a write that failed', async () => {
    const device = await openEmpty(ours.path, {} as GeometryOptions)
    const block = device.allocate(4096)
    await device.write(2 * SIZE, block)
    await expect(device.write(2 * SIZE, block)).rejects.toMatchObject({
      code: 'EIO',
      zone: 2,
      operation: 'write',
    })
    expect(await device.append(2, block)).toBe(2 * SIZE + 8)
    await device.dispose()
    const again = await openDevice(ours.path)
    expect(await again.append(2, block)).toBe(2 * SIZE + 16)
    await again.dispose()
  })
})

const reference = await nullBlk(LAYOUT)
if (reference === null) process.stdout.write('no null_blk here: the suite is not run on it\n')
else {
  afterAll(() => reference.remove())
  zonedDeviceSuite({
    name: 'null_blk',
    factory: options => openEmpty(reference.path, options),
    walkSteps: WALK_STEPS,
  })
}
