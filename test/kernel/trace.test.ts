/**
 * Requests recorded on a real kernel, and replayed: on another device of ours and on null_blk of the same layout everything is
 * the same; on a device that was made to differ the comparison says how.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { conditions, json, text, zslab } from './command-line.js'
import {
  cliPath,
  closeAll,
  create,
  type Device,
  must,
  newKernelWarnings,
  remove,
  run,
  start,
  tick,
} from './harness.js'
import { nullBlk } from './null-blk.js'

const MIB = 1024 * 1024
const LAYOUT = { zones: 16, zoneSize: 4 * MIB, zoneCapacity: 3 * MIB, maxOpen: 4, maxActive: 6 }

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

const fio = (path: string, ...rest: string[]) =>
  must('fio', [
    ...['--name=trace', `--filename=${path}`, '--zonemode=zbd', '--direct=1', '--size=48M'],
    ...['--ioengine=libaio', '--iodepth=8', '--max_open_zones=4', '--randrepeat=1', ...rest],
  ])

/** Lines of a trace. */
const lines = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

/** Record while `load` runs; the summary that the command prints when it is told to end. */
async function record(device: Device, file: string, load: () => Promise<unknown>) {
  rmSync(file, { force: true })
  const args = [cliPath, 'trace', 'record', device.path, '--output', file, '--json']
  const { child, ended } = start(process.execPath, args)
  while (!existsSync(file) || !readFileSync(file, 'utf8').includes('\n{"zones"')) await tick()
  await load()
  child.kill('SIGINT')
  const { code, stdout, stderr } = await ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

const file = join(tmpdir(), 'trace-test.ndjson')

const zoneAt = (zone: number) => String((zone * LAYOUT.zoneSize) / 512)

it('fio, a reset and a finish: recorded once, the same on ours and on null_blk, at any depth', async () => {
  const device = await create({ ...LAYOUT, queues: 2 })
  const before = (await json('stats', device.path)).counters
  const recorded = await record(device, file, async () => {
    await fio(device.path, '--rw=randrw', '--bs=4k-64k', '--number_ios=1500', '--fsync=64')
    await must('blkzone', ['reset', '-o', '0', '-c', '2', device.path])
    // One that is open: of an empty one null_blk thinks otherwise (docs/OPERATIONS.md).
    const open = (await conditions(device)).indexOf('implicit-open')
    await must('blkzone', ['finish', '-o', zoneAt(open), '-c', '1', device.path])
  })
  const [header, zones, ...rest] = lines(file)
  const requests = rest.slice(0, -1)
  expect(header).toMatchObject({ zslabTrace: 1, device: { zones: 16, queues: 2 } })
  expect(header.busy).toBeUndefined()
  expect(zones).toEqual({ zones: [{ count: 16, condition: 'empty', wp: 0 }] })
  expect(requests).toHaveLength(recorded.requests)
  expect(rest.at(-1)).toMatchObject({ end: { requests: recorded.requests, lost: 0 } })
  const ops = new Set(requests.map(({ op }) => op))
  for (const op of ['read', 'write', 'flush', 'reset', 'finish']) expect(ops).toContain(op)
  const bytes = (op: string) =>
    requests
      .filter(one => one.op === op && one.result > 0)
      .reduce((sum, one) => sum + one.result, 0)
  const { counters } = await json('stats', device.path)
  const during = (key: string) => counters[key] - before[key]
  expect([bytes('read'), bytes('write')]).toEqual([during('readBytes'), during('writeBytes')])

  const other = await create(LAYOUT)
  for (const depth of ['1', '4']) {
    const same = await json('trace', 'replay', other.path, file, '--reset', '--depth', depth)
    expect(same).toMatchObject({ different: 0, differences: [], zones: [], skipped: 0 })
    expect(same.requests).toBe(recorded.requests)
    expect(same.checkedReads).toBeGreaterThan(100)
  }
  // Now it is not where the trace begins.
  const refused = await zslab('trace', 'replay', other.path, file)
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(/was empty, wp 0 when the trace began: --reset makes it so/)
  await must('blkzone', ['reset', other.path])
  expect(await text('trace', 'replay', other.path, file)).toMatch(/\ndifferent +0\n/)

  const reference = await nullBlk(LAYOUT)
  if (reference === null) process.stdout.write('no null_blk here: not compared with it\n')
  else {
    const { stdout } = await zslab('trace', 'replay', reference.path, file, '--json')
    reference.remove()
    expect(JSON.parse(stdout)).toMatchObject({ different: 0, differences: [], zones: [] })
  }
  await remove(other)
  await remove(device)
})

it('limits: refusals are recorded and come again', async () => {
  const device = await create(LAYOUT)
  await record(device, file, async () => {
    for (let zone = 0; zone < LAYOUT.zones; zone++) {
      await run('blkzone', ['open', '-o', zoneAt(zone), '-c', '1', device.path])
      if (zone < 2) await must('blkzone', ['close', '-o', zoneAt(zone), '-c', '1', device.path])
    }
  })
  const results = lines(file).flatMap(({ op, result }) => (op === 'open' ? [result] : []))
  // Two are closed and four open: six active. After that ETOOMANYREFS or EOVERFLOW.
  expect(results.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0])
  expect(results.slice(6).every(result => result === -109 || result === -75)).toBe(true)
  expect(results).toHaveLength(LAYOUT.zones)
  const other = await create(LAYOUT)
  const same = await json('trace', 'replay', other.path, file)
  expect(same).toMatchObject({ different: 0, differences: [], zones: [] })
  await remove(other)
  await remove(device)
})

