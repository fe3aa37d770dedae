/**
 * A drive in an image, on a disk of its own (ext4 on a loop device): stops, kills and power cuts, seen through a real kernel,
 * real fio and a real file system.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { blkzoneReport } from './blkzone.js'
import {
  client,
  closeAll,
  create,
  type Device,
  daemonPid,
  FIO_PATTERN,
  gone,
  must,
  mustWrite,
  needs,
  newKernelWarnings,
  read,
  remove,
  run,
  tick,
  write,
  zonedFio,
} from './harness.js'

const MIB = 1024 * 1024
const BLOCK = 4096

let disk: string
let image: string
let count = 0

beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), 'zslab-disk-'))
  await must('truncate', ['-s', '512M', `${disk}.img`])
  await must('mkfs.ext4', ['-q', '-F', `${disk}.img`])
  await must('mount', ['-o', 'loop', `${disk}.img`, disk])
})
afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => {
  expect(await closeAll()).toEqual([])
  await must('umount', [disk])
  rmSync(`${disk}.img`)
  rmSync(disk, { recursive: true })
})

/** A small drive in a new folder of the disk. */
async function make(options: Record<string, unknown> = {}): Promise<Device> {
  image = join(disk, `drive-${count++}`)
  return create({ image, zones: 16, zoneSize: 4 * MIB, maxOpen: 4, maxActive: 6, ...options })
}

const again = (): Promise<Device> => create({ image })

async function killDaemon(): Promise<void> {
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
}

const powerCut = (device: Device) => client.request('device.power-cut', { id: device.id })

const fio = (device: Device, ...rest: string[]) =>
  zonedFio(device, '--size=24M', ...FIO_PATTERN, ...rest)

async function pointers(device: Device): Promise<number[]> {
  return (await blkzoneReport(device.path)).map(zone => zone.wp)
}

/** fsync(2) of the block device: a FLUSH. */
const fsync = (device: Device) =>
  must('dd', ['if=/dev/null', `of=${device.path}`, 'count=0', 'conv=notrunc,fsync'])

it.each([
  ['none', 1, 0],
  ['lz4', 2, 2],
])('comes back after a clean stop: %s, %i queue(s), %i conventional zones', async (compression, queues, conventional) => {
  const device = await make({ compression, queues, conventional })
  expect(device.image).toBe(image)
  await fio(device, '--rw=write', '--do_verify=0')
  await must('blkzone', ['finish', '-o', String(15 * 8192), '-c', '1', device.path])
  const before = await pointers(device)
  await remove(device)
  const back = await again()
  expect(back).toMatchObject({ zones: 16, zoneSize: 4 * MIB, compression, queues, conventional })
  expect(await pointers(back)).toEqual(before)
  const conditions = (await blkzoneReport(back.path)).map(zone => zone.condition)
  expect(conditions.filter(condition => condition === 'oi' || condition === 'oe')).toEqual([])
  await fio(back, '--rw=read', '--do_verify=1')
  await must('blkzone', ['reset', back.path])
  await fio(back, '--rw=write', '--do_verify=1')
  await remove(back)
})

it('goes on after kill -9, and keeps that after the next stop', async () => {
  const device = await make({ queues: 2 })
  await fio(device, '--rw=write', '--do_verify=0', '--fsync=16')
  const before = await pointers(device)
  await killDaemon()
  await client.ensureDaemon()
  expect(await pointers(device)).toEqual(before)
  await fio(device, '--rw=read', '--do_verify=1')
  await remove(device)
  const back = await again()
  expect(await pointers(back)).toEqual(before)
  await fio(back, '--rw=read', '--do_verify=1')
  await remove(back)
})

it('a power cut takes what was not flushed, and only that', async () => {
  const device = await make()
  await mustWrite(device, 0, 64 * BLOCK)
  await mustWrite(device, 4 * MIB, 16 * BLOCK)
  await must('blkzone', ['reset', '-o', '8192', '-c', '1', device.path])
  await fsync(device)
  const kept = await read(device, 0, 64 * BLOCK)
  await mustWrite(device, 64 * BLOCK, 32 * BLOCK)
  await mustWrite(device, 8 * MIB, BLOCK)
  await powerCut(device)
  const [first, second, third] = await pointers(device)
  expect([first, second, third]).toEqual([64 * 8, 0, 0])
  expect((await read(device, 0, 64 * BLOCK)).equals(kept)).toBe(true)
  // The kernel has read the write pointers again.
  await mustWrite(device, 64 * BLOCK, BLOCK)
  await remove(device)
})

it('resets and finishes are there after a power cut that comes at once', async () => {
  const device = await make()
  for (const zone of [0, 1, 2]) await mustWrite(device, zone * 4 * MIB, 8 * BLOCK)
  await fsync(device)
  await must('blkzone', ['reset', '-o', '0', '-c', '1', device.path])
  await must('blkzone', ['finish', '-o', '8192', '-c', '1', device.path])
  await powerCut(device)
  const report = await blkzoneReport(device.path)
  expect(report.slice(0, 3).map(({ condition, wp }) => [condition, wp])).toEqual([
    ['em', 0],
    ['fu', 8192],
    ['cl', 8 * 8],
  ])
  await remove(device)
})

