/**
 * Which size classes are worth a slab of their own, for one writer.
 *
 * A slab that is sealed before it is full is paid for in full. Where few records of a class come before the stage is written, a
 * slot that is too long in a slab that is open anyway costs less: the rest of that slot, and not the rest of a page. How
 * much of each class will come is what came lately, halved with every stage.
 *
 * Asked only when a class has no open slab with room.
 */
import { PAGE_BYTES } from './layout.js'
import { SIZE_CLASS_COUNT, slotBytesOf } from './size-classes.js'

export class SizeDemand {
  /** Bytes of slots that records of each class take between two seals of everything. */
  readonly #usual = new Float32Array(SIZE_CLASS_COUNT)
  /** Since the last. */
  readonly #now = new Float32Array(SIZE_CLASS_COUNT)

  /** So many records of a class were written, in slabs of their own or as guests. */
  note(sizeClass: number, records: number): void {
    this.#now[sizeClass]! += records * slotBytesOf[sizeClass]!
  }

  /** Everything has been sealed. */
  end(): void {
    for (let each = 0; each < SIZE_CLASS_COUNT; each++) {
      this.#usual[each] = (this.#usual[each]! + this.#now[each]!) / 2
      this.#now[each] = 0
    }
  }

  /** What a record wastes in a new slab of its class: its share of the room that will be left. */
  wasteOfOwn(sizeClass: number): number {
    const slotBytes = slotBytesOf[sizeClass]!
    const coming = Math.max(slotBytes, this.#usual[sizeClass]! - this.#now[sizeClass]!)
    return coming >= PAGE_BYTES ? 0 : ((PAGE_BYTES - coming) * slotBytes) / coming
  }
}
