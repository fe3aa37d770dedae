/**
 * Inside the VM: the same fio jobs on our device and on null_blk with the same zones, cell by cell, one after the other.
 *
 * Prints one JSON object. Variants take turns within a round, so that what drifts (a busy host) falls on all of them.
 * Arguments: rounds, seconds a cell, queues, part of the cells' names.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { ensureDaemon, request } from '../daemon/client.js'

const MIB = 1024 * 1024
/** Before each cell's clock starts: V8 compiles the worker's loop on the same CPU. */
const RAMP_MS = 400
const ZONES = 16
const ZONE_MIB = 8
const NULL_BLK = '/sys/kernel/config/nullb/bench'

/** One question to a device. */
export interface Cell {
  name: string
  rw: 'randread' | 'read' | 'write'
  blockSize: string
  depth: number
}

/** Reads first: they need the zones full, as `fill` leaves them, and the writes begin with a reset of each zone. */
export const CELLS: readonly Cell[] = [
  { name: '4 KiB random read, depth 1', rw: 'randread', blockSize: '4k', depth: 1 },
  { name: '4 KiB random read, depth 32', rw: 'randread', blockSize: '4k', depth: 32 },
  { name: '128 KiB read, depth 8', rw: 'read', blockSize: '128k', depth: 8 },
  { name: '4 KiB sequential write, depth 1', rw: 'write', blockSize: '4k', depth: 1 },
  { name: '4 KiB sequential write, depth 32', rw: 'write', blockSize: '4k', depth: 32 },
  { name: '128 KiB write, depth 8', rw: 'write', blockSize: '128k', depth: 8 },
]

/** What the guest prints: I/O per second of each round, by cell, data and variant. */
export interface GuestResult {
  kernel: string
  queues: number
  iops: Record<string, number[]>
  /** Of our device: requests a turn of its workers, by cell and data. */
  batches: Record<string, number[]>
}

export type Data = 'random' | 'zero'

export const keyOf = (cell: Cell, data: Data, variant: string): string =>
  `${cell.name} | ${data} | ${variant}`

/** Every kernel has its modules loaded by the VM's init; a device by configfs is the one way to give it zones at run time. */
function makeNullBlk(queues: number): string {
  mkdirSync(NULL_BLK)
  const set = (name: string, value: number) => writeFileSync(`${NULL_BLK}/${name}`, String(value))
  set('size', ZONES * ZONE_MIB)
  set('blocksize', 4096)
  set('memory_backed', 1)
  set('zoned', 1)
  set('zone_size', ZONE_MIB)
  set('zone_max_open', 14)
  set('zone_max_active', 14)
  set('submit_queues', queues)
  set('hw_queue_depth', 128)
  set('queue_mode', 2)
  set('irqmode', 0)
  set('power', 1)
  return '/dev/bench'
}

function fio(path: string, cell: Cell, data: Data, seconds: number): number {
  const args = [
    '--name=cell',
    `--filename=${path}`,
    '--output-format=json',
    '--zonemode=zbd',
    '--direct=1',
    '--ioengine=io_uring',
    '--time_based',
    `--runtime=${Math.round(seconds * 1000)}ms`,
    `--ramp_time=${RAMP_MS}ms`,
    `--rw=${cell.rw}`,
    `--bs=${cell.blockSize}`,
    `--iodepth=${cell.depth}`,
    '--max_open_zones=1',
    `--size=${ZONES * ZONE_MIB}M`,
    '--norandommap',
    '--randrepeat=1',
    data === 'zero' ? '--zero_buffers' : '--scramble_buffers=0',
  ]
  const text = execFileSync('fio', args, { encoding: 'utf8', maxBuffer: 16 * MIB })
  const job = JSON.parse(text.slice(text.indexOf('{'))).jobs[0]
  return cell.rw === 'write' ? job.write.iops : job.read.iops
}

/** Every zone full, so that reads find data and every page has its memory. */
function fill(path: string, data: Data): void {
  execFileSync('blkzone', ['reset', path])
  const args = [
    '--name=fill',
    `--filename=${path}`,
    '--zonemode=zbd',
    '--direct=1',
    '--ioengine=psync',
    '--rw=write',
    '--bs=128k',
    `--size=${ZONES * ZONE_MIB}M`,
    data === 'zero' ? '--zero_buffers' : '--scramble_buffers=0',
  ]
  execFileSync('fio', args)
}

async function main(): Promise<void> {
  const [rounds = 5, seconds = 1, queues = 1] = process.argv.slice(2, 5).map(Number)
  const wanted = process.argv[5] ?? ''
  const cells = CELLS.filter(cell => cell.name.includes(wanted))
  await ensureDaemon()
  const variants: Record<string, string> = { null_blk: makeNullBlk(queues) }
  const options = { zones: ZONES, zoneSize: ZONE_MIB * MIB, queues }
  const device = await request('device.create', options)
  variants['zslab'] = device.path
  const counters = async () => (await request('stats', { id: device.id })).counters
  const iops: Record<string, number[]> = {}
  const batches: Record<string, number[]> = {}
  for (const data of ['random', 'zero'] as const) {
    for (const path of Object.values(variants)) fill(path, data)
    for (const cell of cells) {
      for (let round = 0; round < rounds; round++) {
        const before = await counters()
        for (const [variant, path] of Object.entries(variants)) {
          const key = keyOf(cell, data, variant)
          iops[key] ??= []
          iops[key].push(fio(path, cell, data, seconds))
          process.stderr.write(`${key}: ${Math.round(iops[key].at(-1)!)}\n`)
        }
        const after = await counters()
        const turns = after.turns - before.turns
        const key = keyOf(cell, data, 'zslab')
        batches[key] ??= []
        batches[key].push((after.requests - before.requests) / turns)
      }
    }
  }
  await request('shutdown', {})
  writeFileSync(`${NULL_BLK}/power`, '0')
  rmdirSync(NULL_BLK)
  const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()
  process.stdout.write(
    `${JSON.stringify({ kernel, queues, iops, batches } satisfies GuestResult)}\n`,
  )
}

if (process.argv[1] === new URL(import.meta.url).pathname) await main()
