/**
 * A slab: one page with slots of one size class, read where it lies.
 *
 * ```
 *   0  as every page (layout.ts)
 *  14  u16  bytes of a slot
 *  16  u48  deadline that the others count from, in ms since the epoch; 0: nothing in the slab has one
 *  22  u8   slots                    23  u8  widths of the columns
 *  24  u8   bytes of every key       25  u8  slots of its size class, which is how long the bitmap is
 *  26  u16  bytes of every value
 *  28  bitmap of used slots; then for each slot what its record needs beside it; at the end of the page the slots, last one first
 * ```
 * What records of a slab have in common is said once. Columns are as wide as the records need: the length of a key (0 or 1
 * byte), what a record leaves free of its slot (0, 1, 2), and its deadline less the slab's (0 … 6). 28 records of 16 and 128
 * bytes that were written within 255 ms with one TTL take the whole page: 146.3 bytes each.
 *
 * The sequence is that of the moment when the slab was sealed. A copy of a key that is replaced while its slab is open never
 * reaches the drive; so of two copies there, the one in the slab with the higher sequence is the newer.
 *
 * A record begins its search for a slot where its hash says, so that a reader finds it after a few steps (linear probing, Knuth
 * 6.4) without a fingerprint beside it. Nothing here allocates.
 */
import { AT_SEQUENCE, PAGE_BYTES, readU16, readU32, readU48 } from './layout.js'
import { bitmapBytes, SLAB_HEADER_BYTES } from './size-classes.js'

export const AT_SLOT_BYTES = 14
export const AT_DEADLINE = 16
export const AT_SLOTS = 22
export const AT_WIDTHS = 23
export const AT_KEY_BYTES = 24
export const AT_CLASS_SLOTS = 25
export const AT_VALUE_BYTES = 26

/** The widths byte: 1 bit for keys, 2 for values, 3 for deadlines. */
export function packWidths(key: number, value: number, deadline: number): number {
  return key | (value << 1) | (deadline << 3)
}

export function keyWidthOf(widths: number): number {
  return widths & 1
}

export function valueWidthOf(widths: number): number {
  return (widths >>> 1) & 3
}

export function deadlineWidthOf(widths: number): number {
  return widths >>> 3
}

/** Bytes beside a slot. */
export function columnBytes(widths: number): number {
  return (widths & 1) + ((widths >>> 1) & 3) + (widths >>> 3)
}

/** Where the columns of `slot` begin. */
export function columnsAt(bytes: Uint8Array, base: number, slot: number): number {
  const bitmap = bitmapBytes(bytes[base + AT_CLASS_SLOTS]!)
  return base + SLAB_HEADER_BYTES + bitmap + slot * columnBytes(bytes[base + AT_WIDTHS]!)
}

/** Where the record in `slot` begins: its key, then its value. */
export function slotAt(bytes: Uint8Array, base: number, slot: number): number {
  return base + PAGE_BYTES - (slot + 1) * readU16(bytes, base + AT_SLOT_BYTES)
}

export function isUsed(bytes: Uint8Array, base: number, slot: number): boolean {
  return (bytes[base + SLAB_HEADER_BYTES + (slot >>> 3)]! & (1 << (slot & 7))) !== 0
}

/** Where the search for a slot begins. */
export function firstSlot(place: number, tag: number, slots: number): number {
  return (((place ^ (tag << 5)) & 0x3ffff) * slots) >>> 18
}

export function keyBytesOf(bytes: Uint8Array, base: number, slot: number): number {
  if ((bytes[base + AT_WIDTHS]! & 1) === 0) return bytes[base + AT_KEY_BYTES]!
  return bytes[columnsAt(bytes, base, slot)]!
}

export function valueBytesOf(bytes: Uint8Array, base: number, slot: number): number {
  const widths = bytes[base + AT_WIDTHS]!
  const width = valueWidthOf(widths)
  if (width === 0) return readU16(bytes, base + AT_VALUE_BYTES)
  const at = columnsAt(bytes, base, slot) + keyWidthOf(widths)
  const free = width === 1 ? bytes[at]! : readU16(bytes, at)
  return readU16(bytes, base + AT_SLOT_BYTES) - keyBytesOf(bytes, base, slot) - free
}

