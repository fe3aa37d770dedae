/**
 * `npm run bench:zram`: our device beside the kernel's zram, of the same size and algorithm, on the same data, in one VM.
 *
 *   --mode icount    one CPU, virtual time of 1 ns a guest instruction (default); smp: two CPUs, in seconds
 *   --kernel SERIES  as `zslab vm` takes it
 *
 * Prints the memory that the data takes, and GB/s in and out: zram's, our device's (through ublk, a process and back), and our
 * media's alone. Goal: memory no more than zram's. --json FILE keeps all figures. dd reads what it writes from a file, which
 * hides what same-fill pages cost: `npm run bench:ublk -- --devices zram-lz4,zslab-lz4 --data fill` compares them with fio.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runGuest } from './guest.js'
import { printTable } from './table.js'
import type { Stored, ZramResult } from './zram-guest.js'

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'icount' },
    kernel: { type: 'string', default: '6.12' },
    json: { type: 'string' },
  },
})
const isCounted = values.mode === 'icount'
const vm = { kernel: values.kernel, isCounted }
const { kernel, bytes, stored } = await runGuest<ZramResult>('zram-guest.js', {}, vm)
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(stored, null, 1)}\n`)

const clock = isCounted ? 'guest instructions (icount), 1 CPU' : 'seconds, 2 CPUs'
console.log(`kernel ${kernel}, ${clock}; ${bytes >> 20} MiB of data on devices of 64 MiB`)
const find = (of: Stored, device: Stored['device']): Stored =>
  stored.find(
    row => row.data === of.data && row.algorithm === of.algorithm && row.device === device,
  )!
const kib = (count: number): string => (count / 1024).toFixed(0)
const rows = stored
  .filter(({ device }) => device === 'zram')
  .map(zram => ({ zram, ours: find(zram, 'zslab'), media: find(zram, 'media') }))

console.log('\nKiB of memory: of the data; of the data and what finds it (page map)')
printTable(
  ['data', 'algorithm', 'zram', 'zslab', 'ratio', 'zram+map', 'zslab+map', 'ratio'],
  rows.map(({ zram, ours }) => {
    const [theirs, own] = [zram.dataBytes + zram.mapBytes, ours.dataBytes + ours.mapBytes]
    const ratio = zram.dataBytes === 0 ? '-' : (ours.dataBytes / zram.dataBytes).toFixed(3)
    const both = (own / theirs).toFixed(3)
    const memory = [kib(zram.dataBytes), kib(ours.dataBytes), ratio, kib(theirs), kib(own), both]
    return [zram.data, zram.algorithm, ...memory]
  }),
)
console.log('\nGB/s in requests of 128 KiB, one at a time')
printTable(
  ['data', 'algorithm', 'zram in', 'zslab', 'media', 'zram out', 'zslab', 'media'],
  rows.map(({ zram, ours, media }) => [
    zram.data,
    zram.algorithm,
    ...[zram, ours, media].map(row => row.writeGBs.toFixed(2)),
    ...[zram, ours, media].map(row => row.readGBs.toFixed(2)),
  ]),
)