it('a device that differs is told by op, result and zone', async () => {
  const device = await create(LAYOUT)
  await record(device, file, () => fio(device.path, '--rw=write', '--bs=64k', '--size=12M'))
  const other = await create({ ...LAYOUT, maxOpen: 2, maxActive: 2 })
  const refused = await zslab('trace', 'replay', other.path, file)
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(
    /is not like the device of the trace: limit of open zones 2 instead of 4, limit of active zones 2 instead of 6; or use --force/,
  )
  // Two zones that take all there is, and one that is gone.
  await must('blkzone', ['open', '-o', String((8 * 4 * MIB) / 512), '-c', '2', other.path])
  await must(process.execPath, [cliPath, 'zone', 'offline', other.path, '1'])
  const { code, stdout } = await zslab('trace', 'replay', other.path, file, '--force', '--json')
  expect(code).toBe(1)
  const found = JSON.parse(stdout)
  expect(found.different).toBeGreaterThan(10)
  expect(found.differences).toContainEqual(
    expect.objectContaining({ op: 'write', recorded: 'ok', replayed: 'EIO' }),
  )
  expect(found.zones).toContainEqual({
    zone: 1,
    recorded: { condition: 'full', wp: null },
    replayed: { condition: 'offline', wp: null },
  })
  expect(found.same + found.different).toBe(found.requests)
  await remove(other)
  await remove(device)
})

it('appends, a second recorder, and the end of the device', async () => {
  const device = await create({ ...LAYOUT, zones: 8 })
  rmSync(file, { force: true })
  const args = [cliPath, 'trace', 'record', device.path]
  const first = start(process.execPath, [...args, '--output', file])
  while (!existsSync(file) || !readFileSync(file, 'utf8').includes('\n{"zones"')) await tick()
  const second = await zslab('trace', 'record', device.path)
  expect(second).toMatchObject({ code: 1, stdout: '' })
  expect(second.stderr).toContain('is being recorded already: end that recording first')
  await remove(device)
  const { code, stderr } = await first.ended
  expect(code).toBe(1)
  // While it is being deleted, or after.
  expect(stderr).toMatch(/the device went away meanwhile|there is no device/)
})
