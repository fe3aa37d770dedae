/**
 * Faults by order on a real kernel: what programs get, what the kernel makes of it, and that the zone goes on afterwards.
 *
 * After a failed write the block layer no longer trusts its own write pointer of the zone (block/blk-zoned.c,
 * BLK_ZONE_WPLUG_NEED_WP_UPDATE): writes fail until somebody has reported the zones, as file systems do.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type * as Client from '../../daemon/client.js'
import { blkzoneReport } from './blkzone.js'
import { compareReports, conditions, json, text, zslab } from './command-line.js'
import {
  client,
  closeAll,
  create,
  type Device,
  daemonPid,
  gone,
  must,
  mustWrite,
  newKernelWarnings,
  read,
  remove,
  run,
  tryRead,
  write,
} from './harness.js'

const BLOCK = 4096
const MIB = 1024 * 1024
const ZONE = 4 * MIB

let device: Device
let id: string

afterEach(async () => {
  await remove(device)
  expect(newKernelWarnings()).toEqual([])
})
afterAll(async () => expect(await closeAll()).toEqual([]))

/** By the control socket: a command takes seconds in an emulated VM, and the first test types it. */
function fault(order: Client.FaultOrder) {
  return client.request('fault.add', { id: device.id, ...order })
}

const faults = () => client.request('fault.list', { id: device.id })

/** Where the kernel and the device say that the zone's write pointer is, in bytes from its start. */
async function writePointer(zone: number): Promise<number> {
  await compareReports(device)
  return (await blkzoneReport(device.path))[zone]!.wp * 512
}

