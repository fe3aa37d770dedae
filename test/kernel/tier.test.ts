/**
 * A device with a tier, on a real kernel: fio verifies what the tierer has moved, while it moves it and after kill -9; memory
 * goes down; a zram device and a file are tiers, and what is in use is not.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import {
  client,
  closeAll,
  copiedBytes,
  create,
  type Device,
  daemonPid,
  gone,
  isAtLeast,
  must,
  newKernelWarnings,
  remove,
  run,
  tick,
  write,
  zonedFio,
} from './harness.js'

const MIB = 1024 * 1024

let directory: string
beforeAll(() => {
  directory = mkdtempSync('/dev/shm/zslab-tier-test-')
})
afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => {
  rmSync(directory, { recursive: true })
  expect(await closeAll()).toEqual([])
})

/** Random bytes that fio knows again: they do not shrink. */
const fio = (device: Device, ...rest: string[]) =>
  zonedFio(
    device,
    '--max_open_zones=4',
    '--size=32M',
    '--refill_buffers=1',
    '--verify=crc32c',
    ...rest,
  )

const media = async (device: Device) => (await client.request('stats', { id: device.id })).media

async function until(
  device: Device,
  isSo: (media: Awaited<ReturnType<typeof client.request<'stats'>>>['media']) => boolean,
): Promise<void> {
  while (!isSo(await media(device))) await tick()
}

it.each([
  ['none', 1],
  ['lz4', 2],
])('a file, %s, %i queue(s): what fio wrote moves there and is right, also after kill -9 and a power cut', async (compression, queues) => {
  const tier = join(directory, 'made')
  const device = await create({
    zones: 12,
    zoneSize: 4 * MIB,
    compression,
    queues,
    tier,
    tierBudget: 0,
    tierAfter: 1,
  })
  expect(device.tier).toBe(tier)
  await fio(device, '--rw=write', '--do_verify=1')
  await until(device, ({ rawPages }) => rawPages === 0)
  const moved = await media(device)
  expect(moved).toMatchObject({ origBytes: 32 * MIB, bdCount: 8192, tierSlots: 12 })
  expect(moved.tierSlotsUsed).toBeGreaterThanOrEqual(8)
  // Reserved by 64 KiB a zone.
  expect(moved.memoryBytes).toBeLessThanOrEqual(12 * 64 * 1024)
  expect(statSync(tier).blocks * 512).toBeGreaterThanOrEqual(32 * MIB)
  const pid = await daemonPid()
  const copied = copiedBytes(pid)
  await fio(device, '--rw=read', '--verify_only')
  expect((await media(device)).bdReads).toBeGreaterThanOrEqual(8192)
  // Where the kernel lends the pages of its requests, nothing is copied into them.
  if (isAtLeast([6, 16])) expect(copiedBytes(pid) - copied).toBeLessThan(4 * MIB)
  else expect(copiedBytes(pid) - copied).toBeGreaterThanOrEqual(32 * MIB)
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  await client.ensureDaemon()
  await fio(device, '--rw=read', '--verify_only')
  await must('dd', ['if=/dev/null', `of=${device.path}`, 'count=0', 'conv=notrunc,fsync'])
  await client.request('device.power-cut', { id: device.id })
  expect(await media(device)).toMatchObject({ bdCount: 8192 })
  await fio(device, '--rw=read', '--verify_only')
  await must('blkzone', ['reset', device.path])
  await until(device, ({ tierSlotsUsed }) => tierSlotsUsed === 0)
  expect(await media(device)).toMatchObject({ origBytes: 0, bdCount: 0, bdBytes: 0 })
  expect(statSync(tier).blocks).toBe(0)
  await remove(device)
  expect(existsSync(tier)).toBe(false)
})

it('writes, resets and verifying reads while the tierer runs', async () => {
  const device = await create({
    zones: 16,
    zoneSize: 1 * MIB,
    queues: 2,
    compression: 'lz4',
    memoryLimit: 12 * MIB,
    tier: join(directory, 'busy'),
    tierBudget: 0,
    tierAfter: 0,
  })
  // As often over all zones as fit into the time: each time it comes round a zone is reset.
  await fio(
    device,
    '--rw=randwrite',
    '--size=16M',
    '--io_size=96M',
    '--bs=16k',
    '--do_verify=1',
    '--verify_backlog=64',
    '--buffer_compress_percentage=50',
  )
  const after = await media(device)
  expect(after.bdWrites).toBeGreaterThan(1000)
  expect(after.bdReads).toBeGreaterThan(0)
  await remove(device)
})

it('more data than memory: with a tier writes go on past the limit', async () => {
  const tier = join(directory, 'past')
  const options = { zones: 12, zoneSize: 4 * MIB, memoryLimit: 16 * MIB, tierBudget: 0 }
  const device = await create({ ...options, tier })
  for (let zone = 0; zone < 8; zone++) {
    const outcome = await write(device, zone * 4 * MIB, 64 * 1024, { count: 64 })
    expect(outcome, `zone ${zone}`).toMatchObject({ code: 0 })
    await until(device, ({ memoryBytes, spareBytes }) => memoryBytes - spareBytes < 12 * MIB)
  }
  const { origBytes, bdCount, memoryBytes } = await media(device)
  expect(origBytes).toBe(32 * MIB)
  expect(bdCount * 4096 + memoryBytes).toBeGreaterThanOrEqual(32 * MIB)
  await remove(device)
})

const hasZram =
  spawnSync('modprobe', ['zram', 'num_devices=1']).status === 0 || existsSync('/dev/zram0')

it.runIf(hasZram)('a zram device, with fewer slots than the drive has zones', async () => {
  writeFileSync('/sys/block/zram0/reset', '1')
  writeFileSync('/sys/block/zram0/disksize', '24M')
  const options = { zones: 16, zoneSize: 4 * MIB, tier: '/dev/zram0', tierBudget: 0, tierAfter: 0 }
  const device = await create(options)
  const { tierSlots } = await media(device)
  // A slot is a sixteenth longer than its zone.
  expect(tierSlots).toBe(5)
  await fio(device, '--rw=write', '--do_verify=1')
  await until(device, ({ bdCount }) => bdCount === 5 * 1024)
  await fio(device, '--rw=read', '--verify_only')
  // Held: nobody else may have it, by O_EXCL and by the records.
  expect((await run('sh', ['-c', 'mkswap /dev/zram0 && swapon /dev/zram0'])).code).not.toBe(0)
  await expect(create({ tier: '/dev/zram0' })).rejects.toMatchObject({
    code: 'DAEMON_ERR_TIER',
    message: expect.stringContaining(`tier of device ${device.id}`),
  })
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  await client.ensureDaemon()
  await fio(device, '--rw=read', '--verify_only')
  await remove(device)
  // Given back to zram, so the next may have it without --force-tier.
  await remove(await create(options))
  await must('mkswap', ['/dev/zram0'])
  await expect(create(options)).rejects.toMatchObject({
    code: 'DAEMON_ERR_TIER',
    message: expect.stringContaining('--force-tier'),
  })
  await must('swapon', ['/dev/zram0'])
  await expect(create({ ...options, forceTier: true })).rejects.toMatchObject({
    code: 'DAEMON_ERR_TIER',
    message: expect.stringContaining('in use'),
  })
  await must('swapoff', ['/dev/zram0'])
  writeFileSync('/sys/block/zram0/reset', '1')
  writeFileSync('/sys/block/zram0/disksize', '1M')
  await expect(create(options)).rejects.toMatchObject({
    code: 'DAEMON_ERR_TIER',
    message: expect.stringContaining('it has 1M'),
  })
})
