/**
 * Marks: records on the drive that are dead, because their key was deleted or written anew.
 *
 * A mark names a copy, not a key: the zone's sequence, the page, and the number of the record among those of its page. A
 * restart drops what is marked without reading it. A mark lies in the lifetime class of what its copy had left to live, so
 * it is there for at least as long as the copy is. It comes onto the drive after the record that replaced the copy has
 * been flushed: else a power cut could leave neither.
 *
 * ```
 *   0  as every page (layout.ts)   14  u16 marks   16  u48 latest deadline of their copies, 0: some have none
 *  24  marks of u32 zone sequence, u24 page, u8 record
 * ```
 */
import {
  beginPage,
  KIND_MARKS,
  PAGE_BYTES,
  readU16,
  readU32,
  readU48,
  sealPage,
  writeU16,
  writeU32,
  writeU48,
} from './layout.js'

const AT_MARK_COUNT = 14
const AT_LAST_DEADLINE = 16
const AT_MARKS = 24
export const MARK_BYTES = 8
export const MARKS_PER_PAGE = (PAGE_BYTES - AT_MARKS) / MARK_BYTES

/** A list of marks that grows; `i` of three parallel columns is one mark. */
export class MarkList {
  #words = new Uint32Array(64)
  length = 0
  /** Of the copies that the list speaks of, in ms since the epoch. */
  lastDeadlineMs = Number.NEGATIVE_INFINITY

  /** `page` below 2^24, `record` below 256. */
  add(zoneSequence: number, page: number, record: number): void {
    if (this.length * 2 === this.#words.length) {
      const wider = new Uint32Array(this.#words.length * 2)
      wider.set(this.#words)
      this.#words = wider
    }
    this.#words[this.length * 2] = zoneSequence
    this.#words[this.length * 2 + 1] = page * 256 + record
    this.length++
  }

  zoneSequenceOf(index: number): number {
    return this.#words[index * 2]!
  }

  pageOf(index: number): number {
    return this.#words[index * 2 + 1]! >>> 8
  }

  recordOf(index: number): number {
    return this.#words[index * 2 + 1]! & 255
  }

  /** What is in the list, as a list of its own; this one is empty then. */
  take(): MarkList {
    const taken = new MarkList()
    taken.addAll(this)
    this.length = 0
    this.lastDeadlineMs = Number.NEGATIVE_INFINITY
    return taken
  }

  addAll(other: MarkList): void {
    for (let index = 0; index < other.length; index++) {
      this.add(other.zoneSequenceOf(index), other.pageOf(index), other.recordOf(index))
    }
    this.lastDeadlineMs = Math.max(this.lastDeadlineMs, other.lastDeadlineMs)
  }

  get memoryBytes(): number {
    return this.#words.byteLength
  }
}

/** Writes marks from `from` on into a page, as many as it takes. Gives how many. */
export function writeMarks(
  bytes: Uint8Array,
  base: number,
  sequence: number,
  marks: MarkList,
  from: number,
): number {
  const count = Math.min(MARKS_PER_PAGE, marks.length - from)
  bytes.fill(0, base, base + PAGE_BYTES)
  beginPage(bytes, base, KIND_MARKS, sequence)
  writeU16(bytes, base + AT_MARK_COUNT, count)
  const last = marks.lastDeadlineMs
  writeU48(bytes, base + AT_LAST_DEADLINE, Number.isFinite(last) ? last : 0)
  for (let index = 0; index < count; index++) {
    const at = base + AT_MARKS + index * MARK_BYTES
    writeU32(bytes, at, marks.zoneSequenceOf(from + index) | 0)
    writeU32(bytes, at + 4, marks.pageOf(from + index) * 256 + marks.recordOf(from + index))
  }
  sealPage(bytes, base)
  return count
}

/** Adds the marks of a page (checked before with kindOf) to a list. */
export function readMarks(bytes: Uint8Array, base: number, into: MarkList): void {
  const count = Math.min(MARKS_PER_PAGE, readU16(bytes, base + AT_MARK_COUNT))
  const last = readU48(bytes, base + AT_LAST_DEADLINE) || Number.POSITIVE_INFINITY
  into.lastDeadlineMs = Math.max(into.lastDeadlineMs, last)
  for (let index = 0; index < count; index++) {
    const at = base + AT_MARKS + index * MARK_BYTES
    const word = readU32(bytes, at + 4)
    into.add(readU32(bytes, at), word >>> 8, word & 255)
  }
}
