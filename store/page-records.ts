/**
 * The records of a page, one after the other: those in the slots of a slab, the one of a run, none of anything else.
 *
 * Kept by who walks and used again for page after page, so that a walk allocates nothing. What it says stays valid until the
 * next `next`, and as long as the page is what it was.
 */
import { KIND_RUN, KIND_SLAB } from './layout.js'
import { RUN_HEADER_BYTES, runDeadline, runKeyBytes, runValueBytes } from './run.js'
import { AT_SLOTS, deadlineOf, isUsed, keyBytesOf, slotAt, valueBytesOf } from './slab.js'

const NOTHING = new Uint8Array(0)

export class PageRecords {
  /** Number of the record among those of its page, as marks name it. */
  record = -1
  /** Where its key begins in the bytes of the page. */
  keyAt = 0
  keyBytes = 0
  #kind = 0
  #bytes: Uint8Array = NOTHING
  #base = 0
  #slot = -1

  /** `kind`: of the page that begins at `base`, as layout.ts has it. */
  begin(kind: number, bytes: Uint8Array, base: number): void {
    this.#kind = kind
    this.#bytes = bytes
    this.#base = base
    this.#slot = -1
    this.record = -1
  }

  /** False: there are no more. */
  next(): boolean {
    if (this.#kind === KIND_SLAB) return this.#nextSlot()
    if (this.#kind !== KIND_RUN || this.record >= 0) return false
    this.record = 0
    this.keyAt = this.#base + RUN_HEADER_BYTES
    this.keyBytes = runKeyBytes(this.#bytes, this.#base)
    return true
  }

  #nextSlot(): boolean {
    const slots = this.#bytes[this.#base + AT_SLOTS]!
    do this.#slot++
    while (this.#slot < slots && !isUsed(this.#bytes, this.#base, this.#slot))
    if (this.#slot >= slots) return false
    this.record++
    this.keyAt = slotAt(this.#bytes, this.#base, this.#slot)
    this.keyBytes = keyBytesOf(this.#bytes, this.#base, this.#slot)
    return true
  }

  get valueBytes(): number {
    if (this.#kind === KIND_RUN) return runValueBytes(this.#bytes, this.#base)
    return valueBytesOf(this.#bytes, this.#base, this.#slot)
  }

  /** Ms since the epoch, or Infinity. */
  get deadlineMs(): number {
    if (this.#kind === KIND_RUN) return runDeadline(this.#bytes, this.#base)
    return deadlineOf(this.#bytes, this.#base, this.#slot)
  }
}
