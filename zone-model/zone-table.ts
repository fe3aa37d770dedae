/**
 * The zone table: everything about a device's zones that several workers, and the process after a crash, must agree on.
 *
 * It lies in memory that the caller gives: a SharedArrayBuffer, or an ordinary ArrayBuffer over a mapped file. Layout:
 * table-layout.ts; zone word: zone-word.ts; rules: data-path.ts and transitions.ts. This file has the primitives.
 *
 * Guarantees
 * - A zone word changes only while its busy bit is held, and is published with one store: a process that is killed
 *   leaves the old word or the new one.
 * - Conditions and the open and closed counters change only under the transition lock, which is taken before any busy bit.
 *   A reset lets go of the lock while it discards, keeps the busy bit, and takes the lock again to end. So nobody waits for
 *   a busy bit for long while it has the lock: it lets go and begins again, and nobody waits in a circle.
 * - `recover()` makes a table that a killed process left behind whole again.
 *
 * The only file, with in-flight-log.ts, that uses Atomics. Hot: `load`, `tryTake` and `publish` allocate nothing.
 */
import { assert, ZoneModelError } from './errors.js'
import type { Geometry } from './geometry.js'
import { InFlightLog, type LogRecovery, nextBatch } from './in-flight-log.js'
import * as layout from './table-layout.js'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_IMP_OPEN,
  BLK_ZONE_COND_NOT_WP,
} from './uapi.js'
import { BUSY, conditionOf, packWord, wpOf } from './zone-word.js'

/** How often a contended lock is tried before the thread relaxes. About 10 µs. */
const SPINS_MAX = 1000
/** How often a zone is tried under the lock: longer than a write holds it, but others wait for the lock meanwhile. */
const TAKE_SPINS_MAX = 200
const RELAX_MS = 0.05

/** What {@link ZoneTable.recover} found. */
export interface TableRecovery extends LogRecovery {
  /** Zones that somebody was changing when the process died. */
  readonly busyZones: number
}

/** What a zone has been through since the table was formatted. */
export interface ZoneStatistics {
  readonly resets: number
  readonly finishes: number
  /** Writes and appends admitted, without those taken back. */
  readonly writes: number
  readonly writtenSectors: number
}

/** Sleeps a little without a lock: on a word of our own, because a mapped file's memory cannot be waited on. */
function sleepingRelax(): () => void {
  const word = new Int32Array(new SharedArrayBuffer(4))
  return () => {
    Atomics.wait(word, 0, 0, RELAX_MS)
  }
}

/** The words that say what a table was made for, in the order of the header; index 0 is the magic number. */
function identity(geometry: Geometry, queueCount: number, depth: number): number[] {
  return [
    layout.TABLE_MAGIC,
    layout.TABLE_VERSION,
    geometry.zoneCount,
    geometry.conventionalCount,
    geometry.zoneShift,
    geometry.zoneCapacitySectors,
    geometry.blockSectors,
    geometry.maxOpen,
    geometry.maxActive,
    geometry.maxAppendSectors,
    queueCount,
    depth,
  ]
}

const IDENTITY_NAMES = [
  'magic number',
  'version',
  'zone count',
  'conventional zones',
  'zone size (log2 of sectors)',
  'zone capacity (sectors)',
  'block size (sectors)',
  'max open',
  'max active',
  'max append (sectors)',
  'queues',
  'depth',
]

function refuseMemory(message: string): never {
  throw new ZoneModelError('ZONE_ERR_TABLE', message)
}

function checkMemory(memory: Int32Array, words: number): void {
  if (memory.length < words) {
    refuseMemory(
      `the table needs ${words} words but the memory has ${memory.length}: map it larger`,
    )
  }
  if (memory.byteOffset % 8 !== 0) {
    refuseMemory(`the memory begins at byte ${memory.byteOffset}: marks need a multiple of 8`)
  }
}

