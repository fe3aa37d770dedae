/**
 * kill -9 of the daemon in the middle of fio with verification, ten times in a row: fio sees a pause and nothing else.
 *
 * Afterwards every block that fio wrote is read back and verified by fio itself, and the kernel's write pointers are compared
 * with ours: a write applied twice, or lost, cannot hide.
 */
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { blkzoneReport } from './blkzone.js'
import {
  client,
  closeAll,
  create,
  type Device,
  daemonLog,
  daemonPid,
  gone,
  must,
  needs,
  newKernelWarnings,
  remove,
  start,
  tick,
} from './harness.js'
import { isSample } from './layouts.js'
import { makeZonefs } from './zonefs.js'

const MIB = 1024 * 1024
const KILLS = isSample ? 3 : 10
const KILLS_APPENDING = isSample ? 2 : 4

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

/** Resolves when the device has done some more writes, so that each kill meets work in flight. */
async function untilBusy(device: Device, ended: () => boolean): Promise<void> {
  const done = async () => {
    const { counters } = await client.request('stats', { id: device.id })
    return counters.writes + counters.appends + counters.reads
  }
  const before = await done()
  while (!ended() && (await done()) < before + 20) await tick()
}

async function killAndRecover(device: Device): Promise<void> {
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  // A new daemon recovers what it finds when it starts.
  await client.ensureDaemon()
  const info = await client.request('device.show', { id: device.id })
  expect(info.state, daemonLog()).toBe('live')
  expect(info.pid).not.toBe(pid)
}

/** Kill the daemon while fio runs, so often at most; fio must end well. Returns how often it was. */
async function tortureWith(
  device: Device,
  killsMax: number,
  fioArgs: readonly string[],
): Promise<number> {
  const { ended } = start('fio', fioArgs)
  let over = false
  void ended.then(() => {
    over = true
  })
  let kills = 0
  while (kills < killsMax && !over) {
    await untilBusy(device, () => over)
    if (over) break
    await killAndRecover(device)
    kills++
  }
  const { code, stdout, stderr } = await ended
  expect(code, `${stdout}\n${stderr}\n${daemonLog()}`).toBe(0)
  return kills
}

async function comparePointers(device: Device): Promise<void> {
  const ours = (await client.request('zone.report', { id: device.id })).zones
  const theirs = await blkzoneReport(device.path)
  for (const zone of ours) {
    if (zone.writePointerSector === null) continue
    expect(theirs[zone.zone]!.wp).toBe(zone.writePointerSector - zone.startSector)
  }
}

describe.each([{ queues: 1 }, { queues: 2 }])('kill -9 with $queues queue(s)', ({ queues }) => {
  it(`fio goes on through ${KILLS} kills, and then verifies every block that it wrote`, async () => {
    const device = await create({ zones: 16, zoneSize: 16 * MIB, queues, maxOpen: 8, maxActive: 8 })
    const job = [
      '--name=keep',
      `--filename=${device.path}`,
      '--zonemode=zbd',
      '--direct=1',
      '--ioengine=libaio',
      '--iodepth=4',
      '--rw=write',
      '--bs=8k',
      '--size=64M',
      '--verify=crc32c',
      '--verify_fatal=1',
      '--rate_iops=800',
    ]
    expect(await tortureWith(device, KILLS, [...job, '--do_verify=1'])).toBe(KILLS)
    await comparePointers(device)
    await remove(device)
  })

  it('a file appended to on zonefs is whole after the kills', async context => {
    needs(context, { filesystem: 'zonefs' })
    const device = await create({ zones: 16, zoneSize: 16 * MIB, queues })
    await makeZonefs(device)
    const mountPoint = mkdtempSync(join(tmpdir(), 'zslab-mnt-'))
    await must('mount', ['-t', 'zonefs', device.path, mountPoint])
    const kills = await tortureWith(device, KILLS_APPENDING, [
      '--name=zonefs',
      `--filename=${join(mountPoint, 'seq', '0')}`,
      '--zonemode=none',
      '--direct=1',
      '--ioengine=psync',
      '--rw=write',
      '--bs=4k',
      '--size=12M',
      '--file_append=1',
      '--create_on_open=0',
      '--allow_file_create=0',
      '--rate_iops=400',
      '--verify=crc32c',
      '--do_verify=1',
    ])
    expect(kills).toBe(KILLS_APPENDING)
    await must('umount', [mountPoint])
    rmdirSync(mountPoint)
    await remove(device)
  })
})

it('deletes what a killed daemon left when it cannot be recovered', async () => {
  const device = await create({ zones: 8, zoneSize: 4 * MIB, recovery: false })
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  await client.ensureDaemon()
  expect(await client.request('device.list', {})).toEqual([])
  const error = await client.request('device.show', { id: device.id }).catch(e => e)
  expect(error.code).toBe('DAEMON_ERR_NO_DEVICE')
})
