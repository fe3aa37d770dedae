/**
 * Inside the VM: one fio job on a device, with data of one sort.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const MIB = 1024 * 1024
/** Before each cell's clock starts: V8 compiles the worker's loop on the same CPU. */
const RAMP_MS = 400
/** With fewer requests than this a cell is measured again, for twice the time. */
const REQUESTS_MIN = 100
const ATTEMPTS = 5
const PATTERN = '/tmp/zslab-bench-pattern'

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

/**
 * What fio writes. `text`: of each 512 bytes 40 % are random and the rest is English text, the same each time; LZ4 makes about
 * half of it. (fio takes no longer text. `bench:zram` stores real texts.)
 */
export const DATA: Readonly<Record<string, readonly string[]>> = {
  random: ['--scramble_buffers=0'],
  zero: ['--zero_buffers'],
  fill: ['--buffer_pattern=0xa5'],
  text: [
    `--buffer_pattern='${PATTERN}'`,
    '--buffer_compress_percentage=60',
    '--buffer_compress_chunk=512',
  ],
}

export interface Target {
  path: string
  isZoned: boolean
}

function jobArguments({ path, isZoned }: Target, data: string, bytes: number): string[] {
  if (data === 'text') {
    const text =
      'A zone is written in order and emptied whole. Its write pointer says where the next write goes. '
    writeFileSync(PATTERN, text.repeat(6).slice(0, 512))
  }
  const zoned = isZoned ? ['--zonemode=zbd', '--max_open_zones=1'] : []
  return [
    '--name=cell',
    `--filename=${path}`,
    '--direct=1',
    `--size=${bytes / MIB}M`,
    ...zoned,
    ...DATA[data]!,
  ]
}

/** I/O per second of a cell, of at least REQUESTS_MIN requests. Throws Error when it cannot have so many. */
export function runCell(
  target: Target,
  cell: Cell,
  data: string,
  bytes: number,
  seconds: number,
): number {
  const args = [
    ...jobArguments(target, data, bytes),
    '--output-format=json',
    '--ioengine=io_uring',
    '--time_based',
    `--rw=${cell.rw}`,
    `--bs=${cell.blockSize}`,
    `--iodepth=${cell.depth}`,
    '--norandommap',
    '--randrepeat=1',
    `--ramp_time=${RAMP_MS}ms`,
  ]
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // The job before may have left a zone with less room than a block of this one. To fio it is the one zone that may be open:
    // it would write nothing at all.
    if (target.isZoned && cell.rw === 'write') execFileSync('blkzone', ['finish', target.path])
    const time = `--runtime=${Math.round(seconds * 1000) << attempt}ms`
    const text = execFileSync('fio', [...args, time], { encoding: 'utf8', maxBuffer: 16 * MIB })
    const job = JSON.parse(text.slice(text.indexOf('{'))).jobs[0]
    const { iops, total_ios: requests } = cell.rw === 'write' ? job.write : job.read
    if (requests >= REQUESTS_MIN) return iops
  }
  throw new Error(`${cell.name} on ${target.path}: fewer than ${REQUESTS_MIN} requests`)
}

/** Every byte written, so that reads find data and every page has its memory. */
export function fill(target: Target, data: string, bytes: number): void {
  if (target.isZoned) execFileSync('blkzone', ['reset', target.path])
  execFileSync('fio', [
    ...jobArguments(target, data, bytes),
    '--ioengine=psync',
    '--rw=write',
    '--bs=128k',
  ])
}
