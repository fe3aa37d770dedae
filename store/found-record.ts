/**
 * The record that the engine looks for in a page, and then: where it is, and what its page says of it, read once.
 *
 * Made for memory that is far away. Pages are laid out alike as a rule, so what the last one told of its layout is used as
 * soon as the next one is seen to have the same: a processor that guesses this right asks for the slots while the header is
 * still on its way. Slots are looked at four at a time, by the last four bytes of their keys, without a branch
 * in between: so memory is asked for all four at once, and most searches take no more.
 */
import { DEADLINE } from './cells.js'
import type { KeyHash } from './key-hash.js'
import { AT_KIND, AT_SEQUENCE, KIND_RUN, PAGE_BYTES, readU48 } from './layout.js'
import { RUN_HEADER_BYTES, runDeadline, runKeyBytes, runValueBytes } from './run.js'
import { bitmapBytes, SLAB_HEADER_BYTES } from './size-classes.js'
import {
  AT_DEADLINE,
  AT_SLOT_BYTES,
  AT_SLOTS,
  AT_VALUE_BYTES,
  columnBytes,
  deadlineWidthOf,
  findSlot,
  firstSlot,
  hasKey,
  keyWidthOf,
  usedBelow,
  valueWidthOf,
} from './slab.js'

/** Instead of a slot: the record is a run. */
export const RUN_SLOT = 255

