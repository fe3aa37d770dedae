/**
 * Power cuts of a drive in memory on a real kernel: the block device goes and comes back under its number, with what was
 * flushed, with nothing open, and with a kernel that knows nothing of before. Drives in images: image.test.ts.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { blkzoneReport } from './blkzone.js'
import { compareReports, conditions, json, make, text, zslab } from './command-line.js'
import {
  closeAll,
  type Device,
  must,
  mustWrite,
  newKernelWarnings,
  read,
  remove,
} from './harness.js'

const BLOCK = 4096
const ZONE = 4 * 1024 * 1024

let device: Device

afterEach(async () => {
  await remove(device)
  expect(newKernelWarnings()).toEqual([])
})
afterAll(async () => expect(await closeAll()).toEqual([]))

/** Blocks of a zone that hold their number, the first being 1. */
function numbered(blocks: number): Buffer {
  const bytes = Buffer.alloc(blocks * BLOCK)
  for (let i = 0; i < bytes.length; i++) bytes[i] = 1 + Math.floor(i / BLOCK)
  return bytes
}

it('keeps what was flushed, forgets a part of the rest, and goes on at the write pointer', async () => {
  device = await make('--zones', '8', '--zone-size', '4M')
  const id = String(device.id)
  const from = join(tmpdir(), 'zslab-power-cut')
  const flushed = 5
  writeFileSync(from, numbered(flushed))
  const zones = [0, 1, 2, 3]
  for (const zone of zones) {
    await mustWrite(device, zone * ZONE, flushed * BLOCK, { from })
  }
  await must('blockdev', ['--flushbufs', device.path])
  const toDevice = [`of=${device.path}`, 'bs=4096', 'count=1', 'conv=notrunc,fsync']
  await must('dd', ['if=/dev/zero', ...toDevice, 'oflag=direct,seek_bytes', `seek=${4 * ZONE}`])
  const written = 20
  writeFileSync(from, numbered(written).subarray(flushed * BLOCK))
  const more = (written - flushed) * BLOCK
  for (const zone of zones) {
    await mustWrite(device, zone * ZONE + flushed * BLOCK, more, { from })
  }
  await text('zone', 'open', id, '6')
  await json('fault', 'add', id, '--op', 'write', '--zone', '7', '--errno', 'EIO')
  const cut = await json('device', 'power-cut', id, '--seed', '11')
  expect(cut).toMatchObject({ id: device.id, state: 'live', seed: 11 })
  await compareReports(device)
  const report = await blkzoneReport(device.path)
  let lost = 0
  for (const zone of zones) {
    const left = (report[zone]!.wp * 512) / BLOCK
    process.stdout.write(
      `zone ${zone}: ${flushed} blocks flushed, ${written} written, ${left} left\n`,
    )
    expect(left).toBeGreaterThanOrEqual(flushed)
    expect(left).toBeLessThanOrEqual(written)
    lost += (written - left) * BLOCK
    const back = await read(device, zone * ZONE, written * BLOCK)
    expect(back.subarray(0, left * BLOCK).equals(numbered(left))).toBe(true)
    expect(back.subarray(left * BLOCK).every(byte => byte === 0)).toBe(true)
    await mustWrite(device, zone * ZONE + left * BLOCK, BLOCK)
  }
  expect(cut.lost.bytes).toBe(lost)
  expect(lost).toBeGreaterThan(0)
  expect((await conditions(device)).slice(4)).toEqual(['closed', 'empty', 'empty', 'empty'])
  expect(await json('fault', 'list', id)).toHaveLength(1)
})

it('a seed is refused where nothing is by chance', async () => {
  const image = join(tmpdir(), `zslab-power-cut-image-${process.pid}`)
  device = await make('--zones', '4', '--zone-size', '4M', '--image', image)
  const refused = await zslab('device', 'power-cut', String(device.id), '--seed', '1')
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain('a drive in an image loses just what was not flushed')
})
