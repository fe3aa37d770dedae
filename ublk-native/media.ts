/**
 * The media: where the bytes of a device are. Pages of 4 KiB, each of one kind: hole (zeros), same-fill (one 64-bit word
 * repeated, no memory), compressed, raw. See docs/BOUNDARY.md for the two files, `pages` and `data`.
 *
 * Guarantees: every result is >= 0 or -errno; a full file system gives -ENOSPC, never a signal; a process killed at any
 * moment leaves files that can be opened again, and what a finished call stored is there. Any number of threads may use one
 * media (each opens its own); calls that overlap in bytes and in time are the caller's to order.
 */
import { addon, type NativeMediaHandle, type NativeOutcome } from './addon.js'
import { UblkError } from './errors.js'
import { CODEC_LZ4, CODEC_NONE, CODEC_ZSTD, PAGE_BYTES } from './layout.js'

/** Pages and memory, in the words of zram's mm_stat. */
export interface PageStats {
  /** Pages that did not shrink enough, or were not compressed. */
  rawPages: number
  /** Pages that are one repeated word: no memory. */
  fillPages: number
  compressedPages: number
  /** Bytes that the compressed pages take. */
  compressedBytes: number
  /** Bytes of memory in all: what pages take, rounded up to what was reserved for them. */
  memoryBytes: number
  tier: TierStats
}

/** Pages in the tier, raw and compressed. They are not among rawPages and compressedPages. */
export interface TierStats {
  pages: number
  /** Bytes that these pages take there. */
  bytes: number
  /** Pages read from the tier, and written to it, since the media was made. */
  readPages: number
  writtenPages: number
}

export interface MediaStats extends PageStats {
  /** Of memoryBytes, what resets have kept for the next writes: see MediaOptions.spareBytes. */
  spareBytes: number
  /** One entry a region; one for all when there are none. */
  regions: RegionStats[]
}

export interface RegionStats extends PageStats {
  /** The slot of the tier that is this region's, from 1; 0: it has none. */
  slot: number
}

/** What a demotion did. */
export interface Demotion {
  /** 0 or -errno. -EAGAIN: the region was changed meanwhile, and none of these pages is in the tier. */
  result: number
  /** The page of the region to go on with. */
  next: number
  /** Bytes that were written to the tier. */
  bytes: number
}

/** Offsets and lengths in bytes, of any alignment (whole pages are cheapest), within `bytes`; else -EINVAL. */
export interface NativeMedia {
  readonly bytes: number
  /** How long a slot of the tier is: slot n begins at tierOffsetBytes + (n - 1) * slotBytes. A multiple of 4096. */
  readonly slotBytes: number
  /** Fill `target`. Returns its length or -errno; -EIO when stored bytes are damaged. */
  read(offsetBytes: number, target: Uint8Array): number
  /** Store `source`. Returns its length or -errno; after an error any part may have been stored. */
  write(offsetBytes: number, source: Uint8Array): number
  /**
   * Make a range zeros. In place its memory is given back; in a region only what was taken last can be taken again, the rest
   * comes back when the region is recycled. Returns 0 or -errno.
   */
  discard(offsetBytes: number, lengthBytes: number): number
  /** As discard. Whole regions begin anew: their memory is given back, but for up to `spareBytes` in all. */
  recycle(offsetBytes: number, lengthBytes: number): number
  /**
   * Move up to 1 MiB of pages of a region to the tier: those of the kinds in `kinds` (1 << PAGE_RAW, 1 << PAGE_COMPRESSED)
   * from page `first` of the region up to, and not with, page `end`. They go to slot `slot` (from 1), which must be the
   * region's, or free. Their memory stays until release(). Only one thread of all may call this, release() and dropSlot().
   */
  demote(region: number, slot: number, first: number, end: number, kinds: number): Demotion
  /**
   * Give the memory back that a region's pages in the tier had: each 4 KiB of it that hold nothing else. The caller makes sure
   * that every read which began before these pages were demoted has ended, and of an image that a commit says where they are.
   * Returns 0 or -errno.
   */
  release(region: number): number
  /**
   * Take a region's slot away, and throw away what is in it: of an image when a commit has no page of the region there any more.
   * Returns 0 or -errno; -EBUSY while pages are there.
   */
  dropSlot(region: number): number
  /** Of an image: what was stored in `data` is durable then. Returns 0 or -errno. */
  flush(): number
  /**
   * Give back the memory that recycle() has kept for the empty regions of a range. Of an image nothing else does: the old bytes
   * must stay until it is durable that the region is empty. Returns 0 or -errno.
   */
  trim(offsetBytes: number, lengthBytes: number): number
  stats(): MediaStats
  /** Idempotent. Memory stays mapped while a queue uses it; every later call returns -EBADF. */
  close(): void
}

export type Compression = 'none' | 'lz4' | 'zstd'

/** What a compression is called in the head of `pages`. */
export const CODECS: Readonly<Record<Compression, number>> = {
  none: CODEC_NONE,
  lz4: CODEC_LZ4,
  zstd: CODEC_ZSTD,
}

