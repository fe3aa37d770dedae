/**
 * How much memory of reset zones an image keeps on its disk for the next writes: these overwrite it, and need no new blocks, which
 * are more than half of what such a write costs (docs/BENCHMARKS.md).
 */
import type { MediaOptions } from '../ublk-native/index.js'

/** Nobody else can have what is kept, so it is a small part of what the disk has left. */
const SHARE_OF_FREE = 16

/**
 * Bytes that a commit may leave with zones that are empty: at most `spareBytes` of the media, and less where the disk has little
 * room. None with a limit, which counts what zones may take, or with a tier, which is there because memory is short.
 */
export function spareOfImage(
  {
    spareBytes = 0,
    limitBytes = 0,
    tier = null,
  }: Pick<MediaOptions, 'spareBytes' | 'limitBytes' | 'tier'>,
  freeBytes: number,
): number {
  if (limitBytes > 0 || tier !== null) return 0
  return Math.min(spareBytes, Math.floor(freeBytes / SHARE_OF_FREE))
}