/** Milliseconds since the epoch, or Infinity. */
export function deadlineOf(bytes: Uint8Array, base: number, slot: number): number {
  const first = readU48(bytes, base + AT_DEADLINE)
  if (first === 0) return Number.POSITIVE_INFINITY
  const widths = bytes[base + AT_WIDTHS]!
  const width = deadlineWidthOf(widths)
  if (width === 0) return first
  const at = columnsAt(bytes, base, slot) + keyWidthOf(widths) + valueWidthOf(widths)
  return first + readUint(bytes, at, width)
}

function readUint(bytes: Uint8Array, at: number, width: number): number {
  if (width === 1) return bytes[at]!
  let value = 0
  for (let index = width - 1; index >= 0; index--) value = value * 256 + bytes[at + index]!
  return value
}

export function sequenceOf(bytes: Uint8Array, base: number): number {
  return readU48(bytes, base + AT_SEQUENCE)
}

/** The slot of the record with this key, or -1. The search begins where the hash says and skips the slot `except`. */
export function findSlot(
  bytes: Uint8Array,
  base: number,
  key: Uint8Array,
  keyBytes: number,
  place: number,
  tag: number,
  except: number,
): number {
  const slots = bytes[base + AT_SLOTS]!
  const slotBytes = readU16(bytes, base + AT_SLOT_BYTES)
  const widths = bytes[base + AT_WIDTHS]!
  const isMixed = (widths & 1) !== 0
  if (!isMixed && bytes[base + AT_KEY_BYTES] !== keyBytes) return -1
  const columns = columnBytes(widths)
  const columnBase = columnsAt(bytes, base, 0)
  let slot = firstSlot(place, tag, slots)
  for (let left = slots; left > 0; left--) {
    const isCandidate =
      isUsed(bytes, base, slot) &&
      slot !== except &&
      (!isMixed || bytes[columnBase + slot * columns] === keyBytes)
    if (isCandidate && hasKey(bytes, base + PAGE_BYTES - (slot + 1) * slotBytes, key, keyBytes)) {
      return slot
    }
    slot = slot + 1 === slots ? 0 : slot + 1
  }
  return -1
}

/** From the end: keys of one kind begin alike. */
export function hasKey(bytes: Uint8Array, at: number, key: Uint8Array, keyBytes: number): boolean {
  for (let index = keyBytes - 1; index >= 0; index--) {
    if (bytes[at + index] !== key[index]) return false
  }
  return true
}

export function usedCount(bytes: Uint8Array, base: number): number {
  return usedBelow(bytes, base, bytes[base + AT_SLOTS]!)
}

/** How many slots before `slot` are used: the number of a record among those of its slab. */
export function usedBelow(bytes: Uint8Array, base: number, slot: number): number {
  let count = 0
  for (let index = 0; index < slot; index++) if (isUsed(bytes, base, index)) count++
  return count
}

/** Longest deadline in the slab; Infinity without, -Infinity when it is empty. */
export function lastDeadlineOf(bytes: Uint8Array, base: number): number {
  const slots = bytes[base + AT_SLOTS]!
  let last = Number.NEGATIVE_INFINITY
  for (let slot = 0; slot < slots; slot++) {
    if (isUsed(bytes, base, slot)) last = Math.max(last, deadlineOf(bytes, base, slot))
  }
  return last
}

/** The widths of its columns, that of deadlines no wider than they need: what a pause made wide must not stay so. */
export function widthsNeeded(bytes: Uint8Array, base: number): number {
  const widths = bytes[base + AT_WIDTHS]!
  if (deadlineWidthOf(widths) < 2) return widths
  const spread = lastDeadlineOf(bytes, base) - readU48(bytes, base + AT_DEADLINE)
  let width = 1
  while (width < deadlineWidthOf(widths) && spread >= 2 ** (8 * width)) width++
  return packWidths(keyWidthOf(widths), valueWidthOf(widths), width)
}

/** Whether the header's numbers are those of a slab, whoever wrote the page: a checksum can be right and the writer wrong. */
export function isPossibleSlab(bytes: Uint8Array, base: number): boolean {
  const slots = bytes[base + AT_SLOTS]!
  const classSlots = bytes[base + AT_CLASS_SLOTS]!
  const slotBytes = readU16(bytes, base + AT_SLOT_BYTES)
  const widths = bytes[base + AT_WIDTHS]!
  const head = SLAB_HEADER_BYTES + bitmapBytes(classSlots) + slots * columnBytes(widths)
  if (slots > classSlots || valueWidthOf(widths) > 2 || deadlineWidthOf(widths) > 6) return false
  return head + slots * slotBytes <= PAGE_BYTES && readU32(bytes, base) !== 0
}
