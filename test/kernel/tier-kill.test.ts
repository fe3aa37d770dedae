/**
 * kill -9 of the daemon while reads of the tier are under way: where the kernel lends (Linux 6.15), the tier's driver still fills the
 * request's own pages when the process that lent them is gone.
 *
 * The tier is null_blk with memory, each of whose requests takes 50 ms, so a kill meets reads there: they are in its count of
 * requests in flight before the kill and after it. fio verifies every block, during the kills and after them. A page that
 * stayed lent would be a request that never ends, or a device that cannot be deleted.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import {
  client,
  closeAll,
  copiedBytes,
  create,
  type Device,
  daemonLog,
  daemonPid,
  gone,
  isAtLeast,
  must,
  newKernelWarnings,
  remove,
  run,
  start,
  tick,
  zonedFio,
  zonedFioArguments,
} from './harness.js'
import { isSample } from './layouts.js'

const MIB = 1024 * 1024
const TIER_MIB = 64
const TIER_DELAY_NS = 50_000_000

afterEach(() => expect(newKernelWarnings()).toEqual([]))
afterAll(async () => expect(await closeAll()).toEqual([]))

/** A tier that takes its time; null where the kernel has no null_blk. */
async function slowTier(): Promise<{ path: string; remove(): void } | null> {
  if ((await run('modprobe', ['null_blk', 'nr_devices=0'])).code !== 0) return null
  await run('mount', ['-t', 'configfs', 'none', '/sys/kernel/config'])
  const folder = '/sys/kernel/config/nullb/slow0'
  mkdirSync(folder)
  const set = (name: string, value: number) => writeFileSync(`${folder}/${name}`, String(value))
  set('size', TIER_MIB)
  set('blocksize', 4096)
  set('memory_backed', 1)
  // NULL_IRQ_TIMER (drivers/block/null_blk/null_blk.h): requests end when their time is over.
  set('irqmode', 2)
  set('completion_nsec', TIER_DELAY_NS)
  set('power', 1)
  const index = readFileSync(`${folder}/index`, 'utf8').trim()
  const path = existsSync('/dev/slow0') ? '/dev/slow0' : `/dev/nullb${index}`
  while (!existsSync(path)) await tick()
  const remove = () => {
    set('power', 0)
    rmdirSync(folder)
  }
  return { path, remove }
}

/** Reads that a device has been given and has not answered. */
function readsInFlight(path: string): number {
  return Number(
    readFileSync(`/sys/block/${basename(path)}/inflight`, 'utf8')
      .trim()
      .split(/\s+/)[0],
  )
}

async function readsDone(device: Device): Promise<number> {
  return (await client.request('stats', { id: device.id })).counters.reads
}

/** Kill the daemon and start it again. Returns whether it was reading the tier when it died. */
async function killWhileReading(tier: string, ended: () => boolean): Promise<boolean> {
  const pid = await daemonPid()
  while (readsInFlight(tier) === 0 && !ended()) await tick()
  process.kill(pid, 'SIGKILL')
  const met = readsInFlight(tier) > 0
  await gone(pid)
  await client.ensureDaemon()
  return met
}

it.each([
  [isSample ? 2 : 5, 1],
  [isSample ? 1 : 2, 2],
])('%i kills in the middle of reads of a slow tier, %i queue(s)', async (kills, queues) => {
  const tier = await slowTier()
  if (tier === null) throw new Error('this kernel has no null_blk')
  const device = await create({
    zones: 8,
    zoneSize: 4 * MIB,
    queues,
    tier: tier.path,
    tierBudget: 0,
    tierAfter: 0,
  })
  const blocks = ['--size=16M', '--verify=crc32c', '--verify_interval=4k', '--verify_fatal=1']
  await zonedFio(device, ...blocks, '--rw=write', '--do_verify=0')
  const media = async () => (await client.request('stats', { id: device.id })).media
  while ((await media()).rawPages > 0) await tick()
  const before = (await media()).bdReads

  const job = [...blocks, '--rw=randread', '--bs=16k']
  const { ended } = start('fio', zonedFioArguments(device, ...job))
  let over = false
  void ended.then(() => {
    over = true
  })
  let met = 0
  while (met < kills && !over) {
    const done = await readsDone(device)
    while (!over && (await readsDone(device)) < done + 8) await tick()
    if (await killWhileReading(tier.path, () => over)) met++
    const info = await client.request('device.show', { id: device.id })
    expect(info.state, daemonLog()).toBe('live')
  }
  const { code, stdout, stderr } = await ended
  expect(code, `${stdout}\n${stderr}\n${daemonLog()}`).toBe(0)
  expect(met).toBe(kills)
  expect((await media()).bdReads - before).toBeGreaterThanOrEqual(4096)
  const pid = await daemonPid()
  const copied = copiedBytes(pid)
  await zonedFio(device, ...blocks, '--rw=read')
  // So those that were killed were loans, where the kernel lends.
  if (isAtLeast([6, 16])) expect(copiedBytes(pid) - copied).toBeLessThan(4 * MIB)
  await must('blkzone', ['reset', device.path])
  await remove(device)
  expect(readsInFlight(tier.path)).toBe(0)
  tier.remove()
})
