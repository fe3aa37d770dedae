/**
 * What the estimate saves and loses: the codec passes over pages that will hardly shrink (ublk-native/src/codec.cc).
 *
 * Each sort of data is packed twice, page by page: with every page tried, and with the estimate, in turns, in one run. Saved is
 * time; lost are pages that were not tried and would have shrunk to 3/4, and the bytes of memory that this costs.
 *
 * Run: node dist/bench/estimate.js [--json]
 */
import os from 'node:os'
import { benchPages, PAGE_BYTES, SCRATCH_PAGE_BYTES } from '../ublk-native/index.js'
import { MIXTURES, SORTS } from './data.js'
import { median, printTable } from './table.js'

const ROUNDS = 7
const BYTES = 16 << 20

interface Row {
  data: string
  compression: 'lz4' | 'zstd'
  /** Times of packing all pages, with the estimate and with each page tried: median of the rounds' ratios. */
  timeRatio: number
  pages: number
  /** Pages that would have shrunk, and were stored as they are. */
  lostPages: number
  /** Bytes stored with each page tried, and how many more with the estimate. */
  storedBytes: number
  lostBytes: number
}

function packedPages(scratch: Uint8Array): { pages: number; bytes: number } {
  const words = new Uint32Array(scratch.buffer)
  let pages = 0
  let bytes = 0
  for (let at = SCRATCH_PAGE_BYTES / 4 - 1; at < words.length; at += SCRATCH_PAGE_BYTES / 4) {
    pages += words[at] === 0 ? 0 : 1
    bytes += words[at] === 0 ? PAGE_BYTES : words[at]!
  }
  return { pages, bytes }
}

function measure(data: string, bytes: Uint8Array, compression: 'lz4' | 'zstd'): Row {
  const scratch = new Uint8Array((bytes.length / PAGE_BYTES) * SCRATCH_PAGE_BYTES)
  const ratios: number[] = []
  let all = packedPages(scratch)
  let likely = all
  for (let round = 0; round < ROUNDS; round++) {
    const without = benchPages('attempt', bytes, scratch, compression, 1)
    all = packedPages(scratch)
    const withIt = benchPages('estimate', bytes, scratch, compression, 1)
    likely = packedPages(scratch)
    ratios.push(withIt / without)
  }
  return {
    data,
    compression,
    timeRatio: median(ratios),
    pages: bytes.length / PAGE_BYTES,
    lostPages: all.pages - likely.pages,
    storedBytes: all.bytes,
    lostBytes: likely.bytes - all.bytes,
  }
}

const rows: Row[] = []
for (const [data, make] of Object.entries({ ...SORTS, ...MIXTURES })) {
  // Same-fill pages do not come to the codec.
  if (data === 'zeros' || data === 'same-fill') continue
  const bytes = make(BYTES)
  if (bytes === null) process.stderr.write(`${data}: not measured, mkfs.ext4 is missing\n`)
  else for (const codec of ['lz4', 'zstd'] as const) rows.push(measure(data, bytes, codec))
}

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ bench: 'estimate', rounds: ROUNDS, cpu: os.cpus()[0]?.model, rows }))
} else {
  console.log(`the estimate: time of packing with it / with each page tried (median of ${ROUNDS})`)
  printTable(
    ['data', 'codec', 'time', 'pages', 'lost pages', 'lost bytes', 'of stored'],
    rows.map(row => [
      row.data,
      row.compression,
      row.timeRatio.toFixed(2),
      String(row.pages),
      String(row.lostPages),
      String(row.lostBytes),
      `${((row.lostBytes / row.storedBytes) * 100).toFixed(2)} %`,
    ]),
  )
}