export class ZoneTable {
  readonly zoneCount: number
  readonly conventionalCount: number
  readonly zoneSizeSectors: number
  readonly capacitySectors: number
  /** Sectors of a block less one: what an aligned number has no bit of. */
  readonly blockMask: number
  readonly maxOpen: number
  readonly maxActive: number
  readonly maxAppendSectors: number
  readonly log: InFlightLog
  private readonly zoneBase: number
  private readonly queueBase: number

  /**
   * Attaches to a formatted table.
   *
   * @param words - begins at the table's first word, at an address that is a multiple of 8
   * @param relax - called when a lock has been tried for long; the default sleeps 50 µs
   * @throws ZoneModelError `ZONE_ERR_TABLE` when the memory is too small or holds a table made for something else
   */
  constructor(
    private readonly words: Int32Array,
    readonly geometry: Geometry,
    readonly queueCount: number,
    readonly depth: number,
    private readonly relax: () => void = sleepingRelax(),
  ) {
    const where = layout.layoutTable(geometry, queueCount, depth)
    checkMemory(words, where.words)
    const wanted = identity(geometry, queueCount, depth)
    for (const [index, value] of wanted.entries()) {
      const found = words[index]!
      if (found === value) continue
      refuseMemory(
        `this memory holds another table: its ${IDENTITY_NAMES[index]} is ${found}, not ${value}. ` +
          'Attach with the options that it was made with, or delete the device and make it anew',
      )
    }
    this.zoneCount = geometry.zoneCount
    this.conventionalCount = geometry.conventionalCount
    this.zoneSizeSectors = geometry.zoneSizeSectors
    this.capacitySectors = geometry.zoneCapacitySectors
    this.blockMask = geometry.blockSectors - 1
    this.maxOpen = geometry.maxOpen
    this.maxActive = geometry.maxActive
    this.maxAppendSectors = geometry.maxAppendSectors
    this.zoneBase = where.zoneBase
    this.queueBase = where.queueBase
    this.log = new InFlightLog(words, where, queueCount, depth)
  }

  /** How many Int32 words a table takes. */
  static wordsNeeded(geometry: Geometry, queueCount: number, depth: number): number {
    return layout.layoutTable(geometry, queueCount, depth).words
  }

  /** Writes a new table: conventional zones without a write pointer, all others empty. Nobody may be attached. */
  static format(memory: Int32Array, geometry: Geometry, queueCount: number, depth: number): void {
    const where = layout.layoutTable(geometry, queueCount, depth)
    checkMemory(memory, where.words)
    memory.fill(0, 0, where.words)
    const conventional = packWord(BLK_ZONE_COND_NOT_WP, 0)
    const empty = packWord(BLK_ZONE_COND_EMPTY, 0)
    for (let zone = 0; zone < geometry.zoneCount; zone++) {
      memory[where.zoneBase + zone * layout.ZONE_WORDS] =
        zone < geometry.conventionalCount ? conventional : empty
    }
    const [magic, ...rest] = identity(geometry, queueCount, depth)
    memory.set(rest, layout.HEADER_VERSION)
    Atomics.store(memory, layout.HEADER_MAGIC, magic!)
  }

  /**
   * The zone's word, busy or not. A plain read: a 32-bit word is never torn, whoever acts on it takes the zone by
   * comparing it again, and Atomics.load costs V8 a call of 10 ns.
   */
  load(zone: number): number {
    return this.words[this.zoneBase + zone * layout.ZONE_WORDS]!
  }

  /** The same for a loop that waits: a compiler may not take this read out of it. */
  loadAgain(zone: number): number {
    return Atomics.load(this.words, this.zoneBase + zone * layout.ZONE_WORDS)
  }

  /** Takes the zone if its word is still this one, which must not be busy. */
  tryTake(zone: number, word: number): boolean {
    const index = this.zoneBase + zone * layout.ZONE_WORDS
    return Atomics.compareExchange(this.words, index, word, word | BUSY) === word
  }