export interface MediaOptions {
  /** Where `pages` and `data` are; null: anonymous memory that goes with the last user. */
  directory: string | null
  /**
   * An image: `data` is in this directory, on a disk, and what is in it must be there after a power cut together with what a
   * copy of `pages` says (folder image). Then changes of `pages` are noted in the file `dirty` beside it, memory of emptied
   * regions is kept until trim(), and a discard of a part of a compressed or same-fill page does nothing.
   */
  dataDirectory?: string
  bytes: number
  /** A power of two: a region is written in order and emptied whole. 0 (default): everything is written in place. */
  regionBytes?: number
  /** The first so many bytes, whole regions, are written in place. They are not compressed. Default 0. */
  inPlaceBytes?: number
  /** Look for same-fill pages in what is written. */
  sameFill: boolean
  /** What pages in regions are compressed with; default none. */
  compression?: Compression
  /** ZSTD's level, 1 (default) to 22. */
  compressionLevel?: number
  /**
   * How much memory recycle() may keep, over the whole media (default 0). It is given back when memory runs out: a write
   * gets -ENOSPC only when there is none left.
   */
  spareBytes?: number
  /** A file or block device for demote(), at least as long as the slots that are used; null (default): none. */
  tier?: string | null
  /** Where the first slot begins in the tier: a multiple of 4096. Default 0. */
  tierOffsetBytes?: number
  /** How much memory pages may take; past it a write gets -ENOSPC. 0 (default): no limit. */
  limitBytes?: number
  /** Make both files (what was there is lost), or open those that are there. */
  create: boolean
}

/** The numbers of a region, in the order in which the addon writes them. */
const STATS_WORDS = 10

function pageStats(words: Float64Array): PageStats {
  return {
    rawPages: words[0]!,
    fillPages: words[1]!,
    compressedPages: words[2]!,
    compressedBytes: words[3]!,
    memoryBytes: words[4]!,
    tier: { pages: words[6]!, bytes: words[7]!, readPages: words[8]!, writtenPages: words[9]! },
  }
}

function readStats(native: NativeMediaHandle, options: MediaOptions): MediaStats {
  const { regionBytes = 0, inPlaceBytes = 0, bytes } = options
  const regionCount = regionBytes === 0 ? 1 : bytes / regionBytes
  const words = new Float64Array(regionCount * STATS_WORDS)
  const { usedBytes, spareBytes } = native.stats(words)
  const regions: RegionStats[] = []
  const sums = new Float64Array(STATS_WORDS)
  for (let index = 0; index < regionCount; index++) {
    const own = words.subarray(index * STATS_WORDS, (index + 1) * STATS_WORDS)
    const isInPlace = regionBytes === 0 || index * regionBytes < inPlaceBytes
    if (isInPlace) own[4] = own[0]! * PAGE_BYTES
    for (let i = 0; i < STATS_WORDS; i++) sums[i]! += own[i]!
    regions.push({ ...pageStats(own), slot: own[5]! })
  }
  return { ...pageStats(sums), memoryBytes: usedBytes, spareBytes, regions }
}

/**
 * Throws UblkError: ENOENT (no media there), EINVAL (made for another size, or not a media: the message says which),
 * ENOSPC, EACCES.
 */
export function openMedia(options: MediaOptions): NativeMedia {
  const { directory, dataDirectory = null, bytes, sameFill, create } = options
  const { regionBytes = 0, inPlaceBytes = 0, spareBytes = 0, limitBytes = 0 } = options
  const { compression = 'none', compressionLevel = 1, tier = null, tierOffsetBytes = 0 } = options
  const opened = addon().openMedia(
    directory,
    dataDirectory,
    sameFill,
    create,
    tier,
    bytes,
    regionBytes,
    inPlaceBytes,
    CODECS[compression],
    compressionLevel,
    spareBytes,
    limitBytes,
    tierOffsetBytes,
  )
  if (isOutcome(opened)) {
    const where = directory ?? 'anonymous memory'
    throw new UblkError('open media', opened.result, `${where}: ${opened.syscall}`)
  }
  return Object.assign(Object.create(opened), { stats: () => readStats(opened, options) })
}

function isOutcome(value: NativeMediaHandle | NativeOutcome): value is NativeOutcome {
  return 'result' in value
}

/**
 * Nanoseconds of CPU time that the media takes to store all of `pages` from `offsetBytes` on, in requests as long as `target`, or
 * (`isOut`) to load as much into it; or -errno. No way through JavaScript is in it.
 */
export function benchMedia(
  media: NativeMedia,
  pages: Uint8Array,
  target: Uint8Array,
  offsetBytes: number,
  isOut: boolean,
): number {
  const { handle } = media as unknown as NativeMediaHandle
  return addon().benchMedia(handle, pages, target, offsetBytes, isOut)
}

/** `scratch` has so many bytes for each page of `pages`; the last four are a length, see benchPages. */
export const SCRATCH_PAGE_BYTES = 2 * PAGE_BYTES

/**
 * Nanoseconds of CPU time that codecs take for all of `pages`, one after the other: the library by itself, compressing (`pack`)
 * and decompressing (`unpack`, what `pack` left in `scratch`), or ours, which tries to compress each page (`attempt`), or only
 * those that are likely to shrink (`estimate`). The packed bytes and their length, 0 for a page that did not shrink enough or
 * was not tried, are left in `scratch`.
 */
export function benchPages(
  kind: 'pack' | 'unpack' | 'attempt' | 'estimate',
  pages: Uint8Array,
  scratch: Uint8Array,
  compression: Exclude<Compression, 'none'>,
  level: number,
): number {
  return addon().benchPages(kind, pages, scratch, CODECS[compression], level)
}
