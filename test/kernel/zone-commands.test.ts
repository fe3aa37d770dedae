/**
 * Reports, zone commands, limits and misuse, as the kernel and util-linux see them, on every layout.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { blkzoneReport, CONDITION } from './blkzone.js'
import { compareReports } from './command-line.js'
import {
  client,
  closeAll,
  create,
  type Device,
  must,
  needs,
  newKernelWarnings,
  queueAttribute,
  remove,
  run,
  write,
} from './harness.js'
import { LAYOUTS } from './layouts.js'

const BLOCK = 4096

afterAll(async () => expect(await closeAll()).toEqual([]))

describe.each(LAYOUTS)('$name', ({ options }) => {
  let device: Device
  let first: number
  let last: number

  const zone = (command: string, index: number, count = 1) =>
    run('blkzone', [
      command,
      '-o',
      String((index * device.zoneSize) / 512),
      '-l',
      String((count * device.zoneSize) / 512),
      device.path,
    ])
  const conditionOf = async (index: number) =>
    CONDITION[(await blkzoneReport(device.path))[index]!.condition]

  beforeEach(async () => {
    device = await create(options)
    first = device.conventional
    last = device.zones - 1
  })
  afterEach(async () => {
    await remove(device)
    expect(newKernelWarnings()).toEqual([])
  })

  it('shows the kernel the geometry that was asked for', async () => {
    expect(queueAttribute(device, 'zoned')).toBe('host-managed')
    expect(queueAttribute(device, 'chunk_sectors')).toBe(String(device.zoneSize / 512))
    expect(queueAttribute(device, 'nr_zones')).toBe(String(device.zones))
    expect(queueAttribute(device, 'max_open_zones')).toBe('6')
    expect(queueAttribute(device, 'max_active_zones')).toBe('8')
    expect(Number(queueAttribute(device, 'zone_append_max_bytes'))).toBeGreaterThan(0)
    expect(queueAttribute(device, 'logical_block_size')).toBe('4096')
    await compareReports(device)
  })

  it('takes every zone command, and reports the same as the kernel after each', async () => {
    expect((await zone('open', first)).code).toBe(0)
    expect(await conditionOf(first)).toBe('explicit-open')
    expect((await write(device, first * device.zoneSize, 16 * BLOCK)).code).toBe(0)
    expect((await zone('close', first)).code).toBe(0)
    expect(await conditionOf(first)).toBe('closed')
    await compareReports(device)
    expect((await write(device, first * device.zoneSize + 16 * BLOCK, BLOCK)).code).toBe(0)
    expect(await conditionOf(first)).toBe('implicit-open')
    expect((await zone('finish', first)).code).toBe(0)
    expect(await conditionOf(first)).toBe('full')
    await compareReports(device)
    expect((await zone('reset', first)).code).toBe(0)
    expect(await conditionOf(first)).toBe('empty')
    expect((await zone('open', first, 3)).code).toBe(0)
    expect((await zone('finish', last)).code).toBe(0)
    await compareReports(device)
    await must('blkzone', ['reset', '-o', String((first * device.zoneSize) / 512), device.path])
    const conditions = (await blkzoneReport(device.path)).slice(first).map(z => z.condition)
    expect(new Set(conditions)).toEqual(new Set(['em']))
  })

  it('reads what was written, zeros past the write pointer, zeros after a reset', async () => {
    const start = first * device.zoneSize
    const fd = openSync(device.path, constants.O_RDWR | constants.O_DIRECT | constants.O_EXCL)
    closeSync(fd)
    await must('dd', ['if=/dev/urandom', 'of=/tmp/payload', 'bs=64k', 'count=1', 'iflag=fullblock'])
    await must('dd', [
      'if=/tmp/payload',
      `of=${device.path}`,
      'bs=64k',
      `seek=${start}`,
      'oflag=direct,seek_bytes',
    ])
    await must('dd', [
      `if=${device.path}`,
      'of=/tmp/back',
      'bs=128k',
      'count=1',
      `skip=${start}`,
      'iflag=direct,skip_bytes',
    ])
    await must('cmp', ['-n', '65536', '/tmp/payload', '/tmp/back'])
    await must('cmp', ['-n', '65536', '-i', '65536:0', '/tmp/back', '/dev/zero'])
    expect((await zone('reset', first)).code).toBe(0)
    await must('dd', [
      `if=${device.path}`,
      'of=/tmp/back',
      'bs=64k',
      'count=1',
      `skip=${start}`,
      'iflag=direct,skip_bytes',
    ])
    await must('cmp', ['-n', '65536', '/tmp/back', '/dev/zero'])
  })

  it('refuses the seventh open zone with ETOOMANYREFS and the ninth active with EOVERFLOW', async () => {
    expect((await zone('open', first, 6)).code).toBe(0)
    const seventh = await zone('open', first + 6)
    expect(seventh.code).not.toBe(0)
    expect(seventh.stderr).toMatch(/Too many references/)
    for (let i = 0; i < 6; i++)
      expect((await write(device, (first + i) * device.zoneSize, BLOCK)).code).toBe(0)
    expect((await zone('close', first, 6)).code).toBe(0)
    expect((await zone('open', first + 6, 2)).code).toBe(0)
    const ninth = await zone('open', first + 8)
    expect(ninth.code).not.toBe(0)
    expect(ninth.stderr).toMatch(/Value too large/)
    const said = await client.request('explain', { id: device.id })
    expect(said.map(refusal => refusal.errno)).toEqual(['ETOOMANYREFS', 'EOVERFLOW'])
  })

  it('answers misuse with an error, never with a hang, and goes on', async () => {
    const start = first * device.zoneSize
    const offPointer = await write(device, start + 8 * BLOCK, BLOCK)
    expect(offPointer.code).not.toBe(0)
    expect(offPointer.stderr).toMatch(/Input\/output error/)
    // The kernel has given this zone up until it reads its write pointer again.
    await blkzoneReport(device.path)
    expect((await write(device, start, BLOCK)).code).toBe(0)
    expect((await zone('finish', first)).code).toBe(0)
    const full = await write(device, start + BLOCK, BLOCK)
    expect(full.stderr).toMatch(/Input\/output error/)
    if (first > 0) {
      const conventional = await zone('reset', 0)
      expect(conventional.stderr).toMatch(/Input\/output error/)
      expect((await write(device, 5 * BLOCK, BLOCK)).code).toBe(0)
    }
    expect((await write(device, (first + 1) * device.zoneSize, BLOCK)).code).toBe(0)
  })

  it('a zone that goes offline is offline for the kernel too, and cannot be read or reset', async () => {
    await client.request('zone.offline', { id: device.id, first: last, count: 1 })
    await client.refreshKernelZones(device.path, (last * device.zoneSize) / 512, 1)
    expect(await conditionOf(last)).toBe('offline')
    const read = [
      'dd',
      `if=${device.path}`,
      'of=/dev/null',
      'bs=4k',
      'count=1',
      'iflag=direct,skip_bytes',
    ] as const
    const outcome = await run(read[0], [...read.slice(1), `skip=${last * device.zoneSize}`])
    expect(outcome.stderr).toMatch(/Input\/output error/)
    expect((await zone('reset', last)).stderr).toMatch(/Input\/output error/)
    const said = await client.request('explain', { id: device.id })
    expect(said.at(-1)!.before.condition).toBe('offline')
  })

  it('is what libzbd expects', async context => {
    needs(context, { program: 'zbd' })
    const report = await must('zbd', ['report', device.path])
    expect(report.match(/^Zone \d+:/gm)?.length).toBe(device.zones)
    await must('zbd', [
      'finish',
      '-ofst',
      String(first * device.zoneSize),
      '-len',
      String(device.zoneSize),
      device.path,
    ])
    expect(await conditionOf(first)).toBe('full')
    await must('zbd', [
      'reset',
      '-ofst',
      String(first * device.zoneSize),
      '-len',
      String(device.zoneSize),
      device.path,
    ])
    expect(await conditionOf(first)).toBe('empty')
  })
})

describe('flush and zeroing', () => {
  it('takes fsync, BLKZEROOUT and BLKDISCARD', async () => {
    const device = await create({ zones: 16, zoneSize: '4M', conventional: 4 })
    const fd = openSync(device.path, 'r+')
    writeSync(fd, Buffer.alloc(2 * BLOCK, 0xab), 0, 2 * BLOCK, 0)
    closeSync(fd)
    await must('sync', [device.path])
    await must('blkdiscard', ['-z', '-o', '0', '-l', String(BLOCK), device.path])
    await must('blkdiscard', ['-o', String(BLOCK), '-l', String(BLOCK), device.path])
    const back = Buffer.alloc(2 * BLOCK)
    const reader = openSync(device.path, 'r')
    readSync(reader, back, 0, 2 * BLOCK, 0)
    closeSync(reader)
    expect(back.equals(Buffer.alloc(2 * BLOCK))).toBe(true)
    const stats = await client.request('stats', { id: device.id })
    expect(stats.counters.flushes).toBeGreaterThan(0)
    expect(stats.counters.discards).toBeGreaterThan(0)
    await remove(device)
  })
})