  /**
   * Takes the zone, waiting about as long as a write holds one; gives its word. With busy in it, somebody else has the
   * zone, perhaps for long: let go of the lock, {@link pause}, and begin again. Only under the transition lock.
   */
  take(zone: number): number {
    for (let spins = 0; ; spins++) {
      const word = this.loadAgain(zone)
      if ((word & BUSY) === 0 && this.tryTake(zone, word)) return word
      if (spins >= TAKE_SPINS_MAX) return word | BUSY
    }
  }

  /** Lets others run. Never with the lock or a zone. */
  pause(): void {
    this.relax()
  }

  /** Publishes the zone's new word and gives the zone back. */
  publish(zone: number, word: number): void {
    Atomics.store(this.words, this.zoneBase + zone * layout.ZONE_WORDS, word)
  }

  /** Takes the transition lock. Never while a zone is held. */
  lock(): void {
    for (let spins = 0; ; spins++) {
      if (Atomics.compareExchange(this.words, layout.HEADER_LOCK, 0, 1) === 0) return
      if (spins >= SPINS_MAX) this.relax()
    }
  }

  unlock(): void {
    Atomics.store(this.words, layout.HEADER_LOCK, 0)
  }

  get implicitOpen(): number {
    return this.words[layout.HEADER_IMPLICIT_OPEN]!
  }

  get explicitOpen(): number {
    return this.words[layout.HEADER_EXPLICIT_OPEN]!
  }

  get closed(): number {
    return this.words[layout.HEADER_CLOSED]!
  }

  /** Adds to the number of zones in a condition; conditions that use no resources are not counted. Under the lock. */
  countCondition(condition: number, by: number): void {
    const words = this.words
    if (condition === BLK_ZONE_COND_IMP_OPEN) {
      words[layout.HEADER_IMPLICIT_OPEN] = words[layout.HEADER_IMPLICIT_OPEN]! + by
    } else if (condition === BLK_ZONE_COND_EXP_OPEN) {
      words[layout.HEADER_EXPLICIT_OPEN] = words[layout.HEADER_EXPLICIT_OPEN]! + by
    } else if (condition === BLK_ZONE_COND_CLOSED) {
      words[layout.HEADER_CLOSED] = words[layout.HEADER_CLOSED]! + by
    }
  }

  /** Where the search for a zone to close automatically goes on. Under the lock. */
  get nextToClose(): number {
    return this.words[layout.HEADER_NEXT_TO_CLOSE]!
  }

  set nextToClose(zone: number) {
    this.words[layout.HEADER_NEXT_TO_CLOSE] = zone
  }

  /** Counts a write, or with -1 takes one back. While the zone is held. Its sectors are counted when it is emptied. */
  countWrite(zone: number, by: number): void {
    const base = this.zoneBase + zone * layout.ZONE_WORDS
    this.words[base + layout.ZONE_WRITES] = this.words[base + layout.ZONE_WRITES]! + by
    if (by > 0) return
    this.words[base + layout.ZONE_UNDONE] = this.words[base + layout.ZONE_UNDONE]! + 1
  }

  /**
   * Adds to what `statistics` adds to the write pointer to get the sectors written in a zone's life: at a reset the write
   * pointer that is lost, at a finish (negative) what was skipped. While the zone is held.
   */
  private addSectors(zone: number, sectors: number): void {
    const index = this.zoneBase + zone * layout.ZONE_WORDS
    const total = this.sectorsBefore(index) + sectors
    const high = Math.floor(total / 2 ** 32)
    this.words[index + layout.ZONE_SECTORS_LOW] = total - high * 2 ** 32
    this.words[index + layout.ZONE_SECTORS_HIGH] = high
  }

  private sectorsBefore(index: number): number {
    const low = this.words[index + layout.ZONE_SECTORS_LOW]! >>> 0
    return this.words[index + layout.ZONE_SECTORS_HIGH]! * 2 ** 32 + low
  }

  /** Counts a reset of a zone whose write pointer is here. While the zone is held. */
  countReset(zone: number, wpSectors: number): void {
    this.addSectors(zone, wpSectors)
    const index = this.zoneBase + zone * layout.ZONE_WORDS + layout.ZONE_RESETS
    this.words[index] = this.words[index]! + 1
  }

