/**
 * Size classes: how many slots a slab has, and so how long its slots are.
 *
 * A class is named by its count of slots, because that is what a page can be divided by: a slot is as long as the page
 * allows when each record needs one byte beside its slot (the usual case: see slab.ts). Neighbours lie 3 … 13 % apart as
 * long as whole numbers of slots allow; from 675 bytes on the page itself sets the steps.
 */
import { PAGE_BYTES } from './layout.js'

/** Bytes of a slab before its bitmap. */
export const SLAB_HEADER_BYTES = 28

/** Slots of a slab, class by class: of 32, 64, 128, 256, 512 … bytes, and finer ones between. */
const SLOT_COUNTS = [
  ...[120, 106, 94, 84, 76, 69, 62, 58, 54, 50, 47, 44, 41, 38, 36, 34, 32, 31, 30, 28, 27, 25, 24],
  ...[22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
]

/** Slabs of slots of more than 500 and 250 bytes. */
const FEW_SLOTS = 7
const SOME_SLOTS = 15

/** Most slots that a slab has. */
export const SLOTS_MAX = SLOT_COUNTS[0]!

export const SIZE_CLASS_COUNT = SLOT_COUNTS.length

/** Slots of a slab, by class. */
export const slotCountOf = Uint8Array.from(SLOT_COUNTS)

export function bitmapBytes(slots: number): number {
  return (slots + 7) >>> 3
}

/**
 * Bytes beside each slot that a class leaves room for: a deadline, and where a slab has few slots, which is where it costs least,
 * two for what a slot has free, one for the key's length and two for the deadline.
 */
function columnsOf(slots: number): number {
  if (slots === 1) return 1
  if (slots <= FEW_SLOTS) return 5
  return slots <= SOME_SLOTS ? 4 : 1
}

/** Bytes of a slot, by class. */
export const slotBytesOf = Uint16Array.from(SLOT_COUNTS, slots => {
  const beside = slots * columnsOf(slots)
  return Math.floor((PAGE_BYTES - SLAB_HEADER_BYTES - bitmapBytes(slots) - beside) / slots)
})

/** The longest record (key and value) that goes into a slab; longer ones are runs of pages. */
export const SLOT_BYTES_MAX = slotBytesOf[SIZE_CLASS_COUNT - 1]!

const classOfBytes = new Uint8Array(SLOT_BYTES_MAX + 1)
for (let bytes = 0, size = 0; bytes <= SLOT_BYTES_MAX; bytes++) {
  while (slotBytesOf[size]! < bytes) size++
  classOfBytes[bytes] = size
}

/** The class of the shortest slots that hold a record of `bytes`, at most {@link SLOT_BYTES_MAX}. */
export function sizeClassOf(bytes: number): number {
  return classOfBytes[bytes]!
}
