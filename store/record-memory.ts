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
 * Nothing here allocates but for the constructor, and copies of more than `LOOP_BYTES_MAX` bytes between the caller's array and
 * this memory: such a copy makes one view (100 bytes of garbage for each KiB or more).
 */

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

/** Up to here a loop over bytes is faster than a view and a copy by the engine; see bench/cache-time.ts. */
export const LOOP_BYTES_MAX = 512

/** Granules of a whole record. */
export function recordGranules(keyBytes: number, valueBytes: number): number {
  return (HEADER_BYTES + keyBytes + valueBytes + 7) >>> 3
}

export class RecordMemory {
  readonly segments: number
  readonly segmentGranules: number
  /** Of each segment the one that follows it: in its ring, or among the free ones. -1: none. */
  readonly next: Int32Array
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
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
    for (let i = 0; i < keyBytes; i++) {
      if (this.#bytes[start + i] !== key[i]) return false
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
    for (let i = 0; i < keyBytes; i++) this.#bytes[start + i] = key[i]!
  }

  /** The value, from the caller's array. The record's segments are linked already. */
  writeValue(at: number, value: Uint8Array, valueOffset: number): void {
    const valueBytes = this.valueBytesOf(at)
    const segmentBytes = this.segmentGranules * GRANULE_BYTES
    let target = at * GRANULE_BYTES + HEADER_BYTES + this.keyBytesOf(at)
    let segment = at >>> this.#shift
    let done = 0
    while (done < valueBytes) {
      let room = (segment + 1) * segmentBytes - target
      if (room === 0) {
        segment = this.next[segment]!
        target = segment * segmentBytes
        room = segmentBytes
      }
      const piece = Math.min(room, valueBytes - done)
      if (piece > LOOP_BYTES_MAX) {
        const from = valueOffset + done
        this.#bytes.set(value.subarray(from, from + piece), target)
      } else {
        const from = valueOffset + done
        for (let i = 0; i < piece; i++) this.#bytes[target + i] = value[from + i]!
      }
      done += piece
      target += piece
    }
  }

  /** The value, into the caller's array, which has room for it. */
  readValue(at: number, into: Uint8Array, intoOffset: number): void {
    const valueBytes = this.valueBytesOf(at)
    const segmentBytes = this.segmentGranules * GRANULE_BYTES
    let source = at * GRANULE_BYTES + HEADER_BYTES + this.keyBytesOf(at)
    let segment = at >>> this.#shift
    let done = 0
    while (done < valueBytes) {
      let room = (segment + 1) * segmentBytes - source
      if (room === 0) {
        segment = this.next[segment]!
        source = segment * segmentBytes
        room = segmentBytes
      }
      const piece = Math.min(room, valueBytes - done)
      const to = intoOffset + done
      if (piece > LOOP_BYTES_MAX) {
        into.set(this.#bytes.subarray(source, source + piece), to)
      } else {
        for (let i = 0; i < piece; i++) into[to + i] = this.#bytes[source + i]!
      }
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
    const source = from << 1
    const target = to << 1
    for (let i = 0; i < granules << 1; i++) this.#words[target + i] = this.#words[source + i]!
  }
}
