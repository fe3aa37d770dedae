/**
 * A slab that takes records: allocation of slots by its bitmap, and columns that widen when a record needs it.
 *
 * The page is a whole slab after every step, so it is read by the same code as one on the drive (slab.ts). Hot: nothing
 * here allocates, throws or awaits. Deadlines come in a Float64Array (cells.ts).
 */
import { DEADLINE } from './cells.js'
import { beginPage, KIND_SLAB, PAGE_BYTES, readU16, readU48, writeU16, writeU48 } from './layout.js'
import {
  bitmapBytes,
  SLAB_HEADER_BYTES,
  SLOTS_MAX,
  slotBytesOf,
  slotCountOf,
} from './size-classes.js'
import {
  AT_CLASS_SLOTS,
  AT_DEADLINE,
  AT_KEY_BYTES,
  AT_SLOT_BYTES,
  AT_SLOTS,
  AT_VALUE_BYTES,
  AT_WIDTHS,
  columnBytes,
  deadlineOf,
  deadlineWidthOf,
  firstSlot,
  isUsed,
  keyBytesOf,
  keyWidthOf,
  packWidths,
  slotAt,
  usedCount,
  valueBytesOf,
  valueWidthOf,
} from './slab.js'
import type { Stage } from './stage.js'

// While columns are written anew.
const keyLengths = new Uint8Array(SLOTS_MAX)
const valueLengths = new Uint16Array(SLOTS_MAX)
const deadlines = new Float64Array(SLOTS_MAX)

/** By width of their column: what differences of deadlines are below. */
const DELTAS = Float64Array.from({ length: 7 }, (_, width) => 256 ** width)

/** Of `takeAsItIs`. */
const FULL = -1
const CHANGES = -2

/** How many slots a page has when `columns` bytes stand beside each. */
function slotsThatFit(slotBytes: number, classSlots: number, columns: number): number {
  const room = PAGE_BYTES - SLAB_HEADER_BYTES - bitmapBytes(classSlots)
  const fit = (room / (slotBytes + columns)) | 0
  return fit < classSlots ? fit : classSlots
}

/** Makes an empty slab of a page. `widths` are what slabs of its kind have needed lately. */
export function beginSlab(stage: Stage, page: number, sizeClass: number, widths: number): void {
  const { bytes } = stage
  const base = page * PAGE_BYTES
  bytes.fill(0, base, base + PAGE_BYTES)
  beginPage(bytes, base, KIND_SLAB, 0)
  const slotBytes = slotBytesOf[sizeClass]!
  const classSlots = slotCountOf[sizeClass]!
  writeU16(bytes, base + AT_SLOT_BYTES, slotBytes)
  bytes[base + AT_CLASS_SLOTS] = classSlots
  bytes[base + AT_WIDTHS] = widths
  bytes[base + AT_SLOTS] = slotsThatFit(slotBytes, classSlots, columnBytes(widths))
}

/** A free slot from `first` on, around; -1 when there is none. */
function freeSlot(bytes: Uint8Array, base: number, first: number, slots: number): number {
  let slot = freeWithin(bytes, base, first, slots)
  if (slot < 0) slot = freeWithin(bytes, base, 0, first)
  return slot
}

/** The first clear bit of the bitmap in [from, end): a byte at a time, by counting trailing zeros. */
function freeWithin(bytes: Uint8Array, base: number, from: number, end: number): number {
  for (let at = from >>> 3; at << 3 < end; at++) {
    let free = ~bytes[base + SLAB_HEADER_BYTES + at]! & 0xff
    if (at === from >>> 3) free &= 0xff << (from & 7)
    if (free === 0) continue
    const slot = (at << 3) + lowestBit(free)
    return slot < end ? slot : -1
  }
  return -1
}

/** Bytes that a number takes, at most 6. */
function widthOf(value: number): number {
  if (value < 1) return 0
  if (value < 2 ** 8) return 1
  if (value < 2 ** 16) return 2
  if (value < 2 ** 24) return 3
  if (value < 2 ** 32) return 4
  return value < 2 ** 40 ? 5 : 6
}

