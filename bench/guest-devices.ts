/**
 * Inside the VM: the kinds of device that benches compare, one entry each in KINDS.
 *
 * Guarantees: a device that is made is empty and has `bytes` of room; `remove` leaves nothing of it.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDaemon, request, stateRoot } from '../daemon/client.js'

const MIB = 1024 * 1024
const CLI = new URL('../cli/index.js', import.meta.url).pathname
const NULL_TARGET = new URL('./null-target.js', import.meta.url).pathname
const TRACE = '/dev/shm/zslab-bench-trace'
const NULL_BLK = '/sys/kernel/config/nullb/bench'
const ZRAM = '/sys/class/zram-control'

export interface Shape {
  zones: number
  zoneMiB: number
  queues: number
}

export interface BenchDevice {
  path: string
  isZoned: boolean
  /** What the data takes, and what finds it (a page map): bytes of memory. */
  memory?: () => Promise<{ dataBytes: number; mapBytes: number }>
  /** Requests and turns of our workers up to now. */
  counters?: () => Promise<{ requests: number; turns: number }>
  /** Begin what has to go on while a cell is measured; resolves to what ends it. */
  during?: () => Promise<() => Promise<void>>
  remove(): Promise<void>
}

/** The VM's init has loaded the module; configfs is the one way to give a device zones at run time. */
async function nullBlk({ zones, zoneMiB, queues }: Shape): Promise<BenchDevice> {
  mkdirSync(NULL_BLK)
  const set = (name: string, value: number) => writeFileSync(`${NULL_BLK}/${name}`, String(value))
  set('size', zones * zoneMiB)
  set('blocksize', 4096)
  set('memory_backed', 1)
  set('zoned', 1)
  set('zone_size', zoneMiB)
  set('zone_max_open', 14)
  set('zone_max_active', 14)
  set('submit_queues', queues)
  set('hw_queue_depth', 128)
  set('queue_mode', 2)
  set('irqmode', 0)
  set('power', 1)
  const remove = async () => {
    set('power', 0)
    rmdirSync(NULL_BLK)
  }
  return { path: '/dev/bench', isZoned: true, remove }
}

async function ours(
  shape: Shape,
  options: Record<string, unknown> = {},
): Promise<BenchDevice & { id: number }> {
  await ensureDaemon()
  const { zones, zoneMiB, queues } = shape
  const geometry = { zones, zoneSize: zoneMiB * MIB, queues }
  const { id, path } = await request('device.create', { ...geometry, ...options })
  const pages = `${stateRoot()}/${id}/pages`
  return {
    id,
    path,
    isZoned: true,
    counters: async () => (await request('stats', { id })).counters,
    memory: async () => ({
      dataBytes: (await request('stats', { id })).media.memoryBytes,
      mapBytes: statSync(pages).blocks * 512,
    }),
    remove: async () => {
      await request('device.delete', { id })
    },
  }
}

/** In files, of the VM's root: a tmpfs. So this is what images cost, and not what a disk does. */
async function image(shape: Shape): Promise<BenchDevice> {
  const directory = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
  const device = await ours(shape, { image: join(directory, 'drive') })
  const remove = async () => {
    await device.remove()
    rmSync(directory, { recursive: true })
  }
  return { ...device, remove }
}

/** Answers and does nothing else: null-target.ts. */
async function ublkNull({ zones, zoneMiB, queues }: Shape): Promise<BenchDevice> {
  const directory = mkdtempSync('/dev/shm/zslab-bench-')
  const task = JSON.stringify({ zones, zoneSize: zoneMiB * MIB, queues })
  const target = spawn(process.execPath, [NULL_TARGET, task], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ZSLAB_STATE: directory },
  })
  const path = String((await once(target.stdout, 'data'))[0]).trim()
  const remove = async () => {
    target.kill('SIGTERM')
    await once(target, 'close')
    rmSync(directory, { recursive: true })
  }
  return { path, isZoned: true, remove }
}

/** Recorded by `zslab trace record`, a process of its own, while a cell runs: its file is in memory. */
async function traced(shape: Shape): Promise<BenchDevice> {
  const device = await ours(shape)
  const during = async () => {
    const args = [CLI, 'trace', 'record', String(device.id), '--output', TRACE]
    const recorder = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    recorder.stderr.pipe(process.stderr)
    await once(recorder.stderr, 'data')
    return async () => {
      recorder.kill('SIGINT')
      await once(recorder, 'close')
      rmSync(TRACE)
    }
  }
  return { ...device, during }
}

/** No zones: what is written again takes the place of what was there. */
async function zram({ zones, zoneMiB }: Shape, algorithm: string): Promise<BenchDevice> {
  execFileSync('modprobe', ['zram', 'num_devices=0'])
  const id = readFileSync(`${ZRAM}/hot_add`, 'utf8').trim()
  const sysfs = `/sys/block/zram${id}`
  const bytes = zones * zoneMiB * MIB
  writeFileSync(`${sysfs}/comp_algorithm`, algorithm)
  writeFileSync(`${sysfs}/disksize`, String(bytes))
  return {
    path: `/dev/zram${id}`,
    isZoned: false,
    memory: async () => {
      // Documentation/admin-guide/blockdev/zram.rst: orig_data_size compr_data_size mem_used_total ... Its table of pages, 16
      // bytes each (drivers/block/zram/zram_drv.h), is not in it.
      const words = readFileSync(`${sysfs}/mm_stat`, 'utf8').trim().split(/\s+/).map(Number)
      return { dataBytes: words[2]!, mapBytes: (bytes / 4096) * 16 }
    },
    remove: async () => writeFileSync(`${ZRAM}/hot_remove`, id),
  }
}

/** ZSTD at the level that zram takes (ZSTD_CLEVEL_DEFAULT), so that the two do the same work. */
const ZSTD = 'zstd:3'

export const KINDS: Readonly<Record<string, (shape: Shape) => Promise<BenchDevice>>> = {
  null_blk: nullBlk,
  zslab: shape => ours(shape),
  'zslab-image': image,
  'zslab-traced': traced,
  'ublk-null': ublkNull,
  'zslab-lz4': shape => ours(shape, { compression: 'lz4' }),
  'zslab-zstd': shape => ours(shape, { compression: ZSTD }),
  'zram-lz4': shape => zram(shape, 'lz4'),
  'zram-zstd': shape => zram(shape, 'zstd'),
}