describe('faults', () => {
  beforeEach(async () => {
    device = await create({ zones: 8, zoneSize: ZONE })
    id = String(device.id)
  })

  it('the second write to a zone fails, the write pointer stays, and the next write fits', async () => {
    await json('fault', 'add', id, '--op', 'write', '--zone', '2', '--nth', '2', '--errno', 'EIO')
    await mustWrite(device, 2 * ZONE, BLOCK)
    const failed = await write(device, 2 * ZONE + BLOCK, BLOCK)
    expect(failed.code).not.toBe(0)
    expect(failed.stderr).toMatch(/Input\/output error/)
    expect(await writePointer(2)).toBe(BLOCK)
    await mustWrite(device, 2 * ZONE + BLOCK, BLOCK)
    await mustWrite(device, 3 * ZONE, BLOCK)
    expect(await writePointer(2)).toBe(2 * BLOCK)
    const said = await text('explain', id)
    expect(said).toContain('refused: Fault 1 ordered it')
    expect(said).toContain('the program got EIO')
    expect(await json('fault', 'list', id)).toMatchObject([
      { id: 1, op: 'write', matched: 2, applied: 1, spent: true },
    ])
    expect((await json('stats', id)).counters).toMatchObject({ faults: 1, refused: 0, failed: 0 })
  })

  it.each([
    ['ENOSPC', /No space left/],
    ['ETIMEDOUT', /timed out/],
    ['ENODATA', /No data available/],
    ['ETOOMANYREFS', /Too many references/],
  ])('%s arrives as itself', async (errno, message) => {
    await fault({ op: 'write', errno, count: 1 })
    expect((await write(device, 0, BLOCK)).stderr).toMatch(message)
    expect(await writePointer(0)).toBe(0)
    await mustWrite(device, 0, BLOCK)
  })

  it('a torn write stores its first part, and the zone goes on behind it', async () => {
    const from = join(tmpdir(), 'zslab-torn')
    const payload = Buffer.alloc(64 * BLOCK)
    for (let i = 0; i < payload.length; i++) payload[i] = 1 + (i >> 12)
    writeFileSync(from, payload)
    for (let seed = 1, zone = 0; zone < 4; zone++, seed++) {
      await fault({ op: 'write', torn: true, seed, count: 1 })
      const failed = await write(device, zone * ZONE, payload.length, { from })
      expect(failed.stderr).toMatch(/Input\/output error/)
      const stored = await writePointer(zone)
      expect(stored % BLOCK).toBe(0)
      expect(stored).toBeLessThan(payload.length)
      const back = await read(device, zone * ZONE, payload.length)
      expect(back.subarray(0, stored).equals(payload.subarray(0, stored))).toBe(true)
      expect(back.subarray(stored).every(byte => byte === 0)).toBe(true)
      await mustWrite(device, zone * ZONE + stored, BLOCK)
      process.stdout.write(`torn with seed ${seed}: ${stored / BLOCK} of 64 blocks\n`)
    }
  })

  it('a delayed read takes its time, and holds nobody else up', async () => {
    await fault({ op: 'read', first: 1, last: 1, delayMs: 700, count: 1 })
    const began = performance.now()
    const slow = read(device, ZONE, BLOCK).then(() => performance.now() - began)
    await mustWrite(device, 0, BLOCK)
    expect(await slow).toBeGreaterThanOrEqual(700)
    await fault({ op: 'write', delayMs: 300, errno: 'EIO', count: 1 })
    const start = performance.now()
    expect((await write(device, 2 * ZONE, BLOCK)).code).not.toBe(0)
    expect(performance.now() - start).toBeGreaterThanOrEqual(300)
  })

  it('a held request does not keep the device from being deleted', async () => {
    await fault({ op: 'read', first: 3, last: 3, delayMs: 2000, count: 1 })
    const reading = tryRead(device, 3 * ZONE, BLOCK)
    for (let applied = 0; applied === 0; ) applied = (await faults())[0]!.applied
    await text('device', 'delete', id, '--force')
    await reading
    device = await create({ zones: 8, zoneSize: ZONE })
  })

  it('zone commands and flushes fail by order', async () => {
    await mustWrite(device, 0, BLOCK)
    await fault({ op: 'reset', errno: 'EIO', count: 1 })
    expect((await zslab('zone', 'reset', id, '0')).code).toBe(1)
    expect(await writePointer(0)).toBe(BLOCK)
    await fault({ op: 'finish', errno: 'EIO', count: 1 })
    expect(
      (await run('blkzone', ['finish', '-o', '0', '-l', String(ZONE / 512), device.path])).code,
    ).not.toBe(0)
    await fault({ op: 'flush', errno: 'EIO', count: 1 })
    expect((await write(device, BLOCK, BLOCK)).code).toBe(0)
    const flushed = await run('dd', [
      'if=/dev/zero',
      `of=${device.path}`,
      'bs=4096',
      'count=1',
      'oflag=direct,seek_bytes',
      'conv=notrunc,fsync',
      `seek=${2 * BLOCK}`,
    ])
    expect(flushed.stderr).toMatch(/Input\/output error/)
    await text('zone', 'reset', id, '0')
    expect(await writePointer(0)).toBe(0)
  })

  const fio = async (...flags: string[]) => {
    const common = ['--name=faults', `--filename=${device.path}`, '--bs=4k', '--direct=1']
    const output = await run('fio', [
      ...common,
      '--ioengine=psync',
      '--output-format=json',
      ...flags,
    ])
    return JSON.parse(output.stdout.slice(output.stdout.indexOf('{'))).jobs[0]
  }

  it('fio: each tenth read fails, three times, and no other', async () => {
    await fault({ op: 'read', nth: 10, count: 3, errno: 'EIO' })
    const job = await fio('--rw=read', '--size=256k', '--continue_on_error=read')
    expect(job).toMatchObject({ total_err: 3, first_error: 5 })
    const [rule] = await faults()
    expect(rule).toMatchObject({ matched: 30, applied: 3, spent: true })
  })

  it('fio: the tenth write fails, and the next run goes on behind the ninth', async () => {
    await fault({ op: 'write', nth: 10, errno: 'EIO' })
    const job = await fio('--rw=write', '--zonemode=zbd', '--size=4M', '--io_size=256k')
    expect(job.error).toBe(5)
    expect(await writePointer(0)).toBe(9 * BLOCK)
    const next = await fio('--rw=write', '--zonemode=zbd', '--size=4M', '--io_size=64k')
    expect(next.error).toBe(0)
  })

  it('rules and their counts outlive the daemon', async () => {
    await fault({ op: 'write', nth: 3, errno: 'EIO' })
    await mustWrite(device, 0, BLOCK, { count: 2 })
    const pid = await daemonPid()
    process.kill(pid, 'SIGKILL')
    await gone(pid)
    await text('device', 'recover', id)
    expect((await write(device, 2 * BLOCK, BLOCK)).stderr).toMatch(/Input\/output error/)
    expect(await json('fault', 'list', id)).toMatchObject([{ matched: 3, applied: 1 }])
    expect(await json('fault', 'clear', id)).toEqual({ id: device.id, cleared: [1] })
    expect(await text('fault', 'list', id)).toBe(`${device.path}: no faults\n`)
  })

  it('a daemon killed while a request is held: the next one gets the request', async () => {
    await fault({ op: 'write', delayMs: 1500, count: 1 })
    const writing = write(device, 0, BLOCK)
    for (let applied = 0; applied === 0; ) applied = (await faults())[0]!.applied
    const pid = await daemonPid()
    process.kill(pid, 'SIGKILL')
    await gone(pid)
    await text('device', 'recover', id)
    expect((await writing).code).toBe(0)
    expect(await writePointer(0)).toBe(BLOCK)
  })

  it('a fault that would do nothing is refused with what to give', async () => {
    const refused = await zslab('fault', 'add', id, '--op', 'write')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('give --errno, --delay or --torn')
    const zones = await zslab('fault', 'add', id, '--op', 'write', '--zone', '8', '--torn')
    expect(zones.stderr).toContain('--zone 8: expected N or A-B with zones from 0 to 7')
  })
})

