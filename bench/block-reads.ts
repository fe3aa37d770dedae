/**
 * Reads of single 4 KiB pages past the page cache: by io_uring (FileRing) and by libuv's pool, turn by turn in one run.
 *
 *     node dist/bench/block-reads.js PATH [MiB]
 *
 * PATH is a block device, or a file, which is made (256 MiB) if it is not there. Medians of five; CPU is all threads'.
 */
import { closeSync, constants, existsSync, openSync, writeSync } from 'node:fs'
import { AlignedMemory } from '../devices/index.js'
import { readAt } from '../devices/transfer.js'
import { FileRing } from '../ublk-native/index.js'

const PAGE = 4096
const RUNS = 5
const DEPTHS = [1, 32, 128]

const [path = '/var/tmp/zslab-block-reads', mib = '256'] = process.argv.slice(2)
const pages = (Number(mib) * 1024 * 1024) / PAGE
if (!existsSync(path)) {
  const fd = openSync(path, 'w')
  const piece = Buffer.alloc(1024 * 1024, 'zslab')
  for (let at = 0; at < Number(mib); at++) writeSync(fd, piece)
  closeSync(fd)
}
const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
const ring = FileRing.open(fd, 256)
const memory = new AlignedMemory()
const targets = Array.from({ length: Math.max(...DEPTHS) }, () => memory.allocate(PAGE))

type Read = (target: Uint8Array, offset: number) => Promise<number>
const WAYS: Readonly<Record<string, Read>> = {
  libuv: (target, offset) => readAt(fd, target, offset),
  io_uring: (target, offset) => ring.read(target, offset),
}

interface Figures {
  perSecond: number
  p50Us: number
  p99Us: number
  cpuUs: number
}

async function measure(read: Read, depth: number): Promise<Figures> {
  const count = depth === 1 ? 2000 : 20000
  const latencies: number[] = []
  let begun = 0
  const reader = async (target: Uint8Array) => {
    while (begun++ < count) {
      const offset = Math.floor(Math.random() * pages) * PAGE
      const start = performance.now()
      if ((await read(target, offset)) !== PAGE) throw new Error(`${path}: short at ${offset}`)
      latencies.push(performance.now() - start)
    }
  }
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(targets.slice(0, depth).map(reader))
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  return {
    perSecond: (count / ms) * 1000,
    p50Us: latencies[count >> 1]! * 1000,
    p99Us: latencies[Math.floor(count * 0.99)]! * 1000,
    cpuUs: (user + system) / count,
  }
}

function median(runs: readonly Figures[], name: keyof Figures): string {
  const sorted = runs.map(run => run[name]).sort((a, b) => a - b)
  return sorted[RUNS >> 1]!.toFixed(name === 'cpuUs' ? 1 : 0)
}

console.log('depth  way       reads/s   p50 us   p99 us  CPU us a read')
for (const depth of DEPTHS) {
  const runs = new Map(Object.keys(WAYS).map(way => [way, [] as Figures[]]))
  for (let run = 0; run < RUNS; run++)
    for (const [way, read] of Object.entries(WAYS)) runs.get(way)!.push(await measure(read, depth))
  for (const [way, figures] of runs) {
    const cells = [median(figures, 'perSecond'), median(figures, 'p50Us'), median(figures, 'p99Us')]
    const row = cells.map(cell => cell.padStart(8)).join(' ')
    console.log(
      `${String(depth).padStart(5)}  ${way.padEnd(8)} ${row} ${median(figures, 'cpuUs').padStart(8)}`,
    )
  }
}
ring.close()
closeSync(fd)