function writeUint(view: DataView, at: number, width: number, value: number): void {
  let rest = value
  for (let index = 0; index < width; index++) {
    const high = Math.floor(rest / 256)
    view.setUint8(at + index, rest - high * 256)
    rest = high
  }
}

/**
 * Finds a slot for a record and writes all but its bytes: its deadline is in the cells, Infinity for none (then
 * every record of the slab has none). Gives the slot, or -1: the slab takes it no more.
 */
export function takeSlot(
  stage: Stage,
  page: number,
  keyBytes: number,
  valueBytes: number,
  place: number,
  tag: number,
  cells: Float64Array,
): number {
  const { bytes, view } = stage
  const base = page * PAGE_BYTES
  if (bytes[base + AT_KEY_BYTES] === 0) beginRecords(view, base, keyBytes, valueBytes, cells)
  let slot = takeAsItIs(view, base, keyBytes, valueBytes, place, tag, cells)
  if (slot === CHANGES) {
    if (!fitColumns(stage, page, keyBytes, valueBytes, cells)) return -1
    const slots = bytes[base + AT_SLOTS]!
    slot = freeSlot(bytes, base, firstSlot(place, tag, slots), slots)
    if (slot < 0) return -1
    bytes[base + SLAB_HEADER_BYTES + (slot >>> 3)]! |= 1 << (slot & 7)
    writeColumns(view, base, slot, keyBytes, valueBytes, cells[DEADLINE]!)
  }
  if (slot < 0) return -1
  stage.places[page * SLOTS_MAX + slot] = place
  stage.tags[page * SLOTS_MAX + slot] = tag
  return slot
}

/** What the first record says for all. No key has 0 bytes: that is a slab that never had one. */
function beginRecords(
  view: DataView,
  base: number,
  keyBytes: number,
  valueBytes: number,
  cells: Float64Array,
): void {
  const deadline = cells[DEADLINE]!
  const time = deadline === Number.POSITIVE_INFINITY ? 0 : deadline
  view.setUint8(base + AT_KEY_BYTES, keyBytes)
  view.setUint16(base + AT_VALUE_BYTES, valueBytes, true)
  const high = Math.floor(time / 2 ** 32)
  view.setUint32(base + AT_DEADLINE, time - high * 2 ** 32, true)
  view.setUint16(base + AT_DEADLINE + 4, high, true)
}

/**
 * As `takeSlot`, of a slab that takes such a record without a change of its columns, which most do: the header is read once, by
 * words. FULL, or CHANGES: nothing was done, and it is to be seen whether columns can change, or there are more slots than bits
 * of a word.
 */
function takeAsItIs(
  view: DataView,
  base: number,
  keyBytes: number,
  valueBytes: number,
  place: number,
  tag: number,
  cells: Float64Array,
): number {
  const head = view.getInt32(base + AT_SLOTS, true)
  const slots = head & 0xff
  const widths = (head >>> 8) & 0xff
  const deadlineWidth = deadlineWidthOf(widths)
  if (slots > 32 || deadlineWidth > 3) return CHANGES
  if (keyWidthOf(widths) === 0 && keyBytes !== ((head >>> 16) & 0xff)) return CHANGES
  const valueWidth = valueWidthOf(widths)
  const free = view.getUint16(base + AT_SLOT_BYTES, true) - keyBytes - valueBytes
  if (valueWidth === 0) {
    if (valueBytes !== view.getUint16(base + AT_VALUE_BYTES, true)) return CHANGES
  } else if (valueWidth === 1 && free > 255) return CHANGES
  const time = cells[DEADLINE]!
  const first = firstDeadline(view, base)
  let delta = 0
  if (first !== 0) {
    const after = time - first
    if (after < 0 || after >= DELTAS[deadlineWidth]!) return CHANGES
    delta = after | 0
  } else if (time !== Number.POSITIVE_INFINITY) return CHANGES
  const used = view.getInt32(base + SLAB_HEADER_BYTES, true)
  const open = ~used & (-1 >>> (32 - slots))
  if (open === 0) return FULL
  const later = open & (-1 << firstSlot(place, tag, slots))
  const slot = lowestBit(later === 0 ? open : later)
  const byte = (used >>> (slot & ~7)) | (1 << (slot & 7))
  view.setUint8(base + SLAB_HEADER_BYTES + (slot >>> 3), byte)
  let at = base + SLAB_HEADER_BYTES + bitmapBytes(head >>> 24) + slot * columnBytes(widths)
  if (keyWidthOf(widths) !== 0) view.setUint8(at++, keyBytes)
  if (valueWidth === 1) view.setUint8(at, free)
  else if (valueWidth === 2) view.setUint16(at, free, true)
  at += valueWidth
  for (let i = 0; i < deadlineWidth; i++) view.setUint8(at + i, delta >>> (8 * i))
  return slot
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}

