/**
 * Where the bytes of an emulated drive live. A media knows offsets and lengths; it does not know zones.
 *
 * Every method gives at least 0, or -errno. What was never written, or was discarded since, reads as zeros.
 */
export interface Media {
  /** Size. Offsets and lengths lie within. */
  readonly bytes: number
  /** Fills all of `target`. Gives its length. */
  read(offsetBytes: number, target: Uint8Array): number
  /** Stores all of `source`. Gives its length. */
  write(offsetBytes: number, source: Uint8Array): number
  /** Throws bytes away: they read as zeros, and what they took is given back where that is possible. */
  discard(offsetBytes: number, lengthBytes: number): number
  /** As discard, of a range that will soon be written anew, as after a reset: memory may be kept ready for that. */
  recycle(offsetBytes: number, lengthBytes: number): number
  /** When it returns, what was written is as durable as this media can make it. */
  flush(): number
  /** Nothing may be called afterwards. */
  close(): void
}
