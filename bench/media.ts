/**
 * The media by itself, with no kernel in between: GB/s in and out and bytes of memory a page, for data of five sorts in
 * requests of 4 and 128 KiB, uncompressed, with LZ4 and with ZSTD.
 *
 * Beside them, in the same run on the same pages: what liblz4 and libzstd do by themselves, and memcpy and memset of buffers of
 * the request's size. Rounds of all of them take turns, so that a slow moment of the machine falls on all; medians of ROUNDS.
 *
 * Run: node dist/bench/media.js [--json]
 */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import {
  benchCodec,
  benchNs,
  type Compression,
  openMedia,
  PAGE_BYTES,
} from '../ublk-native/index.js'

const ROUNDS = 5
const BYTES = 16 << 20
const PAGES = BYTES / PAGE_BYTES
const REQUESTS = [4096, 131072] as const
const COMPRESSIONS: readonly Compression[] = ['none', 'lz4', 'zstd']

/** A generator of its own (xorshift32): the same bytes in each run. */
function randomBytes(length: number): Uint8Array {
  const words = new Uint32Array(length / 4)
  let state = 2463534242
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer)
}

/** The files' bytes, over and over. */
function repeated(...paths: string[]): Uint8Array {
  const source = Buffer.concat(paths.map(path => readFileSync(path)))
  const bytes = Buffer.alloc(BYTES)
  for (let at = 0; at < BYTES; at += source.length) source.copy(bytes, at, 0, BYTES - at)
  return bytes
}

const docs = ['README.md', 'docs/BOUNDARY.md', 'docs/ARCHITECTURE.md', 'docs/OPERATIONS.md']
const here = new URL('../../', import.meta.url).pathname
const DATA: Readonly<Record<string, Uint8Array>> = {
  zeros: new Uint8Array(BYTES),
  'same-fill': new Uint8Array(BYTES).fill(0xa5),
  text: repeated(...docs.map(path => here + path)),
  binary: repeated(process.execPath),
  random: randomBytes(BYTES),
}

interface Row {
  data: string
  compression: Compression
  requestBytes: number
  inGBs: number
  outGBs: number
  /** The library's own, of the same pages; memcpy in and memset out where nothing is compressed. */
  peer: string
  peerInGBs: number
  peerOutGBs: number
  memoryBytesAPage: number
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!
const now = (): number => performance.now() * 1e6

function measure(data: string, compression: Compression, requestBytes: number): Row {
  const bytes = DATA[data]!
  const media = openMedia({
    directory: null,
    bytes: BYTES,
    regionBytes: BYTES,
    spareBytes: BYTES,
    sameFill: true,
    compression,
    create: true,
  })
  const target = new Uint8Array(requestBytes)
  const times = { in: [] as number[], out: [] as number[] }
  const peers = { in: [] as number[], out: [] as number[] }
  let memoryBytesAPage = 0
  for (let round = 0; round <= ROUNDS; round++) {
    media.recycle(0, BYTES)
    const begin = now()
    for (let at = 0; at < BYTES; at += requestBytes)
      if (media.write(at, bytes.subarray(at, at + requestBytes)) < 0) throw new Error('write')
    const middle = now()
    for (let at = 0; at < BYTES; at += requestBytes)
      if (media.read(at, target) < 0) throw new Error('read')
    const end = now()
    const { compressedBytes, rawPages } = media.stats()
    memoryBytesAPage = (compressedBytes + rawPages * PAGE_BYTES) / PAGES
    const isFill = data === 'zeros' || data === 'same-fill'
    const isCodec = compression !== 'none' && !isFill
    const calls = BYTES / requestBytes
    const peerIn = isCodec
      ? benchCodec(bytes, compression, 1, false)
      : benchNs('memcpy', requestBytes, calls, requestBytes) * calls
    const peerOut = isCodec
      ? benchCodec(bytes, compression, 1, true)
      : benchNs(isFill ? 'memset' : 'memcpy', requestBytes, calls, 0) * calls
    // The first round warms up.
    if (round === 0) continue
    times.in.push(BYTES / (middle - begin))
    times.out.push(BYTES / (end - middle))
    peers.in.push(BYTES / peerIn)
    peers.out.push(BYTES / peerOut)
  }
  media.close()
  const isFill = data === 'zeros' || data === 'same-fill'
  return {
    data,
    compression,
    requestBytes,
    inGBs: median(times.in),
    outGBs: median(times.out),
    peer:
      compression !== 'none' && !isFill ? `lib${compression}` : isFill ? 'memcpy/memset' : 'memcpy',
    peerInGBs: median(peers.in),
    peerOutGBs: median(peers.out),
    memoryBytesAPage,
  }
}

const rows: Row[] = []
for (const data of Object.keys(DATA))
  for (const compression of COMPRESSIONS)
    for (const requestBytes of REQUESTS) rows.push(measure(data, compression, requestBytes))

if (process.argv.includes('--json')) {
  console.log(
    JSON.stringify({ bench: 'media', node: process.version, cpu: os.cpus()[0]?.model, rows }),
  )
} else {
  console.log(
    `media, GB/s (median of ${ROUNDS}; ratio to the peer on the same pages in the same run)`,
  )
  const head = ['data', 'stored', 'request', 'in', 'ratio', 'out', 'ratio', 'peer', 'bytes/page']
  const table = rows.map(row => [
    row.data,
    row.compression,
    `${row.requestBytes / 1024} KiB`,
    row.inGBs.toFixed(2),
    (row.inGBs / row.peerInGBs).toFixed(2),
    row.outGBs.toFixed(2),
    (row.outGBs / row.peerOutGBs).toFixed(2),
    row.peer,
    row.memoryBytesAPage.toFixed(0),
  ])
  const widths = head.map((name, i) => Math.max(name.length, ...table.map(row => row[i]!.length)))
  for (const row of [head, ...table])
    console.log(row.map((cell, i) => cell.padStart(widths[i]!)).join('  '))
}
