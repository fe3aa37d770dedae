/**
 * The record that the engine has found: where it is, and what its page says of it, read once.
 */
import { DEADLINE } from './cells.js'
import { AT_SEQUENCE, PAGE_BYTES, readU48 } from './layout.js'
import { RUN_HEADER_BYTES, runDeadline, runKeyBytes, runValueBytes } from './run.js'
import { bitmapBytes, SLAB_HEADER_BYTES } from './size-classes.js'
import {
  AT_CLASS_SLOTS,
  AT_DEADLINE,
  AT_KEY_BYTES,
  AT_SLOT_BYTES,
  AT_VALUE_BYTES,
  AT_WIDTHS,
  usedBelow,
} from './slab.js'

/** Instead of a slot: the record is a run. */
export const RUN_SLOT = 255

export class FoundRecord {
  bytes: Uint8Array = new Uint8Array(PAGE_BYTES)
  /** The same bytes. */
  view = new DataView(this.bytes.buffer)
  base = 0
  slot = 0
  locator = -1
  keyBytes = 0
  valueBytes = 0
  /** Where in `bytes` the value begins. */
  valueAt = 0

  /** Its number among the records of its page. */
  get record(): number {
    return this.slot === RUN_SLOT ? 0 : usedBelow(this.bytes, this.base, this.slot)
  }

  /** Key and value. */
  get recordBytes(): number {
    return this.keyBytes + this.valueBytes
  }

  get sequence(): number {
    return readU48(this.bytes, this.base + AT_SEQUENCE)
  }

  /** Takes a record; its deadline goes into the cells. */
  take(
    bytes: Uint8Array,
    view: DataView,
    base: number,
    slot: number,
    locator: number,
    cells: Float64Array,
  ): void {
    this.bytes = bytes
    this.view = view
    this.base = base
    this.slot = slot
    this.locator = locator
    if (slot === RUN_SLOT) this.#decodeRun(cells)
    else this.#decodeSlot(cells)
  }

  #decodeRun(cells: Float64Array): void {
    const { bytes, base } = this
    this.keyBytes = runKeyBytes(bytes, base)
    this.valueBytes = runValueBytes(bytes, base)
    this.valueAt = base + RUN_HEADER_BYTES + this.keyBytes
    cells[DEADLINE] = runDeadline(bytes, base)
  }

  /** As keyBytesOf, valueBytesOf, slotAt and deadlineOf of slab.ts have it one by one. */
  #decodeSlot(cells: Float64Array): void {
    const { bytes, view, base, slot } = this
    const widths = bytes[base + AT_WIDTHS]!
    const keyWidth = widths & 1
    const valueWidth = (widths >>> 1) & 3
    const deadlineWidth = widths >>> 3
    const slotBytes = view.getUint16(base + AT_SLOT_BYTES, true)
    let at =
      base +
      SLAB_HEADER_BYTES +
      bitmapBytes(bytes[base + AT_CLASS_SLOTS]!) +
      slot * (keyWidth + valueWidth + deadlineWidth)
    let keyBytes = bytes[base + AT_KEY_BYTES]!
    if (keyWidth !== 0) keyBytes = bytes[at++]!
    let valueBytes = view.getUint16(base + AT_VALUE_BYTES, true)
    if (valueWidth === 1) valueBytes = slotBytes - keyBytes - bytes[at]!
    if (valueWidth === 2) valueBytes = slotBytes - keyBytes - view.getUint16(at, true)
    at += valueWidth
    const low = view.getUint32(base + AT_DEADLINE, true)
    const first = low + view.getUint16(base + AT_DEADLINE + 4, true) * 2 ** 32
    let delta = 0
    if (deadlineWidth === 1) delta = bytes[at]!
    else
      for (let byte = deadlineWidth - 1; byte >= 0; byte--) delta = delta * 256 + bytes[at + byte]!
    cells[DEADLINE] = first === 0 ? Number.POSITIVE_INFINITY : first + delta
    this.keyBytes = keyBytes
    this.valueBytes = valueBytes
    this.valueAt = base + PAGE_BYTES - (slot + 1) * slotBytes + keyBytes
  }
}
