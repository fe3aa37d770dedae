/**
 * Making and deleting devices, under load, many times over, and with the system's limits in the way.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, expect, it } from 'vitest'
import {
  client,
  cliPath,
  closeAll,
  create,
  daemonPid,
  gone,
  must,
  mustWrite,
  newKernelWarnings,
  remove,
  run,
  start,
  tick,
  write,
} from './harness.js'
import { isSample } from './layouts.js'

const MIB = 1024 * 1024

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

const openFiles = (pid: number) => readdirSync(`/proc/${pid}/fd`).length
const threads = (pid: number) => readdirSync(`/proc/${pid}/task`).length
const zslab = (...args: string[]) => run(process.execPath, [cliPath, ...args])

it('deletes a device under I/O: the I/O fails, nothing hangs, nothing is left', async () => {
  const device = await create({ zones: 16, zoneSize: 16 * MIB, queues: 2 })
  const { ended } = start('fio', [
    '--name=load',
    `--filename=${device.path}`,
    '--zonemode=zbd',
    '--direct=1',
    '--ioengine=libaio',
    '--iodepth=16',
    '--rw=randread',
    '--read_beyond_wp=1',
    '--bs=4k',
    '--time_based',
    '--runtime=300',
  ])
  const reads = async () => (await client.request('stats', { id: device.id })).counters.reads
  while ((await reads()) < 100) await tick()
  await remove(device)
  expect((await ended).code).not.toBe(0)
  expect(existsSync(device.path)).toBe(false)
})

const DEVICES = isSample ? 12 : 50

it(`makes and deletes ${DEVICES} devices without a leak`, async () => {
  await remove(await create({ zones: 8, zoneSize: 4 * MIB }))
  const pid = await daemonPid()
  const before = { files: openFiles(pid), threads: threads(pid) }
  for (let i = 0; i < DEVICES; i++) {
    const device = await create({ zones: 8, zoneSize: 4 * MIB, queues: 1 + (i % 2) })
    await mustWrite(device, 0, 64 * 1024, { from: '/dev/zero', count: 2 })
    await remove(device)
  }
  expect(await daemonPid()).toBe(pid)
  // The threads of the last device and the connections of the last requests may still be on their way out, and so may those
  // before. A leak would be one a device.
  const isClean = () => openFiles(pid) <= before.files + 2 && threads(pid) <= before.threads
  await expect.poll(isClean, { timeout: 10_000 }).toBe(true)
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain('ublk')
})

it('refuses geometry that the kernel would refuse, before the kernel is asked', async () => {
  const bad = [
    { zoneSize: 3 * MIB },
    { zoneCapacity: 128 * MIB, zoneSize: 64 * MIB },
    { conventional: 64 },
    { maxOpen: 10, maxActive: 4 },
    { blockSize: 1024 },
    { zones: 0 },
  ]
  for (const options of bad) {
    const error = await create(options).catch(e => e)
    expect(error, JSON.stringify(options)).toBeInstanceOf(Error)
    expect(error.message.length).toBeGreaterThan(20)
  }
  expect(await client.request('device.list', {})).toEqual([])
})

it('says what ran out when there are no file descriptors, and works again when there are', async () => {
  // One device is there throughout, so that the daemon does not end by itself meanwhile.
  const keeper = await create({ zones: 8, zoneSize: 4 * MIB })
  const pid = await daemonPid()
  const limit = readdirSync(`/proc/${pid}/fd`).length + 1
  await must('prlimit', ['--pid', String(pid), `--nofile=${limit}:20000`])
  const error = await create({ zones: 8, zoneSize: 4 * MIB }).catch(e => e)
  await must('prlimit', ['--pid', String(pid), '--nofile=20000:20000'])
  expect(error.code).toBe('DAEMON_ERR_RESOURCES')
  expect((await client.request('device.list', {})).map(device => device.id)).toEqual([keeper.id])
  const device = await create({ zones: 8, zoneSize: 4 * MIB })
  await remove(device)
  expect(await daemonPid()).toBe(pid)
  await remove(keeper)
})

it('memory that runs out is ENOSPC to the writer, and a reset makes room again', async () => {
  const state = process.env['ZSLAB_STATE']!
  await client.ensureDaemon()
  await gone((await client.request('shutdown', {})).pid)
  await must('mount', ['-t', 'tmpfs', '-o', 'size=12M', 'tmpfs', state])
  const device = await create({ zones: 16, zoneSize: 4 * MIB })
  const outcome = await write(device, 0, 64 * 1024, { count: 256 })
  expect(outcome.code).not.toBe(0)
  expect(outcome.stderr).toMatch(/No space left/)
  const written = (await client.request('stats', { id: device.id })).media.rawPages * 4096
  const { zones } = await client.request('zone.report', { id: device.id })
  const pointers = zones.reduce((sum, zone) => sum + zone.fill * device.zoneCapacity, 0)
  expect(pointers).toBe(written)
  await must('blkzone', ['reset', device.path])
  expect((await write(device, 0, 64 * 1024, { count: 32 })).code).toBe(0)
  await remove(device)
  await gone((await client.request('shutdown', {})).pid)
  await must('umount', [state])
})

it('a second daemon on the socket says who has it', async () => {
  // A daemon without a device would end by itself, and the second one would be the first.
  const device = await create({ zones: 8, zoneSize: 4 * MIB })
  const { code, stderr } = await zslab('daemon')
  expect(code).toBe(1)
  expect(stderr).toMatch(/another daemon serves/)
  await remove(device)
})

it('the command line works from create to delete', async () => {
  const made = await zslab('device', 'create', '--zones', '16', '--zone-size', '4M', '--json')
  expect(made.code, made.stderr).toBe(0)
  const device = JSON.parse(made.stdout)
  expect(existsSync(device.path)).toBe(true)
  expect(device.pid).toBe(await daemonPid())
  await mustWrite(device, 0, 64 * 1024, { from: '/dev/zero', count: 2 })
  const report = JSON.parse((await zslab('zone', 'report', device.path, '--json')).stdout)
  expect(report.zones?.length ?? report.length).toBe(16)
  expect((await zslab('zone', 'finish', String(device.id), '0')).code).toBe(0)
  const stats = JSON.parse((await zslab('stats', device.path, '--json')).stdout)
  expect(stats.media.sameFillPages).toBe(32)
  expect((await zslab('device', 'create', '--zone-size', '3M')).code).toBe(2)
  expect((await zslab('device', 'delete', device.path)).code).toBe(0)
  expect((await zslab('device', 'delete', device.path)).code).toBe(1)
  expect(existsSync(device.path)).toBe(false)
})

it('SIGTERM drains: devices are deleted and the daemon is gone', async () => {
  const device = await create({ zones: 8, zoneSize: 4 * MIB })
  const pid = await daemonPid()
  process.kill(pid, 'SIGTERM')
  while (existsSync(`/proc/${pid}`)) await tick()
  expect(existsSync(device.path)).toBe(false)
})
