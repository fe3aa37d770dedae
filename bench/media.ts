/**
 * The media by itself, with no kernel in between: GB/s in and out and bytes of memory a page, for data of five sorts in
 * requests of 4 and 128 KiB, uncompressed, with LZ4 and with ZSTD.
 *
 * Beside it, in the same run, on the same pages: what liblz4 and libzstd do by themselves, memcpy, and (out, where pages are
 * same-fill) memset. Both sides are called from C++, slice by slice in turns, so that a slow moment of the machine falls on
 * both; which one goes first, and finds the slice's bytes out of the cache, changes from slice to slice. CPU time of the thread,
 * medians of ROUNDS.
 *
 * Run: node dist/bench/media.js [--json]
 */
import os from 'node:os'
import {
  benchMedia,
  benchNs,
  benchPages,
  type Compression,
  type NativeMedia,
  openMedia,
  PAGE_BYTES,
  SCRATCH_PAGE_BYTES,
} from '../ublk-native/index.js'
import { alignedBytes, SORTS } from './data.js'
import { median, printTable } from './table.js'

const ROUNDS = 7
const BYTES = 16 << 20
const SLICE_BYTES = 1 << 20
const REQUESTS = [4096, 131072] as const
const COMPRESSIONS: readonly Compression[] = ['none', 'lz4', 'zstd']
/** Of the libraries' own speed, and for same-fill pages of memcpy's and memset's. Nothing was promised for raw pages. */
const CODEC_GOAL = 0.9
const FILL_GOAL = 0.8

type Peer = 'memcpy' | 'memset' | 'liblz4' | 'libzstd'

/** One direction: medians of the rounds, the ratio of each round's two. */
interface Way {
  gigabytesPerSecond: number
  peer: Peer
  peerGigabytesPerSecond: number
  ratio: number
  goal: number | null
}

interface Row {
  data: string
  compression: Compression
  requestBytes: number
  in: Way
  out: Way
  memoryBytesAPage: number
}

class Measurement {
  readonly #media: NativeMedia
  readonly #bytes: Uint8Array
  readonly #compression: Compression
  /** Half a page off: copies between addresses that are equal in their low twelve bits are slow. */
  readonly #target: Uint8Array
  readonly #scratch = new Uint8Array((BYTES / PAGE_BYTES) * SCRATCH_PAGE_BYTES).fill(1)
  readonly #isFill: boolean

  constructor(data: string, bytes: Uint8Array, compression: Compression, requestBytes: number) {
    this.#bytes = bytes
    this.#compression = compression
    this.#target = alignedBytes(requestBytes + PAGE_BYTES).subarray(2048, 2048 + requestBytes)
    this.#isFill = data === 'zeros' || data === 'same-fill'
    this.#media = openMedia({
      directory: null,
      bytes: BYTES,
      regionBytes: BYTES,
      spareBytes: BYTES,
      sameFill: true,
      compression,
      create: true,
    })
  }

  #peer(isOut: boolean): Peer {
    if (this.#isFill) return isOut ? 'memset' : 'memcpy'
    return this.#compression === 'none' ? 'memcpy' : `lib${this.#compression}`
  }

  #ours(at: number, isOut: boolean): number {
    const slice = this.#bytes.subarray(at, at + SLICE_BYTES)
    return benchMedia(this.#media, slice, this.#target, at, isOut)
  }

  #theirs(at: number, isOut: boolean): number {
    const peer = this.#peer(isOut)
    const slice = this.#bytes.subarray(at, at + SLICE_BYTES)
    const scratchAt = (at / PAGE_BYTES) * SCRATCH_PAGE_BYTES
    const scratch = this.#scratch.subarray(scratchAt, scratchAt + 2 * SLICE_BYTES)
    if (peer === 'liblz4' || peer === 'libzstd') {
      const codec = peer === 'liblz4' ? 'lz4' : 'zstd'
      return benchPages(isOut ? 'unpack' : 'pack', slice, scratch, codec, 1)
    }
    const bytes = this.#target.length
    const calls = SLICE_BYTES / bytes
    return benchNs(peer, slice, isOut ? this.#target : scratch, bytes, calls, bytes) * calls
  }

  /** Nanoseconds of one pass over all bytes: the media's, its peer's. */
  #pass(isOut: boolean): [number, number] {
    let ours = 0
    let theirs = 0
    for (let at = 0, isFirst = true; at < BYTES; at += SLICE_BYTES, isFirst = !isFirst) {
      let ns = isFirst ? this.#ours(at, isOut) : 0
      const peerNs = this.#theirs(at, isOut)
      if (!isFirst) ns = this.#ours(at, isOut)
      if (ns < 0 || peerNs < 0) throw new Error(`the media gave ${ns}, its peer ${peerNs}`)
      ours += ns
      theirs += peerNs
    }
    return [ours, theirs]
  }

  #way(isOut: boolean, passes: readonly (readonly [number, number])[]): Way {
    const isCodec = this.#compression !== 'none' && !this.#isFill
    return {
      gigabytesPerSecond: median(passes.map(([ours]) => BYTES / ours)),
      peer: this.#peer(isOut),
      peerGigabytesPerSecond: median(passes.map(([, theirs]) => BYTES / theirs)),
      ratio: median(passes.map(([ours, theirs]) => theirs / ours)),
      goal: this.#isFill ? FILL_GOAL : isCodec ? CODEC_GOAL : null,
    }
  }

  run(): { in: Way; out: Way; memoryBytesAPage: number } {
    const passes = { in: [] as [number, number][], out: [] as [number, number][] }
    for (let round = 0; round <= ROUNDS; round++) {
      this.#media.recycle(0, BYTES)
      const into = this.#pass(false)
      const out = this.#pass(true)
      // The first round warms up.
      if (round === 0) continue
      passes.in.push(into)
      passes.out.push(out)
    }
    const { compressedBytes, rawPages } = this.#media.stats()
    this.#media.close()
    const memoryBytesAPage = (compressedBytes + rawPages * PAGE_BYTES) / (BYTES / PAGE_BYTES)
    return { in: this.#way(false, passes.in), out: this.#way(true, passes.out), memoryBytesAPage }
  }
}

const rows: Row[] = []
for (const [data, make] of Object.entries(SORTS)) {
  const bytes = make(BYTES)
  for (const compression of COMPRESSIONS)
    for (const requestBytes of REQUESTS) {
      const measured = new Measurement(data, bytes, compression, requestBytes).run()
      rows.push({ data, compression, requestBytes, ...measured })
    }
}

/** A ratio that is under its goal has a star. */
const ratioText = ({ ratio, goal }: Way): string =>
  `${ratio.toFixed(2)}${goal !== null && ratio < goal ? '*' : ' '}`

if (process.argv.includes('--json')) {
  console.log(
    JSON.stringify({ bench: 'media', node: process.version, cpu: os.cpus()[0]?.model, rows }),
  )
} else {
  console.log(
    `media, GB/s (medians of ${ROUNDS}); ratio to the peer on the same pages in the same run, with * under the goal`,
  )
  printTable(
    ['data', 'stored', 'request', 'in', 'ratio ', 'peer', 'out', 'ratio ', 'peer', 'bytes/page'],
    rows.map(row => [
      row.data,
      row.compression,
      `${row.requestBytes / 1024} KiB`,
      row.in.gigabytesPerSecond.toFixed(2),
      ratioText(row.in),
      row.in.peer,
      row.out.gigabytesPerSecond.toFixed(2),
      ratioText(row.out),
      row.out.peer,
      row.memoryBytesAPage.toFixed(0),
    ]),
  )
}
