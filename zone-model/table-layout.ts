/**
 * Where everything lies in the shared memory of a device. All numbers are indices of Int32 words.
 *
 * ```
 * ┌── 64 words: header ────────────────────────────────────────────────────────────────┐
 * │ line 0  magic, version, geometry, queues, depth          written once, when formatted │
 * │ line 1  transition lock, open and closed counters        written under that lock      │
 * │ line 2  how many outstanding entries                     read by every append         │
 * ├── 16 words a queue: batch number, two marks of 64 bits ───────────────────────────────┤
 * ├── 16 words a zone: zone word, statistics ─────────────────────────────────────────────┤
 * ├── 8 words a tag: the in-flight log ────────────────────────────────────────────────────┤
 * ├── 8 words an entry, twice as many as tags: outstanding entries ───────────────────────┤
 * └───────────────────────────────────────────────────────────────────────────────────────┘
 * ```
 *
 * A zone has a cache line of its own, because two workers that write neighbouring zones must not fight for one, and
 * its statistics are in the line that whoever writes the zone owns already. 16384 zones are 1 MiB.
 */
import type { Geometry } from './geometry.js'

/** "ZSLB", little-endian. Written last when a table is formatted: a half-formatted one cannot be attached. */
export const TABLE_MAGIC = 0x424c535a
export const TABLE_VERSION = 1

const LINE_WORDS = 16
const HEADER_WORDS = 64

export const HEADER_MAGIC = 0
export const HEADER_VERSION = 1
export const HEADER_ZONE_COUNT = 2
export const HEADER_CONVENTIONAL_COUNT = 3
export const HEADER_ZONE_SHIFT = 4
export const HEADER_CAPACITY_SECTORS = 5
export const HEADER_BLOCK_SECTORS = 6
export const HEADER_MAX_OPEN = 7
export const HEADER_MAX_ACTIVE = 8
export const HEADER_MAX_APPEND_SECTORS = 9
export const HEADER_QUEUE_COUNT = 10
export const HEADER_DEPTH = 11

export const HEADER_LOCK = 16
export const HEADER_IMPLICIT_OPEN = 17
export const HEADER_EXPLICIT_OPEN = 18
export const HEADER_CLOSED = 19
export const HEADER_NEXT_TO_CLOSE = 20

export const HEADER_OUTSTANDING = 32
export const HEADER_OUTSTANDING_APPENDS = 33
export const HEADER_RECOVERIES = 34

export const QUEUE_WORDS = LINE_WORDS
export const QUEUE_BATCH = 0
/** Marks of even and odd batches: 64 bits each, at 8-byte aligned offsets, because the kernel writes 8 bytes. */
export const QUEUE_MARKS = 2

export const ZONE_WORDS = LINE_WORDS
export const ZONE_WORD = 0
export const ZONE_RESETS = 1
export const ZONE_FINISHES = 2
export const ZONE_WRITES = 3
export const ZONE_SECTORS_LOW = 4
export const ZONE_SECTORS_HIGH = 5
/** How often a write has been taken back: what a copy of the table is checked by. */
export const ZONE_UNDONE = 6

export const ENTRY_WORDS = 8
/** Bits 0-3 state, bits 4-31 batch. */
export const ENTRY_STATE = 0
export const ENTRY_OP = 1
export const ENTRY_ZONE = 2
export const ENTRY_OFFSET = 3
export const ENTRY_COUNT = 4
/** Of an outstanding entry: after which recovery it was made. */
export const ENTRY_RECOVERY = 5
/** The zone word before the reservation: what {@link undoWrite} goes back to. */
export const ENTRY_BEFORE = 6

/** Indices and counts derived from geometry, queues and depth. */
export interface TableLayout {
  readonly queueBase: number
  readonly zoneBase: number
  readonly logBase: number
  readonly outstandingBase: number
  readonly outstandingCapacity: number
  readonly words: number
}

/** Lays a table out. Pure arithmetic; the same for every process. */
export function layoutTable(geometry: Geometry, queueCount: number, depth: number): TableLayout {
  const queueBase = HEADER_WORDS
  const zoneBase = queueBase + queueCount * QUEUE_WORDS
  const logBase = zoneBase + geometry.zoneCount * ZONE_WORDS
  const outstandingBase = logBase + queueCount * depth * ENTRY_WORDS
  const outstandingCapacity = 2 * queueCount * depth
  return {
    queueBase,
    zoneBase,
    logBase,
    outstandingBase,
    outstandingCapacity,
    words: outstandingBase + outstandingCapacity * ENTRY_WORDS,
  }
}
