/**
 * The same-fill scan by itself: is a buffer one 64-bit word, repeated? For tests and benches; queues use it inside.
 */
import { addon } from './addon.js'

export type ScanVariant = 'scalar' | 'avx2' | 'avx512' | 'best'

/** The variants that this processor can run; 'scalar' is always one. */
export function scanVariants(): ScanVariant[] {
  return addon().scanVariants() as ScanVariant[]
}

/**
 * Whether every aligned 8 bytes of the buffer equal its first 8; a tail shorter than 8 must equal the word's first bytes. A
 * buffer of up to 8 bytes is. Throws TypeError for a variant that this processor lacks.
 */
export function fillScan(buffer: Uint8Array, variant: ScanVariant = 'best'): boolean {
  return addon().fillScan(buffer, variant)
}

/** Fill with a 64-bit word given as two halves, little-endian; a tail takes its first bytes. */
export function fillBuffer(
  buffer: Uint8Array,
  low: number,
  high: number,
  variant: ScanVariant = 'best',
): void {
  addon().fillBuffer(buffer, low, high, variant)
}

/**
 * Nanoseconds of CPU time that one call of `kind` on `bytes` takes, the mean of `iterations`, measured in C++; or -errno. Each
 * call goes on `strideBytes` from the last one (0: the same bytes each time, hot in the cache), and over again at the end of
 * `source`. A `target` of `bytes` is the same for all calls; else it is as long as `source`. A scan of what is not same-fill
 * is -EIO.
 */
export function benchNs(
  kind: 'scan' | 'fill' | 'memcpy' | 'memset' | `scan-${ScanVariant}` | `fill-${ScanVariant}`,
  source: Uint8Array,
  target: Uint8Array,
  bytes: number,
  iterations: number,
  strideBytes: number,
): number {
  return addon().benchNs(kind, source, target, bytes, iterations, strideBytes)
}
