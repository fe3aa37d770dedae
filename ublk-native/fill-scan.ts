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
 * Nanoseconds of CPU time that one call of `kind` on `bytes` took, the mean of `iterations`, measured in C++. With `strideBytes` 0 it is
 * the same buffer each time (hot); else each call takes the buffer that far on in a 256 MiB arena (cold).
 */
export function benchNs(
  kind: 'scan' | 'fill' | 'memcpy' | 'memset' | `scan-${ScanVariant}` | `fill-${ScanVariant}`,
  bytes: number,
  iterations: number,
  strideBytes = 0,
): number {
  return addon().benchNs(kind, bytes, iterations, strideBytes)
}