function firstDeadline(view: DataView, base: number): number {
  const low = view.getUint32(base + AT_DEADLINE, true)
  return low + view.getUint16(base + AT_DEADLINE + 4, true) * 2 ** 32
}

/** Frees the slot of a record that nobody needs any more, in a slab that has not been sealed. */
export function freeSlotOf(stage: Stage, page: number, slot: number): void {
  stage.bytes[page * PAGE_BYTES + SLAB_HEADER_BYTES + (slot >>> 3)]! &= ~(1 << (slot & 7))
}

function writeColumns(
  view: DataView,
  base: number,
  slot: number,
  keyBytes: number,
  valueBytes: number,
  deadline: number,
): void {
  const widths = view.getUint8(base + AT_WIDTHS)
  if (widths === 0) return
  const bitmap = bitmapBytes(view.getUint8(base + AT_CLASS_SLOTS))
  let at = base + SLAB_HEADER_BYTES + bitmap + slot * columnBytes(widths)
  if (keyWidthOf(widths) !== 0) view.setUint8(at++, keyBytes)
  const valueWidth = valueWidthOf(widths)
  if (valueWidth !== 0) {
    const free = view.getUint16(base + AT_SLOT_BYTES, true) - keyBytes - valueBytes
    if (valueWidth === 1) view.setUint8(at, free)
    else view.setUint16(at, free, true)
    at += valueWidth
  }
  const deadlineWidth = deadlineWidthOf(widths)
  if (deadlineWidth === 0) return
  const delta = deadline - firstDeadline(view, base)
  if (deadlineWidth === 1) view.setUint8(at, delta)
  else if (deadlineWidth === 2) view.setUint16(at, delta, true)
  else writeUint(view, at, deadlineWidth, delta)
}

/**
 * Makes the columns wide enough for a record. False: then it does not fit, and nothing has changed. Nothing without a deadline
 * fits beside what has one: a column has no number for it.
 */
function fitColumns(
  stage: Stage,
  page: number,
  keyBytes: number,
  valueBytes: number,
  cells: Float64Array,
): boolean {
  const { bytes } = stage
  const base = page * PAGE_BYTES
  const widths = bytes[base + AT_WIDTHS]!
  const time = cells[DEADLINE]!
  const isTimed = time !== Number.POSITIVE_INFINITY
  if (isEmpty(bytes, base)) beginRecords(stage.view, base, keyBytes, valueBytes, cells)
  const first = readU48(bytes, base + AT_DEADLINE)
  if (isTimed !== (first !== 0)) return false
  let keyWidth = keyWidthOf(widths)
  if (keyBytes !== bytes[base + AT_KEY_BYTES]) keyWidth = 1
  let valueWidth = valueWidthOf(widths)
  const free = readU16(bytes, base + AT_SLOT_BYTES) - keyBytes - valueBytes
  if (valueWidth !== 0 || valueBytes !== readU16(bytes, base + AT_VALUE_BYTES)) {
    valueWidth = Math.max(valueWidth, free > 255 ? 2 : 1)
  }
  let deadlineWidth = deadlineWidthOf(widths)
  const isEarlier = isTimed && time < first
  if (isTimed && !isEarlier) deadlineWidth = Math.max(deadlineWidth, widthOf(time - first))
  const needed = packWidths(keyWidth, valueWidth, deadlineWidth)
  if (needed === widths && !isEarlier) return true
  return rewriteColumns(stage, page, needed, isEarlier ? time : first)
}

