/**
 * What may be named is opened; what may not is refused with the reason and what to do.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { FileDrive, openDevice } from '../../devices/index.js'
import { MemoryDrive } from '../../zone-model/index.js'

const MIB = 1024 * 1024
const root = mkdtempSync(join(tmpdir(), 'zslab-open-'))
afterAll(() => rmSync(root, { recursive: true }))

describe('memory', () => {
  test.each([
    [64 * MIB, 64, MIB],
    [1024 * MIB, 256, 4 * MIB],
    [1000 * MIB, 500, 2 * MIB],
    [1024 * 1024 * MIB, 4096, 256 * MIB],
  ])('of %i bytes', async (memory, zoneCount, zoneSizeBytes) => {
    const device = await openDevice({ memory })
    expect(device).toBeInstanceOf(MemoryDrive)
    expect(device.geometry).toMatchObject({ zoneCount, zoneSizeBytes, maxOpen: 14, maxActive: 14 })
    expect(device.direct?.write(0, device.allocate(4096))).toBe(0)
    await device.dispose()
  })

  test('with zones as asked for', async () => {
    const options = { zoneSizeBytes: 8 * MIB, zoneCapacityBytes: 6 * MIB, maxActive: 4 }
    const device = await openDevice({ memory: 64 * MIB }, options)
    expect(device.geometry.toJSON()).toMatchObject({ ...options, zoneCount: 8, maxOpen: 4 })
  })

  test.each([0, 1.5, MIB - 1, Number.NaN])('of %d bytes is refused', async memory => {
    await expect(openDevice({ memory })).rejects.toMatchObject({
      code: 'ZONE_ERR_GEOMETRY',
      message: expect.stringMatching(/^memory is .* at least 1048576$/),
    })
  })
})

describe('a directory', () => {
  const directory = join(root, 'drive')

  test('is made, opened again, and not for another drive', async () => {
    const device = await openDevice(directory, { bytes: 64 * MIB, maxActive: 6 })
    expect(device).toBeInstanceOf(FileDrive)
    await device.write(0, device.allocate(4096).fill(1))
    await device.dispose()
    const again = await openDevice(directory)
    expect(again.geometry).toMatchObject({ zoneCount: 64, maxActive: 6 })
    const read = again.allocate(4096)
    await again.read(0, read)
    expect(read[0]).toBe(1)
    await again.dispose()
    await expect(openDevice(directory, { zoneSizeBytes: 2 * MIB })).rejects.toMatchObject({
      code: 'DEVICE_ERR_OPTION',
      message: `${directory}: the drive was made with zoneSizeBytes 1048576, not 2097152: leave it out, or make another drive`,
    })
    await (await openDevice(directory, { bytes: 1, zoneSizeBytes: MIB })).dispose()
  })

  test('with an option that there is none of', async () => {
    const options = { zoneCapacity: 4096 } as never
    await expect(openDevice({ memory: 4 * MIB }, options)).rejects.toMatchObject({
      code: 'DEVICE_ERR_OPTION',
      message: expect.stringContaining(
        'zoneCapacity is no option of a device: there are zoneCount',
      ),
    })
  })

  test('with nothing in it, or something else', async () => {
    const missing = { code: 'DEVICE_ERR_MISSING' }
    const empty = join(root, 'empty')
    mkdirSync(empty)
    await expect(openDevice(empty)).rejects.toMatchObject(missing)
    await expect(openDevice(join(root, 'nothing'))).rejects.toMatchObject({
      ...missing,
      message: expect.stringContaining('there is nothing there: give bytes'),
    })
    writeFileSync(join(empty, 'letter'), 'x')
    await expect(openDevice(empty, { bytes: MIB })).rejects.toMatchObject({
      code: 'DEVICE_ERR_OPTION',
      message: expect.stringContaining('it holds letter'),
    })
  })

  // Root may do everything.
  test('that may not be read', async context => {
    context.skip(process.getuid?.() === 0, 'root may read everything')
    const closed = join(root, 'closed')
    mkdirSync(join(closed, 'in'), { recursive: true })
    chmodSync(closed, 0)
    const refused = { code: 'DEVICE_ERR_PERMISSION' }
    await expect(openDevice(join(closed, 'in'), { bytes: MIB })).rejects.toMatchObject(refused)
    chmodSync(closed, 0o700)
  })
})

test.each([
  ['/dev/null', 'DEVICE_ERR_NOT_ZONED', 'neither a zoned block device nor a directory'],
  ['/dev/ublkb4242', 'DEVICE_ERR_MISSING', 'there is no such device'],
])('%s', async (path, code, why) => {
  await expect(openDevice(path, { bytes: MIB })).rejects.toMatchObject({
    code,
    message: `${path}: ${why}`,
  })
})
