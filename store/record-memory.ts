/**
 * The memory of cached records: segments of equal size, and the layout of a record in them.
 *
 * A record begins on a granule (8 bytes) and takes whole granules:
 *
 *     word 0    place 18 bits | key bytes 8 | main queue 1 | dead 1 | frequency 2     key bytes 0: the rest of the segment is empty
 *     word 1    tag
 *     word 2    value bytes
 *     word 3    locator
 *     bytes 16  deadline, milliseconds since the epoch (f64)
 *     bytes 24  version (f64)
 *     bytes 32  key, value
 *
 * Header and key lie in one segment; the value goes on at the start of the next one where it must, so that no segment needs to
 * be as large as the largest record, and a ring of them (record-ring.ts) wastes next to nothing.
 *
 * Values are copied by loops over words where that is the fastest without garbage: up to `LOOP_BYTES_MAX` bytes, between this memory
 * and the array that the caller also used the time before (a view of it is kept). Other copies are the engine's, which take a view
 * each: a hundred bytes of garbage. Nothing else here allocates but for the constructor.
 */
import { copyWords, KeptView } from './kept-view.js'

export const GRANULE_BYTES = 8
export const HEADER_GRANULES = 4
export const HEADER_BYTES = 32
/** Header and the longest key. */
export const TOGETHER_GRANULES_MAX = HEADER_GRANULES + 32

export const FREQUENCY_MASK = 3
export const DEAD = 4
export const IN_MAIN = 8
const KEY_SHIFT = 4
const PLACE_SHIFT = 12
const FLAGS = FREQUENCY_MASK | DEAD | IN_MAIN

/** Up to here a loop over words takes about as long as a view and a copy by the engine. */
export const LOOP_BYTES_MAX = 512

/** Granules of a whole record. */
export function recordGranules(keyBytes: number, valueBytes: number): number {
  return (HEADER_BYTES + keyBytes + valueBytes + 7) >>> 3
}

/** Of the processor, and so of the words of this memory. */
const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

export class RecordMemory {
  readonly segments: number
  readonly segmentGranules: number
  /** Of each segment the one that follows it: in its ring, or among the free ones. -1: none. */
  readonly next: Int32Array
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
  readonly #view: DataView
  readonly #key = new KeptView()
  readonly #source = new KeptView()
  readonly #target = new KeptView()
  /** log2 of a segment's granules. */
  readonly #shift: number
  #free = 0
  freeSegments: number

  /** `segmentGranules`: a power of two. Memory is touched segment by segment, when it is first used. */
  constructor(segments: number, segmentGranules: number) {
    const buffer = new ArrayBuffer(segments * segmentGranules * GRANULE_BYTES)
    this.segments = segments
    this.segmentGranules = segmentGranules
    this.next = new Int32Array(segments)
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#doubles = new Float64Array(buffer)
    this.#view = new DataView(buffer)
    this.#shift = Math.log2(segmentGranules)
    this.freeSegments = segments
    this.clear()
  }

  /** All segments are free. */
  clear(): void {
    for (let segment = 0; segment < this.segments; segment++) this.next[segment] = segment + 1
    this.next[this.segments - 1] = -1
    this.#free = 0
    this.freeSegments = this.segments
  }

  /** A free segment, the one last used first; -1: none is left. */
  takeSegment(): number {
    const segment = this.#free
    if (segment < 0) return -1
    this.#free = this.next[segment]!
    this.next[segment] = -1
    this.freeSegments--
    return segment
  }

  giveSegment(segment: number): void {
    this.next[segment] = this.#free
    this.#free = segment
    this.freeSegments++
  }

  /** The first word: flags as they are. */
  flagsOf(at: number): number {
    return this.#words[at << 1]! & FLAGS
  }

  setFlags(at: number, flags: number): void {
    this.#words[at << 1] = (this.#words[at << 1]! & ~FLAGS) | flags
  }

  placeOf(at: number): number {
    return this.#words[at << 1]! >>> PLACE_SHIFT
  }

  tagOf(at: number): number {
    return this.#words[(at << 1) + 1]!
  }

