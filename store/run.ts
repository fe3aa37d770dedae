/**
 * A run: an object too long for a slab, in pages of its own that are read and written at once.
 *
 * ```
 *   0  as every page (layout.ts); the checksum is of the whole run
 *  14  u16 bytes of the key   16  u48 deadline in ms since the epoch, 0: none   24  u32 bytes of the value
 *  32  the key, then the value
 * ```
 */
import {
  AT_CRC,
  AT_MAGIC,
  beginPage,
  KIND_RUN,
  kindOf,
  PAGE_BYTES,
  PAGE_MAGIC,
  readU16,
  readU32,
  readU48,
  sealPage,
  writeU16,
  writeU32,
  writeU48,
} from './layout.js'

const AT_RUN_KEY_BYTES = 14
const AT_RUN_DEADLINE = 16
const AT_RUN_VALUE_BYTES = 24
export const RUN_HEADER_BYTES = 32

export function runPages(keyBytes: number, valueBytes: number): number {
  return Math.ceil((RUN_HEADER_BYTES + keyBytes + valueBytes) / PAGE_BYTES)
}

/** Writes a run into `bytes`, which is all of its pages. */
export function writeRun(
  bytes: Uint8Array,
  sequence: number,
  key: Uint8Array,
  value: Uint8Array,
  deadlineMs: number,
): void {
  const end = RUN_HEADER_BYTES + key.length + value.length
  beginPage(bytes, 0, KIND_RUN, sequence)
  writeU16(bytes, AT_RUN_KEY_BYTES, key.length)
  writeU48(bytes, AT_RUN_DEADLINE, Number.isFinite(deadlineMs) ? deadlineMs : 0)
  writeU32(bytes, AT_RUN_VALUE_BYTES, value.length)
  bytes.set(key, RUN_HEADER_BYTES)
  bytes.set(value, RUN_HEADER_BYTES + key.length)
  bytes.fill(0, end)
  sealPage(bytes, 0, end)
}

/** Whether a page says that a run begins there; {@link isWholeRun} knows better. */
export function isRunStart(bytes: Uint8Array, base: number): boolean {
  return readU16(bytes, base + AT_MAGIC) === PAGE_MAGIC && bytes[base + 7] === KIND_RUN
}

/** `bytes` from `base` on are all pages of the run. */
export function isWholeRun(bytes: Uint8Array, base: number): boolean {
  const length =
    RUN_HEADER_BYTES + runKeyBytes(bytes, base) + readU32(bytes, base + AT_RUN_VALUE_BYTES)
  if (base + length > bytes.length) return false
  return readU32(bytes, base + AT_CRC) !== 0 && kindOf(bytes, base, length) === KIND_RUN
}

export function runKeyBytes(bytes: Uint8Array, base: number): number {
  return readU16(bytes, base + AT_RUN_KEY_BYTES)
}

export function runValueBytes(bytes: Uint8Array, base: number): number {
  return readU32(bytes, base + AT_RUN_VALUE_BYTES)
}

/** Milliseconds since the epoch, or Infinity. */
export function runDeadline(bytes: Uint8Array, base: number): number {
  return readU48(bytes, base + AT_RUN_DEADLINE) || Number.POSITIVE_INFINITY
}

/** Pages that the header of a run says it has. */
export function runPagesAt(bytes: Uint8Array, base: number): number {
  return runPages(runKeyBytes(bytes, base), runValueBytes(bytes, base))
}
