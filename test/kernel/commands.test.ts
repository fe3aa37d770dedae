/**
 * Every verb of the command line on a device of a real kernel, as it is typed: what it prints, how it ends, and what the kernel
 * and util-linux then see. How long each took is printed.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { compareReports, conditions, json, make, text, zslab } from './command-line.js'
import {
  client,
  cliPath,
  closeAll,
  create,
  daemonLog,
  daemonPid,
  gone,
  must,
  mustWrite,
  needs,
  newKernelWarnings,
  remove,
  start,
  tick,
  write,
} from './harness.js'

const BLOCK = 4096
const MIB = 1024 * 1024

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

it('device create, list, show, delete', async () => {
  const device = await make('--zones', '16', '--zone-size', '4M', '--conventional', '2')
  const id = String(device.id)
  expect(existsSync(device.path)).toBe(true)
  expect(await json('device', 'list')).toEqual([device])
  expect(await text('device', 'list')).toContain(device.path)
  expect(await json('device', 'show', id)).toEqual(device)
  expect(await text('device', 'show', device.path)).toMatch(/zones\s+16 of 4 MiB, 2 conventional/)
  const other = await zslab('device', 'show', '77')
  expect(other.code).toBe(1)
  expect(other.stderr).toContain('there is no device 77')
  expect(await json('device', 'delete', id)).toEqual({ id: device.id, deleted: true, image: null })
  expect(existsSync(device.path)).toBe(false)
})

it('zone open, close, finish, reset and offline, of some and of --all', async () => {
  const flags = ['--zones', '8', '--zone-size', '4M', '--conventional', '2']
  const device = await make(...flags, '--max-open', '4', '--max-active', '6')
  const id = String(device.id)
  const expectZones = async (...sequential: string[]) => {
    expect(await conditions(device)).toEqual(['conventional', 'conventional', ...sequential])
    await compareReports(device)
  }
  const [empty, open, closed, full] = ['empty', 'explicit-open', 'closed', 'full'] as const
  await text('zone', 'open', id, '2', '3')
  await expectZones(open, open, open, empty, empty, empty)
  await text('zone', 'close', id, '2')
  await expectZones(closed, open, open, empty, empty, empty)
  await text('zone', 'finish', id, '3')
  await expectZones(closed, full, open, empty, empty, empty)
  await text('zone', 'reset', id, '3')
  await expectZones(closed, empty, open, empty, empty, empty)
  expect(await text('zone', 'close', id, '--all')).toMatch(/close of 1 zone done \(4\)/)
  await expectZones(closed, empty, closed, empty, empty, empty)
  expect(await json('zone', 'open', id, '--all')).toMatchObject({ zones: 2 })
  await expectZones(open, empty, open, empty, empty, empty)
  await text('zone', 'finish', id, '--all')
  await expectZones(full, empty, full, empty, empty, empty)
  const report = await json('zone', 'report', id, '--condition', 'full', '--count', '1')
  expect(report.zones.map((zone: { zone: number }) => zone.zone)).toEqual([2])
  expect(await text('zone', 'report', id)).toContain('2 full')
  await text('zone', 'reset', id, '--all')
  await expectZones(empty, empty, empty, empty, empty, empty)
  const refused = await zslab('zone', 'offline', id, '1', '3')
  expect(refused.code).toBe(2)
  expect(refused.stderr).toMatch(/zone 1 .* is conventional.*zones 2 to 7/)
  await expectZones(empty, empty, empty, empty, empty, empty)
  await text('zone', 'offline', id, '7')
  await expectZones(empty, empty, empty, empty, empty, 'offline')
  expect(await text('zone', 'offline', id, '--all')).toMatch(/nothing to offline/)
  const { zones } = await json('stats', id)
  expect(zones).toMatchObject({ conventional: 2, empty: 5, full: 0, offline: 1 })
  await text('device', 'delete', id)
})

it('explain after a refused write: rule, request, zone before, NVMe status', async () => {
  const flags = ['--zones', '8', '--zone-size', '4M', '--max-open', '2', '--max-active', '2']
  const device = await make(...flags)
  const id = String(device.id)
  expect(await text('explain', id)).toBe(`${device.path}: no I/O was refused\n`)
  await text('zone', 'open', id, '0', '2')
  const outcome = await write(device, 2 * device.zoneSize, 2 * BLOCK)
  expect(outcome.code).not.toBe(0)
  expect(outcome.stderr).toMatch(/Value too large/)
  const said = await text('explain', id, '--count', '1')
  expect(said).toContain(
    'came:    write of 16 sectors at sector 16384, which is offset 0 of zone 2',
  )
  expect(said).toContain('before:  zone 2 was empty, its write pointer at offset 0')
  expect(said).toMatch(/refused: .*active/i)
  expect(said).toMatch(/NVMe status 0x1bd Too Many Active Zones; the program got EOVERFLOW/)
  expect(said).toMatch(/to do: {3}\S/)
  const [refusal] = await json('explain', id, '--count', '64')
  expect(refusal).toMatchObject({
    op: 'write',
    startSector: 16384,
    sectors: 16,
    zone: 2,
    before: { condition: 'empty', writePointerSectors: 0 },
    status: 0x1bd,
    errno: 'EOVERFLOW',
  })
  const tooMany = await zslab('zone', 'open', id, '3')
  expect(tooMany.code).toBe(1)
  expect(tooMany.stderr).toContain('zslab explain')
  expect(await text('explain', id, '--count', '1')).toMatch(/came: {4}zone open/)
  expect((await write(device, 10 * BLOCK, BLOCK)).stderr).toMatch(/Input\/output error/)
  const misplaced = await text('explain', id, '--count', '1')
  expect(misplaced).toContain(
    'came:    write of 8 sectors at sector 80, which is offset 80 of zone 0',
  )
  expect(misplaced).toContain('before:  zone 0 was explicit-open, its write pointer at offset 0')
  expect(misplaced).toMatch(/NVMe status 0x1bc Zone Invalid Write; the program got EIO/)
  await text('device', 'delete', id)
})

it('device recover after kill -9 of the daemon', async () => {
  const device = await make('--zones', '8', '--zone-size', '4M')
  await mustWrite(device, 0, 16 * BLOCK)
  const read = (to: string) => ['dd', `if=${device.path}`, `of=${to}`, 'bs=64k', 'count=1'] as const
  const folder = mkdtempSync(join(tmpdir(), 'zslab-recover-'))
  const [before, after] = [join(folder, 'before'), join(folder, 'after')]
  await must('dd', [...read(before).slice(1), 'iflag=direct'])
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  const said = await text('device', 'recover', String(device.id))
  expect(said).toBe(`${device.path} recovered, served by pid ${await daemonPid()}\n`)
  expect(await daemonPid()).not.toBe(pid)
  await must('dd', [...read(after).slice(1), 'iflag=direct'])
  await must('cmp', [before, after])
  await mustWrite(device, 16 * BLOCK, BLOCK)
  await compareReports(device)
  // Asked again, of a device that is well: that is what it is.
  expect((await zslab('device', 'recover', String(device.id))).code).toBe(0)
  rmSync(folder, { recursive: true })
  await text('device', 'delete', String(device.id))
})

it('a daemon whose starter has gone (Ctrl-C) serves what it has adopted', async () => {
  const device = await create({ zones: 8, zoneSize: 4 * MIB })
  const pid = await daemonPid()
  process.kill(pid, 'SIGKILL')
  await gone(pid)
  const entry = new URL('../daemon/main.js', `file://${cliPath}`).pathname
  const child = spawn(process.execPath, [entry], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr!.on('data', chunk => (log += chunk))
  child.stdio[3]!.destroy()
  const isLive = async () => {
    if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}\n${log}`)
    const shown = await client.request('device.show', { id: device.id }).catch(() => null)
    return shown?.state === 'live' && shown.pid === child.pid && log.includes('daemon ready')
  }
  while (!(await isLive())) await tick()
  // The line is said after the log's; a request that is answered after it shows that the daemon went on.
  await mustWrite(device, 0, BLOCK)
  expect(await daemonPid()).toBe(child.pid)
  await remove(device)
  await client.request('shutdown', {})
  await gone(child.pid!)
})

it('a relative --socket is the same for the command and for its daemon', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-relative-'))
  const there = (command: string) =>
    must('sh', ['-c', `cd ${folder} && exec ${process.execPath} ${cliPath} ${command}`])
  const path = (await there('device create --zones 8 --zone-size 4M --socket here/z.sock')).trim()
  expect(existsSync(join(folder, 'here', 'z.sock'))).toBe(true)
  expect(await there('device list --socket here/z.sock')).toContain(path)
  const stopped = JSON.parse(await there('daemon --stop --json --socket here/z.sock'))
  await gone(stopped.pid)
  expect(existsSync(path)).toBe(false)
  rmSync(folder, { recursive: true })
})

it('a report of 16384 zones is whole and right', async () => {
  const size = ['--zones', '16384', '--zone-size', '64K']
  const device = await make(...size, '--max-open', '0', '--max-active', '0')
  const last = device.zones - 1
  await mustWrite(device, last * device.zoneSize, BLOCK)
  await mustWrite(device, 8191 * device.zoneSize, 2 * BLOCK)
  await text('zone', 'finish', String(device.id), '9000', '3')
  const lines = await must('sh', ['-c', `blkzone report ${device.path} | wc -l`])
  expect(Number(lines)).toBe(16384)
  await compareReports(device)
  const { zones } = await json('zone', 'report', device.path, '--condition', 'full')
  expect(zones.map((zone: { zone: number }) => zone.zone)).toEqual([9000, 9001, 9002])
  const [end] = (await json('zone', 'report', device.path, '--first', String(last))).zones
  expect(end).toMatchObject({ zone: last, startSector: last * 128, condition: 'implicit-open' })
  await text('device', 'delete', String(device.id))
})

describe('SIGTERM of the daemon', () => {
  it('under fio: the daemon ends, the device goes, fio is told', async () => {
    const device = await make('--zones', '16', '--zone-size', '16M', '--queues', '2')
    const { ended } = start('fio', [
      ...['--name=load', `--filename=${device.path}`, '--zonemode=zbd', '--direct=1'],
      ...['--ioengine=libaio', '--iodepth=16', '--rw=randrw', '--bs=4k', '--max_open_zones=8'],
      ...['--time_based', '--runtime=600'],
    ])
    const { id } = device
    const writes = async () => (await client.request('stats', { id })).counters.writes
    while ((await writes()) < 100) await tick()
    const pid = await daemonPid()
    const began = performance.now()
    process.kill(pid, 'SIGTERM')
    await gone(pid)
    process.stdout.write(`the daemon ended ${Math.round(performance.now() - began)} ms later\n`)
    expect((await ended).code).not.toBe(0)
    expect(existsSync(device.path)).toBe(false)
    expect(await json('device', 'list')).toEqual([])
  })

  it('with a mounted file system: the daemon ends, the next one goes on with the device', async context => {
    needs(context, { filesystem: 'f2fs', program: 'mkfs.f2fs' })
    const flags = ['--zones', '64', '--zone-size', '16M', '--conventional', '8']
    const device = await make(...flags, '--max-open', '0', '--max-active', '0')
    await must('mkfs.f2fs', ['-q', '-f', '-m', device.path])
    const mountPoint = mkdtempSync(join(tmpdir(), 'zslab-mnt-'))
    await must('mount', ['-t', 'f2fs', device.path, mountPoint])
    const refused = await zslab('device', 'delete', String(device.id))
    expect(refused.stderr).toContain(`is mounted on ${mountPoint}`)
    mkdirSync(join(mountPoint, 'folder'))
    const content = Buffer.alloc(3 * MIB, 'what must outlive the daemon ')
    writeFileSync(join(mountPoint, 'folder', 'file'), content)
    const pid = await daemonPid()
    process.kill(pid, 'SIGTERM')
    await gone(pid)
    expect(existsSync(device.path)).toBe(true)
    // What is in the page cache is written now, and waits for a daemon.
    const sync = start('sync', ['-f', mountPoint])
    expect(await json('device', 'show', String(device.id))).toMatchObject({ state: 'live' })
    expect((await sync.ended).code, daemonLog()).toBe(0)
    await must('umount', [mountPoint])
    await must('mount', ['-t', 'f2fs', device.path, mountPoint])
    expect(readFileSync(join(mountPoint, 'folder', 'file')).equals(content)).toBe(true)
    await must('umount', [mountPoint])
    rmdirSync(mountPoint)
    await text('device', 'delete', String(device.id))
  })
})