  keyBytesOf(at: number): number {
    return (this.#words[at << 1]! >>> KEY_SHIFT) & 0xff
  }

  valueBytesOf(at: number): number {
    return this.#words[(at << 1) + 2]!
  }

  locatorOf(at: number): number {
    return this.#words[(at << 1) + 3]!
  }

  setLocator(at: number, locator: number): void {
    this.#words[(at << 1) + 3] = locator
  }

  deadlineOf(at: number): number {
    return this.#doubles[at + 2]!
  }

  versionOf(at: number): number {
    return this.#doubles[at + 3]!
  }

  /** `times`: deadline and version. */
  setTimes(at: number, times: Float64Array): void {
    this.#doubles[at + 2] = times[0]!
    this.#doubles[at + 3] = times[1]!
  }

  setVersion(at: number, times: Float64Array): void {
    this.#doubles[at + 3] = times[1]!
  }

  loadTimes(at: number, times: Float64Array): void {
    times[0] = this.#doubles[at + 2]!
    times[1] = this.#doubles[at + 3]!
  }

  granulesOf(at: number): number {
    return recordGranules(this.keyBytesOf(at), this.valueBytesOf(at))
  }

  /** From here to its end the segment is empty. */
  markEmpty(at: number): void {
    this.#words[at << 1] = 0
  }

  isKey(at: number, key: Uint8Array, keyBytes: number): boolean {
    if (this.keyBytesOf(at) !== keyBytes) return false
    const start = at * GRANULE_BYTES + HEADER_BYTES
    let i = 0
    if (this.#key.isOf(key)) {
      const view = this.#key.view
      const words = this.#words
      const word = start >>> 2
      for (; i + 4 <= keyBytes; i += 4) {
        if (words[word + (i >>> 2)] !== view.getUint32(i, isLittleEndian)) return false
      }
    }
    const bytes = this.#bytes
    for (; i < keyBytes; i++) {
      if (bytes[start + i] !== key[i]) return false
    }
    return true
  }

  /** Header (but for locator and times) and key. */
  writeHead(
    at: number,
    flags: number,
    key: Uint8Array,
    keyBytes: number,
    place: number,
    tag: number,
    valueBytes: number,
  ): void {
    this.#words[at << 1] = ((place << PLACE_SHIFT) | (keyBytes << KEY_SHIFT) | flags) >>> 0
    this.#words[(at << 1) + 1] = tag
    this.#words[(at << 1) + 2] = valueBytes
    const start = at * GRANULE_BYTES + HEADER_BYTES
    let i = 0
    if (this.#key.isOf(key)) {
      const view = this.#key.view
      const words = this.#words
      const word = start >>> 2
      for (; i + 4 <= keyBytes; i += 4) words[word + (i >>> 2)] = view.getUint32(i, isLittleEndian)
    }
    const bytes = this.#bytes
    for (; i < keyBytes; i++) bytes[start + i] = key[i]!
  }

  /** The value, from the caller's array. The record's segments are linked already. */
  writeValue(at: number, value: Uint8Array, valueOffset: number): void {
    const start = at * GRANULE_BYTES + HEADER_BYTES + this.keyBytesOf(at)
    const segment = at >>> this.#shift
    const count = this.valueBytesOf(at)
    const room = (segment + 1) * this.segmentGranules * GRANULE_BYTES - start
    const source = this.#source
    if (count > room || count > LOOP_BYTES_MAX || !source.isOf(value)) {
      this.#writeLong(start, segment, value, valueOffset, count)
    } else copyWords(source.view, valueOffset, this.#view, start, count)
  }

  /** In pieces, one a segment. */
  #writeLong(start: number, first: number, value: Uint8Array, from: number, count: number): void {
    const segmentBytes = this.segmentGranules * GRANULE_BYTES
    let segment = first
    let target = start
    let done = 0
    while (done < count) {
      if (target === (segment + 1) * segmentBytes) {
        segment = this.next[segment]!
        target = segment * segmentBytes
      }
      const piece = Math.min((segment + 1) * segmentBytes - target, count - done)
      if (piece <= LOOP_BYTES_MAX && this.#source.isOf(value))
        copyWords(this.#source.view, from + done, this.#view, target, piece)
      else this.#bytes.set(value.subarray(from + done, from + done + piece), target)
      done += piece
      target += piece
    }
  }

  /** The value, into the caller's array, which has room for it. */
  readValue(at: number, into: Uint8Array, intoOffset: number): void {
    const start = at * GRANULE_BYTES + HEADER_BYTES + this.keyBytesOf(at)
    const segment = at >>> this.#shift
    const count = this.valueBytesOf(at)
    const room = (segment + 1) * this.segmentGranules * GRANULE_BYTES - start
    const target = this.#target
    if (count > room || count > LOOP_BYTES_MAX || !target.isOf(into)) {
      this.#readLong(start, segment, into, intoOffset, count)
    } else copyWords(this.#view, start, target.view, intoOffset, count)
  }

  #readLong(start: number, first: number, into: Uint8Array, to: number, count: number): void {
    const segmentBytes = this.segmentGranules * GRANULE_BYTES
    let segment = first
    let source = start
    let done = 0
    while (done < count) {
      if (source === (segment + 1) * segmentBytes) {
        segment = this.next[segment]!
        source = segment * segmentBytes
      }
      const piece = Math.min((segment + 1) * segmentBytes - source, count - done)
      if (piece <= LOOP_BYTES_MAX && this.#target.isOf(into))
        copyWords(this.#view, source, this.#target.view, to + done, piece)
      else into.set(this.#bytes.subarray(source, source + piece), to + done)
      done += piece
      source += piece
    }
  }

  /** Within the memory; the pieces do not overlap. */
  copyGranules(from: number, to: number, granules: number): void {
    if (granules > LOOP_BYTES_MAX / GRANULE_BYTES) {
      const start = from * GRANULE_BYTES
      this.#bytes.copyWithin(to * GRANULE_BYTES, start, start + granules * GRANULE_BYTES)
      return
    }
    const words = this.#words
    const source = from << 1
    const target = to << 1
    const count = granules << 1
    for (let i = 0; i < count; i++) words[target + i] = words[source + i]!
  }
}