describe('zones that a failing drive gives up', () => {
  beforeEach(async () => {
    device = await create({ zones: 8, zoneSize: ZONE, conventional: 1 })
    id = String(device.id)
  })

  it('read-only: the kernel sees it at once; reads go on, writes and resets do not', async () => {
    for (const zone of [2, 3, 4]) await mustWrite(device, zone * ZONE, 4 * BLOCK)
    const before = await read(device, 3 * ZONE, 4 * BLOCK)
    expect(await json('zone', 'read-only', id, '3', '2')).toMatchObject({ zones: 2 })
    expect((await conditions(device)).slice(2, 6)).toEqual([
      'implicit-open',
      'read-only',
      'read-only',
      'empty',
    ])
    await compareReports(device)
    expect((await read(device, 3 * ZONE, 4 * BLOCK)).equals(before)).toBe(true)
    expect((await write(device, 3 * ZONE + 4 * BLOCK, BLOCK)).code).not.toBe(0)
    expect((await write(device, 3 * ZONE, BLOCK)).code).not.toBe(0)
    expect((await zslab('zone', 'reset', id, '3')).code).toBe(1)
    expect((await read(device, 3 * ZONE, 4 * BLOCK)).equals(before)).toBe(true)
    await mustWrite(device, 2 * ZONE + 4 * BLOCK, BLOCK)
    expect((await conditions(device)).slice(2, 5)).toEqual([
      'implicit-open',
      'read-only',
      'read-only',
    ])
  })

  it('offline, from full and from open: neither read nor written, and the others go on', async () => {
    await mustWrite(device, 3 * ZONE, 4 * BLOCK)
    await text('zone', 'finish', id, '4')
    await text('zone', 'offline', id, '3', '2')
    expect((await conditions(device)).slice(3, 5)).toEqual(['offline', 'offline'])
    for (const zone of [3, 4]) {
      expect((await write(device, zone * ZONE, BLOCK)).code).not.toBe(0)
      const got = await tryRead(device, zone * ZONE, BLOCK)
      expect(got.stderr).toMatch(/Input\/output error/)
    }
    await mustWrite(device, 5 * ZONE, BLOCK)
    await compareReports(device)
    const said = await text('explain', id, '--count', '64')
    expect(said).toMatch(/Zone Is Offline/i)
  })

  it('a conventional zone stays what it is', async () => {
    const refused = await zslab('zone', 'read-only', id, '0')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(/zone 0 .* is conventional and cannot go read-only/)
    await client.request('zone.report', { id: device.id })
    expect((await conditions(device))[0]).toBe('conventional')
  })
})

describe('the time of a drive', () => {
  const fio = async (rw: string, blockSize: string, ...flags: string[]): Promise<number> => {
    const output = await must('fio', [
      ...['--name=time', `--filename=${device.path}`, `--rw=${rw}`, `--bs=${blockSize}`],
      ...['--direct=1', '--ioengine=psync', '--size=4M', '--output-format=json', ...flags],
    ])
    const [job] = JSON.parse(output.slice(output.indexOf('{'))).jobs
    const { clat_ns } = rw === 'write' ? job.write : job.read
    return clat_ns.percentile['50.000000'] / 1000
  }

  it('a read takes at least what the profile says, and device show names it', async () => {
    device = await create({ zones: 8, zoneSize: ZONE, latency: 'zn540' })
    id = String(device.id)
    expect(await json('device', 'show', id)).toMatchObject({ latency: 'zn540' })
    expect(await text('device', 'show', id)).toMatch(/latency\s+zn540/)
    const readUs = 20 + 50 + 4096 / 450 + 4096 / 3050
    const medianUs = await fio('read', '4k', '--io_size=512k')
    process.stdout.write(
      `zn540, read of 4 KiB: ${readUs.toFixed(0)} us in the profile, fio's median ${medianUs} us\n`,
    )
    expect(medianUs).toBeGreaterThanOrEqual(readUs)
  })

  it('a write of a unit waits for its program, and a reset for its erase', async () => {
    device = await create({ zones: 8, zoneSize: ZONE, latency: 'prototype' })
    id = String(device.id)
    const writeUs = 131072 / 3200 + 131072 / 800 + 1913.64
    const medianUs = await fio('write', '128k', '--zonemode=zbd')
    process.stdout.write(
      `prototype, write of 128 KiB: ${writeUs.toFixed(0)} us in the profile, fio's median ${medianUs} us\n`,
    )
    expect(medianUs).toBeGreaterThanOrEqual(writeUs)
    await remove(device)
    device = await create({ zones: 8, zoneSize: ZONE, latency: 'confzns' })
    id = String(device.id)
    await mustWrite(device, 0, 16 * BLOCK)
    const began = performance.now()
    await must('blkzone', ['reset', '-o', '0', '-l', String(ZONE / 512), device.path])
    expect(performance.now() - began).toBeGreaterThanOrEqual(3)
    expect(await writePointer(0)).toBe(0)
  })

  it('needs one queue', async () => {
    const refused = await zslab('device', 'create', '--latency', 'zn540', '--queues', '2')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('--latency zn540 with --queues 2')
    device = await create({ zones: 4, zoneSize: ZONE })
  })
})
