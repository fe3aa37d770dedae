/**
 * Discards and write-zeroes that reach over several zones: Linux does not split them at zone borders (block/blk-merge.c).
 *
 * A discard throws bytes away and moves no write pointer; write-zeroes are writes, which a sequential zone takes at its write
 * pointer alone.
 */
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { blkzoneReport } from './blkzone.js'
import { compareReports, conditions, isZero } from './command-line.js'
import {
  client,
  closeAll,
  create,
  type Device,
  mustWrite,
  newKernelWarnings,
  remove,
  run,
} from './harness.js'

const BLOCK = 4096
const MIB = 1024 * 1024

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

describe('discard and write zeroes over several zones', () => {
  const options = { zones: 8, zoneSize: 4 * MIB, conventional: 2 }
  const half = options.zoneSize / 2
  const blkdiscard = (device: Device, offset: number, bytes: number, ...flags: string[]) =>
    run('blkdiscard', [...flags, '-o', String(offset), '-l', String(bytes), device.path])
  const pointers = async (device: Device) =>
    (await blkzoneReport(device.path)).slice(2).map(({ wp }) => wp * 512)

  it.each([
    ['discard'],
    ['write zeroes', '-z'],
  ])('%s from the middle of one conventional zone to that of the next: zeros, and nothing beside', async (_, ...flags) => {
    const device = await create(options)
    for (let at = 0; at < 2 * options.zoneSize; at += MIB) await mustWrite(device, at, MIB)
    const outcome = await blkdiscard(device, half, options.zoneSize, ...flags)
    expect(outcome.code, outcome.stderr).toBe(0)
    expect(await isZero(device, half, options.zoneSize)).toBe(true)
    expect(await isZero(device, half - BLOCK, BLOCK)).toBe(false)
    expect(await isZero(device, half + options.zoneSize, BLOCK)).toBe(false)
    expect((await client.request('stats', { id: device.id })).counters.refused).toBe(0)
    await remove(device)
  })

  it('a discard over sequential zones: zeros, and the write pointers stay', async () => {
    const device = await create(options)
    const [second, third] = [2 * options.zoneSize, 3 * options.zoneSize]
    for (let at = 0; at < options.zoneSize; at += MIB) await mustWrite(device, second + at, MIB)
    await mustWrite(device, third, MIB)
    const before = await pointers(device)
    const outcome = await blkdiscard(device, second + half, options.zoneSize)
    expect(outcome.code, outcome.stderr).toBe(0)
    expect(await isZero(device, second + half, options.zoneSize)).toBe(true)
    expect(await isZero(device, second + half - BLOCK, BLOCK)).toBe(false)
    expect(await pointers(device)).toEqual(before)
    await compareReports(device)
    await mustWrite(device, third + MIB, BLOCK)
    await remove(device)
  })

  it('write zeroes are writes: whole zones from their start are full, one that is not at the pointer fails', async () => {
    const device = await create(options)
    const [second, fourth] = [2 * options.zoneSize, 4 * options.zoneSize]
    const whole = await blkdiscard(device, second, 2 * options.zoneSize, '-z')
    expect(whole.code, whole.stderr).toBe(0)
    expect((await conditions(device)).slice(2, 5)).toEqual(['full', 'full', 'empty'])
    const part = await blkdiscard(device, fourth, MIB, '-z')
    expect(part.code, part.stderr).toBe(0)
    expect((await pointers(device)).slice(2)).toEqual([MIB, 0, 0, 0])
    // From the pointer into the next zone: done in whole where the kernel splits it at the border (as 6.12.95 does), else refused
    // in whole; never a part of it.
    const across = await blkdiscard(device, fourth + MIB, options.zoneSize, '-z')
    const after = across.code === 0 ? [options.zoneSize, MIB, 0, 0] : [MIB, 0, 0, 0]
    expect((await pointers(device)).slice(2), across.stderr).toEqual(after)
    const sixth = 6 * options.zoneSize
    const beside = await blkdiscard(device, sixth + 3 * MIB, BLOCK, '-z')
    expect(beside.code).not.toBe(0)
    expect((await pointers(device)).slice(2)).toEqual(after)
    await mustWrite(device, sixth, BLOCK)
    await compareReports(device)
    await remove(device)
  })
})