const GROUP = 4

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

  /** Layout of the slab that was looked at last: four bytes of its header from AT_SLOTS on, and what follows from them. */
  #shape = 0
  #slotBytes = 0
  #slots = 0
  /** Bytes beside each slot, and where they begin in a page. */
  #columns = 0
  #columnsAt = 0
  /** Of every key; 0: they differ. */
  #allKeyBytes = 0

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

  /** The slot of the key in a page, or -1; the slot `except` is passed over. `view` has the same bytes. */
  search(
    bytes: Uint8Array,
    view: DataView,
    base: number,
    keys: KeyHash,
    keyBytes: number,
    except: number,
  ): number {
    if (bytes[base + AT_KIND] === KIND_RUN) {
      const isIt =
        except !== RUN_SLOT &&
        runKeyBytes(bytes, base) === keyBytes &&
        hasKey(bytes, base + RUN_HEADER_BYTES, keys.bytes, keyBytes)
      return isIt ? RUN_SLOT : -1
    }
    this.#look(view, base)
    if (this.#allKeyBytes !== 0 && this.#allKeyBytes !== keyBytes) return -1
    if (keyBytes < 4) {
      return findSlot(bytes, base, keys.bytes, keyBytes, keys.place, keys.tag, except)
    }
    return this.#searchSlots(view, base, keys, keyBytes, except)
  }

  /** Learns the layout of a slab, if it is not that of the last one. */
  #look(view: DataView, base: number): void {
    const shape = view.getInt32(base + AT_SLOTS, true)
    const slotBytes = view.getUint16(base + AT_SLOT_BYTES, true)
    if (shape === this.#shape && slotBytes === this.#slotBytes) return
    const widths = (shape >>> 8) & 0xff
    this.#shape = shape
    this.#slotBytes = slotBytes
    this.#slots = shape & 0xff
    this.#columns = columnBytes(widths)
    this.#columnsAt = SLAB_HEADER_BYTES + bitmapBytes(shape >>> 24)
    this.#allKeyBytes = keyWidthOf(widths) !== 0 ? 0 : (shape >>> 16) & 0xff
  }

  /** `#look` came before. The key has four bytes at least. */
  #searchSlots(
    view: DataView,
    base: number,
    keys: KeyHash,
    keyBytes: number,
    except: number,
  ): number {
    const slots = this.#slots
    const slotBytes = this.#slotBytes
    const { tail } = keys
    /** The tail of a slot's key is so many times its length below. */
    const top = base + PAGE_BYTES - slotBytes + keyBytes - 4
    let slot = firstSlot(keys.place, keys.tag, slots)
    for (let left = slots; left > 0; left -= GROUP) {
      const slot1 = after(slot, slots)
      const slot2 = after(slot1, slots)
      const slot3 = after(slot2, slots)
      const tail0 = view.getInt32(top - slot * slotBytes, true)
      const tail1 = view.getInt32(top - slot1 * slotBytes, true)
      const tail2 = view.getInt32(top - slot2 * slotBytes, true)
      const tail3 = view.getInt32(top - slot3 * slotBytes, true)
      const others =
        differ(tail0, tail, 0) |
        differ(tail1, tail, 1) |
        differ(tail2, tail, 2) |
        differ(tail3, tail, 3)
      let hits = ~others & (left < GROUP ? (1 << left) - 1 : 15)
      while (hits !== 0) {
        let hit = slot + 31 - Math.clz32(hits & -hits) - slots
        hit += (hit >> 31) & slots
        if (hit !== except && this.#isRecord(view, base, hit, keys, keyBytes)) return hit
        hits &= hits - 1
      }
      slot = after(slot3, slots)
    }
    return -1
  }

  /** Whether a slot, which has the tail of the key, is used and has all of it. */
  #isRecord(view: DataView, base: number, slot: number, keys: KeyHash, keyBytes: number): boolean {
    const used = view.getUint8(base + SLAB_HEADER_BYTES + (slot >>> 3))
    if ((used & (1 << (slot & 7))) === 0) return false
    if (this.#allKeyBytes === 0) {
      const column = base + this.#columnsAt + slot * this.#columns
      if (view.getUint8(column) !== keyBytes) return false
    }
    const at = base + PAGE_BYTES - (slot + 1) * this.#slotBytes
    const { view: key } = keys
    for (let i = 0; i < keyBytes - 4; i += 4) {
      if (view.getInt32(at + i, true) !== key.getInt32(i, true)) return false
    }
    return true
  }

  /** Takes the record that `search` found, or another of the same page; its deadline goes into the cells. */
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
    const { view, base, slot } = this
    this.#look(view, base)
    const widths = (this.#shape >>> 8) & 0xff
    const slotBytes = this.#slotBytes
    let at = base + this.#columnsAt + slot * this.#columns
    let keyBytes = this.#allKeyBytes
    if (keyBytes === 0) keyBytes = view.getUint8(at++)
    const valueWidth = valueWidthOf(widths)
    let valueBytes = 0
    if (valueWidth === 0) valueBytes = view.getUint16(base + AT_VALUE_BYTES, true)
    else if (valueWidth === 1) valueBytes = slotBytes - keyBytes - view.getUint8(at)
    else valueBytes = slotBytes - keyBytes - view.getUint16(at, true)
    at += valueWidth
    const low = view.getUint32(base + AT_DEADLINE, true)
    const first = low + view.getUint16(base + AT_DEADLINE + 4, true) * 2 ** 32
    const deadlineWidth = deadlineWidthOf(widths)
    let delta = 0
    if (deadlineWidth === 1) delta = view.getUint8(at)
    else for (let i = deadlineWidth - 1; i >= 0; i--) delta = delta * 256 + view.getUint8(at + i)
    cells[DEADLINE] = first === 0 ? Number.POSITIVE_INFINITY : first + delta
    this.keyBytes = keyBytes
    this.valueBytes = valueBytes
    this.valueAt = base + PAGE_BYTES - (slot + 1) * slotBytes + keyBytes
  }
}

/** The next slot around, without a branch. */
function after(slot: number, slots: number): number {
  const next = slot + 1 - slots
  return next + ((next >> 31) & slots)
}

/** 0 if two words are the same, else the bit, without a branch. */
function differ(a: number, b: number, bit: number): number {
  const difference = a ^ b
  return ((difference | (0 - difference)) >>> 31) << bit
}