it.each([
  ['keeps the memory of a reset zone for its next writes', {}, MIB],
  ['keeps nothing with a limit', { memoryLimit: 32 * MIB }, 0],
])('%s', async (_name, options, kept) => {
  const device = await make(options)
  const media = async () => (await client.request('stats', { id: device.id })).media
  await mustWrite(device, 0, MIB)
  await must('blkzone', ['reset', '-o', '0', '-c', '1', device.path])
  // The flush comes after what followed the commit of the reset.
  await fsync(device)
  expect((await media()).spareBytes).toBe(kept)
  expect((await media()).memoryBytes).toBe(kept)
  await mustWrite(device, 0, MIB)
  expect(await media()).toMatchObject({ memoryBytes: MIB, spareBytes: 0 })
  await fsync(device)
  await powerCut(device)
  expect((await pointers(device))[0]).toBe(2048)
  await remove(device)
})

it('with a tier: what fio wrote is there after a power cut, kill -9 and a stop, wherever it was just then', async () => {
  const tier = join(disk, 'cold')
  const options = { tierBudget: 0, tierAfter: 0 }
  const bytes = 8 * MIB
  const device = await make({ ...options, tier, queues: 2 })
  expect(device.tier).toBe(tier)
  const media = async (of: Device) => (await client.request('stats', { id: of.id })).media
  const moved = async (of: Device, pages: number) => {
    while ((await media(of)).bdCount < pages) await tick()
  }
  const size = `--size=${bytes}`
  const verify = (of: Device) => fio(of, size, '--rw=read', '--do_verify=1')
  // The power goes while pages move.
  await fio(device, size, '--rw=write', '--do_verify=0', '--end_fsync=1')
  await moved(device, 1)
  await powerCut(device)
  await verify(device)
  // All have moved, and their memory is given back.
  await moved(device, bytes / BLOCK)
  while ((await media(device)).memoryBytes > 16 * 64 * 1024) await tick()
  await powerCut(device)
  expect((await media(device)).bdCount).toBe(bytes / BLOCK)
  await verify(device)
  await killDaemon()
  await client.ensureDaemon()
  await verify(device)
  // Slots go from zone to zone.
  await must('blkzone', ['reset', device.path])
  await fio(device, size, '--rw=write', '--do_verify=1', '--end_fsync=1')
  await remove(device)
  await expect(create({ image, tier: `${tier}-2` })).rejects.toThrow(
    `--tier ${tier}-2: the drive in ${image} was made with ${tier}`,
  )
  await expect(create({ tier })).rejects.toThrow(`it is the tier of image ${image}`)
  const back = await create({ image, ...options })
  expect(back.tier).toBe(tier)
  await verify(back)
  await moved(back, bytes / BLOCK)
  await remove(back)
  renameSync(tier, `${tier}-away`)
  await expect(again()).rejects.toThrow(/IMAGE_ERR_TIER.*cold, the tier of .*, is missing/)
  renameSync(`${tier}-away`, tier)
  const last = await again()
  await verify(last)
  expect((await media(last)).bdReads).toBeGreaterThan(0)
  await remove(last)
  rmSync(tier)
})

it('btrfs has every file that was synced before a power cut', async context => {
  needs(context, { filesystem: 'btrfs', program: 'mkfs.btrfs' })
  const device = await make({ zones: 40, maxOpen: 0, maxActive: 0, zoneSize: 8 * MIB })
  await must('mkfs.btrfs', ['-q', '-O', 'zoned', '-d', 'single', '-m', 'single', device.path])
  const mountPoint = join(disk, 'btrfs')
  mkdirSync(mountPoint)
  await must('mount', [device.path, mountPoint])
  const content = (seed: number) => Buffer.alloc(300_000, `file ${seed}, `)
  for (let i = 0; i < 10; i++) writeFileSync(join(mountPoint, `synced-${i}`), content(i))
  await must('sync', ['-f', mountPoint])
  for (let i = 0; i < 10; i++) writeFileSync(join(mountPoint, `late-${i}`), content(i))
  expect(await powerCut(device)).toMatchObject({ state: 'off', user: /mounted/ })
  await must('umount', [mountPoint])
  while ((await client.request('device.show', { id: device.id })).state === 'off') await tick()
  await must('btrfs', ['check', device.path])
  await must('mount', [device.path, mountPoint])
  for (let i = 0; i < 10; i++) {
    expect(readFileSync(join(mountPoint, `synced-${i}`)).equals(content(i))).toBe(true)
  }
  await must('umount', [mountPoint])
  await remove(device)
})

it('says who has it, what differs, and what is damaged', async () => {
  const device = await make()
  await expect(again()).rejects.toThrow(/IMAGE_ERR_IN_USE/)
  await remove(device)
  await expect(create({ image, zones: 17 })).rejects.toThrow(
    `--zones 17: the drive in ${image} was made with 16`,
  )
  const superblock = join(image, 'superblock')
  const whole = readFileSync(superblock)
  writeFileSync(superblock, Buffer.alloc(whole.length, 7))
  await expect(again()).rejects.toThrow(/IMAGE_ERR_DAMAGED.*superblock/)
  writeFileSync(superblock, whole)
  await remove(await again())
})

it('a full disk fails the flush, and nothing is lost when there is room again', async () => {
  const device = await make()
  await mustWrite(device, 0, 64 * BLOCK)
  await fsync(device)
  const kept = await read(device, 0, 64 * BLOCK)
  await run('dd', ['if=/dev/zero', `of=${join(disk, 'ballast')}`, 'bs=1M'])
  const outcome = await write(device, 4 * MIB, MIB, { count: 3 })
  expect(outcome.stderr).toMatch(/No space left/)
  rmSync(join(disk, 'ballast'))
  await must('sync', ['-f', disk])
  await mustWrite(device, 8 * MIB, 16 * BLOCK)
  await fsync(device)
  await powerCut(device)
  expect((await read(device, 0, 64 * BLOCK)).equals(kept)).toBe(true)
  expect((await pointers(device))[2]).toBe(16 * 8)
  await remove(device)
})
