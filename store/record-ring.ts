/**
 * A queue of records in segments of a RecordMemory: they are put in at the head and leave at the tail, in order.
 *
 * Segments are taken from the memory when the head needs one and given back when the tail has left one, so that two rings share
 * a memory in any proportion, and nothing is ever fragmented:
 *
 *     tail                                head
 *     [··rrrrrrrr] → [rrrrrrrrr·] → [rrr·······]      ·  empty     r  records
 *
 * At most 35 granules at a segment's end stay empty: where a header and its key would not fit.
 */
import { assert } from './assert.js'
import { HEADER_GRANULES, type RecordMemory } from './record-memory.js'

export class RecordRing {
  readonly #memory: RecordMemory
  #tailSegment = -1
  #tailGranule = 0
  #headSegment = -1
  #headGranule = 0
  /** Of the records in it, dead ones too. */
  granules = 0

  constructor(memory: RecordMemory) {
    this.#memory = memory
  }

  /** After the memory was cleared. */
  clear(): void {
    this.#tailSegment = -1
    this.#headSegment = -1
    this.granules = 0
  }

  /** Room for a record at the head; where it begins. */
  append(granules: number, keyBytes: number): number {
    this.#openFor(keyBytes)
    const at = this.#headSegment * this.#memory.segmentGranules + this.#headGranule
    let rest = granules
    while (rest > 0) {
      const piece = Math.min(rest, this.#headRoom())
      this.#headGranule += piece
      rest -= piece
    }
    this.granules += granules
    return at
  }

  /** Where the oldest record begins; -1: there is none. */
  tailAt(): number {
    if (this.granules === 0) return -1
    const memory = this.#memory
    let at = this.#tailSegment * memory.segmentGranules + this.#tailGranule
    if (memory.keyBytesOf(at) === 0) {
      this.#leaveTailSegment()
      at = this.#tailSegment * memory.segmentGranules
    }
    return at
  }

  /** The oldest record leaves. */
  dropTail(granules: number): void {
    let rest = granules
    while (rest > 0) rest -= this.#leave(rest)
    this.granules -= granules
    if (this.granules === 0) this.#giveBack()
  }

  /**
   * The oldest record goes to the head of `target` (which may be this ring); where it begins there. It is copied piece by piece, and
   * segments are given back meanwhile: a large record needs no second room of its size.
   */
  moveTail(target: RecordRing, granules: number): number {
    const memory = this.#memory
    const tailAt = this.#tailSegment * memory.segmentGranules + this.#tailGranule
    target.#openFor(memory.keyBytesOf(tailAt))
    const at = target.#headSegment * memory.segmentGranules + target.#headGranule
    target.granules += granules
    let rest = granules
    while (rest > 0) {
      const room = Math.min(rest, target.#headRoom())
      const piece = Math.min(room, memory.segmentGranules - this.#tailGranule)
      memory.copyGranules(
        this.#tailSegment * memory.segmentGranules + this.#tailGranule,
        target.#headSegment * memory.segmentGranules + target.#headGranule,
        piece,
      )
      target.#headGranule += piece
      rest -= this.#leave(piece)
    }
    this.granules -= granules
    if (this.granules === 0) this.#giveBack()
    return at
  }

  /** A head segment in which header and key have room. */
  #openFor(keyBytes: number): void {
    const memory = this.#memory
    if (this.#headSegment >= 0) {
      const room = memory.segmentGranules - this.#headGranule
      if (room >= HEADER_GRANULES + ((keyBytes + 7) >>> 3)) return
      if (room > 0) {
        memory.markEmpty(this.#headSegment * memory.segmentGranules + this.#headGranule)
      }
    }
    this.#extend()
  }

  /** Granules that can be written at the head before the segment ends; never 0. */
  #headRoom(): number {
    if (this.#headGranule === this.#memory.segmentGranules) this.#extend()
    return this.#memory.segmentGranules - this.#headGranule
  }

  #extend(): void {
    const segment = this.#memory.takeSegment()
    assert(segment >= 0, 'the cache has a free segment')
    if (this.#headSegment >= 0) this.#memory.next[this.#headSegment] = segment
    else {
      this.#tailSegment = segment
      this.#tailGranule = 0
    }
    this.#headSegment = segment
    this.#headGranule = 0
  }

  /** The tail goes on by at most so many granules, as far as its segment goes. It is never left at a segment's end, but in an empty ring. */
  #leave(granules: number): number {
    const piece = Math.min(granules, this.#memory.segmentGranules - this.#tailGranule)
    this.#tailGranule += piece
    const isDone = this.#tailGranule === this.#memory.segmentGranules
    if (isDone && this.#tailSegment !== this.#headSegment) this.#leaveTailSegment()
    return piece
  }

  #leaveTailSegment(): void {
    const segment = this.#tailSegment
    this.#tailSegment = this.#memory.next[segment]!
    this.#tailGranule = 0
    assert(this.#tailSegment >= 0, 'a ring goes on behind its tail')
    this.#memory.giveSegment(segment)
  }

  /** Empty: no segment is held. */
  #giveBack(): void {
    while (this.#tailSegment !== this.#headSegment) this.#leaveTailSegment()
    this.#memory.giveSegment(this.#headSegment)
    this.#tailSegment = -1
    this.#headSegment = -1
  }
}
