/**
 * The media: where the bytes of a device are. Pages of 4 KiB, each of one kind: hole (zeros), same-fill (one 64-bit word
 * repeated, no memory), raw. See docs/BOUNDARY.md for the two files, `pages` and `data`.
 *
 * Guarantees: every result is >= 0 or -errno; a full file system gives -ENOSPC, never a signal; a process killed at any
 * moment leaves files that can be opened again, and what a finished call stored is there. Any number of threads may use one
 * media (each opens its own); calls that overlap in bytes and in time are the caller's to order.
 */
import { addon, type NativeMediaHandle, type NativeOutcome } from './addon.js'
import { UblkError } from './errors.js'

export interface MediaStats {
  /** Pages that take memory. */
  rawPages: number
  /** Pages that are one repeated word. */
  fillPages: number
  /** Pages that read as zeros and whose memory is kept for the next write: see MediaOptions.spareBytes. */
  sparePages: number
  /** Bytes of memory that raw and spare pages take. */
  memoryBytes: number
}

/** Offsets and lengths in bytes, of any alignment (whole pages are cheapest), within `bytes`; else -EINVAL. */
export interface NativeMedia {
  readonly bytes: number
  /** Fill `target`. Returns its length or -errno. */
  read(offsetBytes: number, target: Uint8Array): number
  /** Store `source`. Returns its length or -errno; after an error any part may have been stored. */
  write(offsetBytes: number, source: Uint8Array): number
  /** Make a range zeros and give its memory back. Returns 0 or -errno. */
  discard(offsetBytes: number, lengthBytes: number): number
  /** As discard, but up to `spareBytes` of memory stay with their pages: the kernel copies the next writes straight in. */
  recycle(offsetBytes: number, lengthBytes: number): number
  /** Make what was stored durable, where the files are on a disk. Returns 0 or -errno. */
  flush(): number
  stats(): MediaStats
  /** Idempotent. Memory stays mapped while a queue uses it; every later call returns -EBADF. */
  close(): void
}

export interface MediaOptions {
  /** Where `pages` and `data` are; null: anonymous memory that goes with the last user. */
  directory: string | null
  bytes: number
  /** Look for same-fill pages in what is written. */
  sameFill: boolean
  /**
   * How much memory recycle() may keep, over the whole media (default 0). It is given back when memory runs out: a write
   * gets -ENOSPC only when there is none left.
   */
  spareBytes?: number
  /** Make both files (what was there is lost), or open those that are there. */
  create: boolean
}

/**
 * Throws UblkError: ENOENT (no media there), EINVAL (made for another size, or not a media: the message says which),
 * ENOSPC, EACCES.
 */
export function openMedia(options: MediaOptions): NativeMedia {
  const { directory, bytes, sameFill, spareBytes = 0, create } = options
  const opened = addon().openMedia(directory, bytes, sameFill, spareBytes, create)
  if (isOutcome(opened)) {
    const where = directory ?? 'anonymous memory'
    throw new UblkError('open media', opened.result, `${where}: ${opened.syscall}`)
  }
  return opened
}

function isOutcome(value: NativeMediaHandle | NativeOutcome): value is NativeOutcome {
  return 'result' in value
}