function isEmpty(bytes: Uint8Array, base: number): boolean {
  const end = base + SLAB_HEADER_BYTES + bitmapBytes(bytes[base + AT_CLASS_SLOTS]!)
  for (let at = base + SLAB_HEADER_BYTES; at < end; at++) if (bytes[at] !== 0) return false
  return true
}

/** Writes all columns anew, of `widths` at least; records in slots that give way to them move to free ones. */
function rewriteColumns(stage: Stage, page: number, widths: number, first: number): boolean {
  const { bytes, view } = stage
  const base = page * PAGE_BYTES
  const slotsBefore = bytes[base + AT_SLOTS]!
  const slotBytes = readU16(bytes, base + AT_SLOT_BYTES)
  let valueWidth = valueWidthOf(widths)
  let deadlineWidth = deadlineWidthOf(widths)
  let used = 0
  for (let slot = 0; slot < slotsBefore; slot++) {
    if (!isUsed(bytes, base, slot)) continue
    used++
    keyLengths[slot] = keyBytesOf(bytes, base, slot)
    valueLengths[slot] = valueBytesOf(bytes, base, slot)
    // What all had in common so far may leave more free than one byte can say.
    const free = slotBytes - keyLengths[slot]! - valueLengths[slot]!
    if (valueWidth !== 0 && free > 255) valueWidth = 2
    deadlines[slot] = deadlineOf(bytes, base, slot)
    if (first !== 0) deadlineWidth = Math.max(deadlineWidth, widthOf(deadlines[slot]! - first))
  }
  const needed = packWidths(keyWidthOf(widths), valueWidth, deadlineWidth)
  const classSlots = bytes[base + AT_CLASS_SLOTS]!
  const slots = Math.min(slotsBefore, slotsThatFit(slotBytes, classSlots, columnBytes(needed)))
  if (used >= slots) return false
  for (let slot = slots; slot < slotsBefore; slot++) {
    if (isUsed(bytes, base, slot)) moveRecord(stage, page, slot, slots)
  }
  bytes[base + AT_SLOTS] = slots
  bytes[base + AT_WIDTHS] = needed
  writeU48(bytes, base + AT_DEADLINE, first)
  for (let slot = 0; slot < slots; slot++) {
    if (!isUsed(bytes, base, slot)) continue
    writeColumns(view, base, slot, keyLengths[slot]!, valueLengths[slot]!, deadlines[slot]!)
  }
  return true
}

/** Moves a record to a free slot below `slots`; its columns are in the arrays and follow it. */
function moveRecord(stage: Stage, page: number, from: number, slots: number): void {
  const { bytes, places, tags } = stage
  const base = page * PAGE_BYTES
  const hashes = page * SLOTS_MAX
  const first = firstSlot(places[hashes + from]!, tags[hashes + from]!, slots)
  const to = freeSlot(bytes, base, first, slots)
  const at = slotAt(bytes, base, from)
  bytes.copyWithin(slotAt(bytes, base, to), at, at + readU16(bytes, base + AT_SLOT_BYTES))
  freeSlotOf(stage, page, from)
  bytes[base + SLAB_HEADER_BYTES + (to >>> 3)]! |= 1 << (to & 7)
  keyLengths[to] = keyLengths[from]!
  valueLengths[to] = valueLengths[from]!
  deadlines[to] = deadlines[from]!
  places[hashes + to] = places[hashes + from]!
  tags[hashes + to] = tags[hashes + from]!
}

/** How many records it holds, of how many slots. */
export function isFull(stage: Stage, page: number): boolean {
  const base = page * PAGE_BYTES
  return usedCount(stage.bytes, base) >= stage.bytes[base + AT_SLOTS]!
}
