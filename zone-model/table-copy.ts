/**
 * A copy of a table that others are changing, such that a power cut right then would have left it (losePower makes it legal).
 *
 * The order is everything: zones first, then the log, then batch numbers. A write that a copied write pointer includes is then
 * either in the copied log as in flight, or its bytes were complete when the log was read. An entry that is overwritten while it
 * is read has a batch that has ended, and the batch numbers, which are read last, say so.
 *
 * A write whose copy failed is taken back, and its log entry goes. Where that happens in between, settle() says so, and the copy
 * has to be made again.
 *
 * A reset takes a zone's bytes away before it changes its word. So a zone that somebody holds is waited for, and after the page
 * map has been copied too, settle() looks for zones that were reset in between: in the copy they become empty.
 */
import type { Geometry } from './geometry.js'
import {
  ENTRY_STATE,
  ENTRY_WORDS,
  layoutTable,
  type TableLayout,
  ZONE_RESETS,
  ZONE_UNDONE,
  ZONE_WORD,
  ZONE_WORDS,
} from './table-layout.js'
import { BLK_ZONE_COND_EMPTY } from './uapi.js'
import { BUSY, packWord } from './zone-word.js'

const SPINS_MAX = 1000

export class TableCopier {
  readonly #layout: TableLayout

  /**
   * @param live - the table, from its first word
   * @param pause - lets others run, when a zone is held for long
   * @param between - called when zones have been copied, and the log not yet
   */
  constructor(
    private readonly live: Int32Array,
    private readonly geometry: Geometry,
    queueCount: number,
    depth: number,
    private readonly pause: () => void,
    private readonly between: () => void = () => {},
  ) {
    this.#layout = layoutTable(geometry, queueCount, depth)
  }

  /** Copies the table to the beginning of `target`. Page maps are copied after this, and then comes settle(). */
  copy(target: Int32Array): void {
    const { zoneBase, logBase, words } = this.#layout
    target.set(this.live.subarray(zoneBase, logBase), zoneBase)
    for (let zone = 0; zone < this.geometry.zoneCount; zone++) this.copyWord(zone, target)
    this.between()
    this.copyWords(target, logBase, words)
    this.copyWords(target, 0, zoneBase)
  }

  /** Zones that were reset since copy() are empty in the copy. False: copy() and all that followed it must be done again. */
  settle(target: Int32Array): boolean {
    for (let zone = 0; zone < this.geometry.zoneCount; zone++) {
      const base = this.#layout.zoneBase + zone * ZONE_WORDS
      this.loadFree(base)
      if (Atomics.load(this.live, base + ZONE_UNDONE) !== target[base + ZONE_UNDONE]) return false
      if (Atomics.load(this.live, base + ZONE_RESETS) === target[base + ZONE_RESETS]) continue
      target.set(this.live.subarray(base, base + ZONE_WORDS), base)
      target[base + ZONE_WORD] = packWord(BLK_ZONE_COND_EMPTY, 0)
    }
    return true
  }

  /** Forgets the log of a copy: for a table whose workers have ended and left nothing in flight. */
  dropLog(target: Int32Array): void {
    const { logBase, outstandingBase, words } = this.#layout
    for (let entry = logBase; entry < words; entry += ENTRY_WORDS) {
      if (entry < outstandingBase) target[entry + ENTRY_STATE] = 0
    }
  }

  /** The word, and the counts that belong to it. */
  private copyWord(zone: number, target: Int32Array): void {
    const base = this.#layout.zoneBase + zone * ZONE_WORDS
    for (;;) {
      const word = this.loadFree(base)
      const undone = Atomics.load(this.live, base + ZONE_UNDONE)
      const resets = Atomics.load(this.live, base + ZONE_RESETS)
      target[base + ZONE_WORD] = word
      target[base + ZONE_RESETS] = resets
      target[base + ZONE_UNDONE] = undone
      const isUndone = Atomics.load(this.live, base + ZONE_UNDONE) !== undone
      if (!isUndone && Atomics.load(this.live, base + ZONE_RESETS) === resets) return
    }
  }

  /** The zone's word, when nobody holds it. */
  private loadFree(base: number): number {
    for (let spins = 0; ; spins++) {
      const word = Atomics.load(this.live, base + ZONE_WORD)
      if ((word & BUSY) === 0) return word
      if (spins >= SPINS_MAX) this.pause()
    }
  }

  private copyWords(target: Int32Array, from: number, to: number): void {
    for (let index = from; index < to; index++) target[index] = Atomics.load(this.live, index)
  }
}