  /** Counts a finish of a zone whose write pointer is here. While the zone is held. */
  countFinish(zone: number, wpSectors: number): void {
    this.addSectors(zone, wpSectors - this.capacitySectors)
    const index = this.zoneBase + zone * layout.ZONE_WORDS + layout.ZONE_FINISHES
    this.words[index] = this.words[index]! + 1
  }

  /** A copy of the zone's statistics; the numbers may be of slightly different moments. */
  statistics(zone: number): ZoneStatistics {
    const index = this.zoneBase + zone * layout.ZONE_WORDS
    return {
      resets: this.words[index + layout.ZONE_RESETS]! >>> 0,
      finishes: this.words[index + layout.ZONE_FINISHES]! >>> 0,
      writes: this.words[index + layout.ZONE_WRITES]! >>> 0,
      writtenSectors: this.sectorsBefore(index) + wpOf(this.load(zone)),
    }
  }

  /**
   * Begins a turn of a queue: clears the mark that this turn will set, then takes the turn's number. Everything of earlier
   * turns then counts as committed, so reservations whose copy failed must have been undone before.
   *
   * @returns the parity of the turn: which mark the turn's last SQE must write
   */
  beginBatch(queue: number): number {
    const base = this.queueBase + queue * layout.QUEUE_WORDS
    const batch = nextBatch(this.words[base + layout.QUEUE_BATCH]!)
    const parity = batch & 1
    const mark = base + layout.QUEUE_MARKS + parity * 2
    if (batch === 0) this.log.dropQueue(queue)
    Atomics.store(this.words, mark, 0)
    this.words[mark + 1] = 0
    Atomics.store(this.words, base + layout.QUEUE_BATCH, batch)
    return parity
  }

  /** The number of the turn that a queue is in, or was in last. */
  batchOf(queue: number): number {
    return Atomics.load(
      this.words,
      this.queueBase + queue * layout.QUEUE_WORDS + layout.QUEUE_BATCH,
    )
  }

  /** Where all that the table has of a zone is: bytes from the first word of the table. */
  zoneByteOffset(zone: number): number {
    return (this.zoneBase + zone * layout.ZONE_WORDS) * 4
  }

  /** Where a queue's mark of that parity is: bytes from the first word of the table; a multiple of 8; 8 bytes long. */
  markByteOffset(queue: number, parity: number): number {
    assert(queue >= 0 && queue < this.queueCount, 'queue exists')
    return (this.queueBase + queue * layout.QUEUE_WORDS + layout.QUEUE_MARKS + (parity & 1) * 2) * 4
  }

  /**
   * Makes a table whole that a killed process left: gives back the lock and all zones, counts conditions again, and
   * decides which reservations count (docs/BOUNDARY.md). Alone: no other thread or process may use the table. A crash in
   * the middle does no harm; call it again.
   *
   * @param isReissued - whether the kernel will deliver the requests in flight again (UBLK_F_USER_RECOVERY_REISSUE)
   */
  recover(isReissued = true): TableRecovery {
    let busyZones = 0
    const counts = new Map<number, number>()
    for (let zone = 0; zone < this.zoneCount; zone++) {
      const word = this.load(zone)
      if ((word & BUSY) !== 0) {
        busyZones++
        this.publish(zone, word & ~BUSY)
      }
      const condition = conditionOf(word)
      counts.set(condition, (counts.get(condition) ?? 0) + 1)
    }
    this.words[layout.HEADER_IMPLICIT_OPEN] = counts.get(BLK_ZONE_COND_IMP_OPEN) ?? 0
    this.words[layout.HEADER_EXPLICIT_OPEN] = counts.get(BLK_ZONE_COND_EXP_OPEN) ?? 0
    this.words[layout.HEADER_CLOSED] = counts.get(BLK_ZONE_COND_CLOSED) ?? 0
    const found = this.log.recover(isReissued)
    this.unlock()
    return { ...found, busyZones }
  }
}
