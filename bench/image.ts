/**
 * How fast a drive in a folder (`--image DIR`) takes its bytes: GB/s of the media, beside write(2) of the same bytes, in requests
 * of the same length, to a file in the same folder. Both end in the page cache: a flush is the disk's time.
 *
 * Wall time, medians of ROUNDS, each side in turn; each round writes a file or region that is there already. (Reads hand the
 * page cache to the kernel, as of any device: bench/ublk.ts has them.)
 *
 * Run: node dist/bench/image.js [DIR]
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Compression, openMedia } from '../ublk-native/index.js'
import { SORTS } from './data.js'
import { median, printTable } from './table.js'

const ROUNDS = 7
const BYTES = 64 << 20
const REQUESTS = [4096, 131072] as const
const COMPRESSIONS: readonly Compression[] = ['none', 'lz4']
const DATA = ['random', 'text'] as const

/** GB/s of moving all bytes, request by request. */
function rate(requestBytes: number, move: (at: number) => number): number {
  const start = performance.now()
  for (let at = 0; at < BYTES; at += requestBytes) {
    const moved = move(at)
    if (moved !== requestBytes) throw new Error(`at ${at}: ${moved} of ${requestBytes} bytes`)
  }
  return BYTES / (performance.now() - start) / 1e6
}

/** A row of the table: ours, the file's, the ratio. */
function measure(directory: string, bytes: Uint8Array, stored: Compression, length: number) {
  const state = mkdtempSync(join('/dev/shm', 'zslab-bench-'))
  const media = openMedia({
    directory: state,
    dataDirectory: directory,
    bytes: BYTES,
    regionBytes: BYTES / 4,
    spareBytes: BYTES,
    sameFill: true,
    compression: stored,
    create: true,
  })
  const peer = openSync(join(directory, 'peer'), 'w')
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    media.recycle(0, BYTES)
    const mine = rate(length, at => media.write(at, bytes.subarray(at, at + length)))
    const file = rate(length, at => writeSync(peer, bytes, at, length, at))
    // The first round warms up.
    if (round === 0) continue
    ours.push(mine)
    theirs.push(file)
  }
  closeSync(peer)
  media.close()
  rmSync(state, { recursive: true })
  const ratios = ours.map((gigabytes, i) => gigabytes / theirs[i]!)
  return [ours, theirs, ratios].map(values => median(values).toFixed(2))
}

const parent = process.argv[2] ?? tmpdir()
const rows: string[][] = []
for (const data of DATA) {
  const bytes = SORTS[data]!(BYTES)
  for (const stored of COMPRESSIONS)
    for (const length of REQUESTS) {
      const directory = mkdtempSync(join(parent, 'zslab-bench-'))
      try {
        rows.push([
          data,
          stored,
          `${length / 1024} KiB`,
          ...measure(directory, bytes, stored, length),
        ])
      } finally {
        rmSync(directory, { recursive: true })
      }
    }
}
console.log(`an image in ${parent}, GB/s beside a file there (medians of ${ROUNDS})`)
printTable(['data', 'stored', 'request', 'GB/s', 'file', 'ratio'], rows)
