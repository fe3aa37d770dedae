/**
 * What a device stores its data as: compressed pages and the memory limit, seen through a real kernel and real fio.
 */
import { afterAll, afterEach, expect, it } from 'vitest'
import {
  client,
  closeAll,
  create,
  type Device,
  daemonLog,
  daemonPid,
  FIO_PATTERN,
  gone,
  must,
  newKernelWarnings,
  remove,
  tick,
  write,
  zonedFio,
} from './harness.js'

const MIB = 1024 * 1024

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

const fio = (device: Device, ...rest: string[]) =>
  zonedFio(device, '--max_open_zones=4', '--size=32M', ...FIO_PATTERN, ...rest)

it.each([
  ['lz4', 1],
  ['zstd:3', 2],
])('%s, %i queue(s): fio verifies what it wrote, in less memory, also after kill -9', async (compression, queues) => {
  const device = await create({ zones: 16, zoneSize: 4 * MIB, compression, queues })
  expect(device.compression).toBe(compression)
  await fio(device, '--rw=write', '--do_verify=1')
  const { media } = await client.request('stats', { id: device.id })
  expect(media.origBytes).toBe(32 * MIB)
  expect(media.compressedPages).toBeGreaterThan(media.rawPages)
  expect(media.comprBytes).toBeLessThan(0.75 * media.origBytes)
  // Reserved by 64 KiB a zone.
  expect(media.memoryBytes).toBeLessThan(media.comprBytes + 16 * 64 * 1024 + 8 * 1024 * 8)
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  await client.ensureDaemon()
  await fio(device, '--rw=read', '--do_verify=1')
  await fio(device, '--rw=randread', '--do_verify=1')
  expect((await client.request('stats', { id: device.id })).media).toEqual(media)
  await must('blkzone', ['reset', device.path])
  const after = (await client.request('stats', { id: device.id })).media
  expect(after).toMatchObject({ origBytes: 0, comprBytes: 0 })
  expect(after.memoryBytes).toBe(after.spareBytes)
  await remove(device)
})

it('512-byte blocks on a compressed device', async () => {
  const device = await create({ zones: 8, zoneSize: 4 * MIB, compression: 'lz4', blockSize: 512 })
  await fio(device, '--rw=write', '--bs=1k', '--do_verify=1', '--size=4M')
  await remove(device)
})

it('past its memory limit a device says ENOSPC, and goes on after a reset', async () => {
  const device = await create({ zones: 8, zoneSize: 4 * MIB, memoryLimit: 6 * MIB })
  const outcome = await write(device, 0, 64 * 1024, { count: 160 })
  expect(outcome.code).not.toBe(0)
  expect(outcome.stderr).toMatch(/No space left/)
  const { media, counters } = await client.request('stats', { id: device.id })
  expect(counters.noSpace).toBeGreaterThan(0)
  const said = (text: string) =>
    daemonLog()
      .split('\n')
      .filter(line => line.includes(text)).length
  // The main thread looks twice a second; the test's own time limit ends the wait.
  while (said('has reached its memory limit') === 0) await tick()
  expect(media.memoryBytes).toBe(6 * MIB)
  expect(media.rawPages * 4096).toBe(6 * MIB)
  await must('blkzone', ['reset', device.path])
  expect((await write(device, 0, 64 * 1024, { count: 64 })).code).toBe(0)
  while (said('has memory for data again') === 0) await tick()
  expect(said('has reached its memory limit')).toBe(1)
  await remove(device)
})
