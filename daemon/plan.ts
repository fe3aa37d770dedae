/**
 * From a ublk descriptor to one command: the only switch over UBLK_IO_OP_*.
 *
 * Guarantees: exactly one command for each tag of a turn, whatever the request is; nothing is allocated, thrown or awaited.
 * A descriptor is 6 words (op and flags, sectors or zones, start low, start high, unused, unused), in 512-byte sectors;
 * the kernel splits reads, writes and appends at zone borders (chunk_sectors); discards and write-zeroes may reach over.
 */

import {
  COMMAND_APPEND_BIT,
  COMMAND_COMMIT,
  COMMAND_DISCARD,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_WORDS,
  COMMAND_WRITE,
  DESCRIPTOR_WORDS,
  type Queue,
  TAG_FAILED,
} from '../ublk-native/index.js'
import {
  admitAppend,
  admitDiscard,
  admitRead,
  admitWrite,
  BLK_ZONE_BYTES,
  closeZone,
  type DiscardExtent,
  EINVAL,
  EIO,
  EOPNOTSUPP,
  errnoOfStatus,
  fillReport,
  finishZone,
  type Geometry,
  type Media,
  openZone,
  resetAll,
  resetZone,
  UBLK_IO_OP_DISCARD,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_REPORT_ZONES,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_WRITE_ZEROES,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_CLOSE,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
  undoWrite,
  type ZoneTable,
} from '../zone-model/index.js'
import {
  COUNTER_APPEND_BYTES,
  COUNTER_APPENDS,
  COUNTER_DISCARDS,
  COUNTER_FAILED,
  COUNTER_FLUSHES,
  COUNTER_READ_BYTES,
  COUNTER_READS,
  COUNTER_REFUSED,
  COUNTER_REPORTS,
  COUNTER_REQUESTS,
  COUNTER_TURNS,
  COUNTER_WRITE_BYTES,
  COUNTER_WRITES,
  COUNTER_ZONE_COMMANDS,
} from './counters.js'
import type { Refusals } from './refusals.js'
import type { SharedState } from './shared-state.js'

const OP_MASK = 0xff
const SECTOR_SHIFT = 9
/** The turn's parity rides on the count that goes back to commitAndFetch. */
const PARITY_SHIFT = 16

export class Planner {
  readonly #queue: Queue
  readonly #descriptors: Uint32Array
  readonly #commands: Int32Array
  readonly #table: ZoneTable
  readonly #counters: Float64Array
  readonly #refusals: Refusals
  readonly #queueId: number
  readonly #firstSlot: number
  readonly #zoneShift: number
  readonly #offsetMask: number
  readonly #totalSectors: number
  readonly #conventionalCount: number
  readonly #zoneCount: number
  /** Where the last turn put a tag's command, to find what a failed one said. */
  readonly #commandOfTag: Int32Array
  readonly #failedResult: Int32Array
  readonly #discardExtent: DiscardExtent
  readonly #discardZone: (zone: number) => number

  constructor(
    queue: Queue,
    state: SharedState,
    geometry: Geometry,
    media: Media,
    queueId: number,
    depth: number,
  ) {
    this.#queue = queue
    this.#descriptors = queue.descriptors
    this.#commands = queue.commands
    this.#table = state.table
    this.#counters = state.counters(queueId)
    this.#refusals = state.refusals(queueId)
    this.#queueId = queueId
    this.#firstSlot = queueId * depth
    this.#zoneShift = geometry.zoneShift
    this.#offsetMask = geometry.zoneSizeSectors - 1
    this.#totalSectors = geometry.totalSectors
    this.#conventionalCount = geometry.conventionalCount
    this.#zoneCount = geometry.zoneCount
    this.#commandOfTag = new Int32Array(depth)
    this.#failedResult = new Int32Array(depth)
    const zoneBytes = geometry.zoneSizeSectors * 512
    this.#discardExtent = (zone, offset, count) =>
      media.discard(zone * zoneBytes + offset * 512, count * 512)
    this.#discardZone = zone => media.recycle(zone * zoneBytes, zoneBytes)
  }

  /**
   * Plan the `ready` tags that the last turn delivered, in their order. Returns what commitAndFetch takes: the number of
   * commands, and the parity of the batch that they belong to.
   *
   * Writes that failed are taken back first, the last one first, as the write pointer went: their log entries belong to the
   * last batch, and are lost from the moment the next one begins (docs/BOUNDARY.md). Then resets, which throw bytes away
   * here and now: after a write of the same turn, they would do so before its bytes are copied.
   */
  planTurn(ready: number): number {
    const tags = this.#queue.tags
    this.#counters[COUNTER_TURNS]! += 1
    let hasResets = false
    for (let i = ready - 1; i >= 0; i--) {
      const tag = tags[i]!
      if ((tag & TAG_FAILED) !== 0) this.#takeBack(tag ^ TAG_FAILED)
      else if (this.#isReset(tag)) hasResets = true
    }
    const parity = this.#table.beginBatch(this.#queueId)
    if (hasResets)
      for (let i = 0; i < ready; i++)
        if ((tags[i]! & TAG_FAILED) === 0 && this.#isReset(tags[i]!)) this.#plan(i, tags[i]!)
    for (let i = 0; i < ready; i++) {
      const tag = tags[i]!
      if ((tag & TAG_FAILED) !== 0) this.#commitFailed(i, tag ^ TAG_FAILED)
      else if (!hasResets || !this.#isReset(tag)) this.#plan(i, tag)
    }
    return ready | (parity << PARITY_SHIFT)
  }

  #isReset(tag: number): boolean {
    const op = this.#descriptors[tag * DESCRIPTOR_WORDS]! & OP_MASK
    return op === UBLK_IO_OP_ZONE_RESET || op === UBLK_IO_OP_ZONE_RESET_ALL
  }

  #plan(i: number, tag: number): void {
    const d = tag * DESCRIPTOR_WORDS
    const op = this.#descriptors[d]! & OP_MASK
    this.#counters[COUNTER_REQUESTS]! += 1
    this.#commandOfTag[tag] = i
    switch (op) {
      case UBLK_IO_OP_READ:
        return this.#read(i, tag, d)
      case UBLK_IO_OP_WRITE:
        return this.#write(i, tag, d)
      case UBLK_IO_OP_ZONE_APPEND:
        return this.#append(i, tag, d)
      case UBLK_IO_OP_FLUSH:
        this.#counters[COUNTER_FLUSHES]! += 1
        return this.#command(i, COMMAND_FLUSH, tag, 0, 0)
      case UBLK_IO_OP_DISCARD:
        return this.#discard(i, tag, d)
      case UBLK_IO_OP_WRITE_ZEROES:
        return this.#writeZeroes(i, tag, d)
      case UBLK_IO_OP_REPORT_ZONES:
        return this.#report(i, tag, d)
      case UBLK_IO_OP_ZONE_OPEN:
      case UBLK_IO_OP_ZONE_CLOSE:
      case UBLK_IO_OP_ZONE_FINISH:
      case UBLK_IO_OP_ZONE_RESET:
      case UBLK_IO_OP_ZONE_RESET_ALL:
        return this.#zoneCommand(i, tag, d, op)
      default:
        this.#counters[COUNTER_FAILED]! += 1
        return this.#command(i, COMMAND_COMMIT, tag, -EOPNOTSUPP, 0)
    }
  }

  #read(i: number, tag: number, d: number): void {
    const sectors = this.#descriptors[d + 1]!
    if (!this.#within(d, sectors)) return this.#outOfRange(i, tag)
    const status = admitRead(this.#table, this.#zoneOf(d), this.#offsetOf(d), sectors)
    if (status < 0) return this.#refuse(i, tag, d, status)
    this.#counters[COUNTER_READS]! += 1
    this.#counters[COUNTER_READ_BYTES]! += sectors * 512
    this.#transfer(i, COMMAND_READ, tag, this.#startLow(d), this.#startHigh(d), sectors)
  }

  #write(i: number, tag: number, d: number): void {
    const sectors = this.#descriptors[d + 1]!
    if (!this.#within(d, sectors)) return this.#outOfRange(i, tag)
    const slot = this.#firstSlot + tag
    const zone = this.#zoneOf(d)
    const status = admitWrite(this.#table, slot, UBLK_IO_OP_WRITE, zone, this.#offsetOf(d), sectors)
    if (status < 0) return this.#refuse(i, tag, d, status)
    this.#counters[COUNTER_WRITES]! += 1
    this.#counters[COUNTER_WRITE_BYTES]! += sectors * 512
    this.#transfer(i, COMMAND_WRITE, tag, this.#startLow(d), this.#startHigh(d), sectors)
  }

  #append(i: number, tag: number, d: number): void {
    const sectors = this.#descriptors[d + 1]!
    if (!this.#within(d, sectors)) return this.#outOfRange(i, tag)
    const zone = this.#zoneOf(d)
    const offset = admitAppend(this.#table, this.#firstSlot + tag, zone, sectors)
    if (offset < 0) return this.#refuse(i, tag, d, offset)
    this.#counters[COUNTER_APPENDS]! += 1
    this.#counters[COUNTER_APPEND_BYTES]! += sectors * 512
    // The descriptor of an append names the start of the zone: low words cannot overflow within a zone.
    const low = ((this.#startLow(d) & ~this.#offsetMask) | offset) >>> 0
    const high = this.#startHigh(d)
    this.#transfer(i, COMMAND_WRITE | COMMAND_APPEND_BIT, tag, low, high, sectors)
    const c = i * COMMAND_WORDS
    this.#commands[c + 6] = low
    this.#commands[c + 7] = high
  }

  #writeZeroes(i: number, tag: number, d: number): void {
    const sectors = this.#descriptors[d + 1]!
    if (!this.#within(d, sectors)) return this.#outOfRange(i, tag)
    const zone = this.#zoneOf(d)
    const slot = this.#firstSlot + tag
    const status = admitWrite(
      this.#table,
      slot,
      UBLK_IO_OP_WRITE_ZEROES,
      zone,
      this.#offsetOf(d),
      sectors,
    )
    if (status < 0) return this.#refuse(i, tag, d, status)
    this.#counters[COUNTER_WRITES]! += 1
    this.#counters[COUNTER_WRITE_BYTES]! += sectors * 512
    this.#transfer(i, COMMAND_DISCARD, tag, this.#startLow(d), this.#startHigh(d), sectors)
  }

  /** Deallocate (NVMe DSM): what was written reads as zeros; the write pointer stays. */
  #discard(i: number, tag: number, d: number): void {
    const sectors = this.#descriptors[d + 1]!
    if (!this.#within(d, sectors)) return this.#outOfRange(i, tag)
    const status = admitDiscard(this.#table, this.#zoneOf(d), this.#offsetOf(d), sectors)
    if (status < 0) return this.#refuse(i, tag, d, status)
    this.#counters[COUNTER_DISCARDS]! += 1
    this.#transfer(i, COMMAND_DISCARD, tag, this.#startLow(d), this.#startHigh(d), sectors)
  }

  /** The rest of the kernel's buffer is zeroed too: a zone of length 0 ends a report. */
  #report(i: number, tag: number, d: number): void {
    this.#counters[COUNTER_REPORTS]! += 1
    const stage = this.#queue.stage
    const wanted = this.#descriptors[d + 1]! * BLK_ZONE_BYTES
    const bytes = Math.min(wanted, stage.length)
    const first = this.#zoneOf(d)
    const fits = (bytes / BLK_ZONE_BYTES) | 0
    const filled = first < this.#zoneCount ? fillReport(this.#table, first, fits, stage) : 0
    stage.fill(0, filled * BLK_ZONE_BYTES, bytes)
    const result = this.#queue.supply(tag, bytes)
    if (result < 0) this.#counters[COUNTER_FAILED]! += 1
    this.#command(i, COMMAND_COMMIT, tag, result, 0)
  }

  #zoneCommand(i: number, tag: number, d: number, op: number): void {
    this.#counters[COUNTER_ZONE_COMMANDS]! += 1
    const table = this.#table
    const zone = this.#zoneOf(d)
    if (op !== UBLK_IO_OP_ZONE_RESET_ALL && zone >= this.#zoneCount) return this.#outOfRange(i, tag)
    let status = 0
    if (op === UBLK_IO_OP_ZONE_OPEN) status = openZone(table, zone)
    else if (op === UBLK_IO_OP_ZONE_CLOSE) status = closeZone(table, zone)
    else if (op === UBLK_IO_OP_ZONE_FINISH) status = finishZone(table, zone)
    else if (op === UBLK_IO_OP_ZONE_RESET) status = resetZone(table, zone, this.#discardZone)
    else status = resetAll(table, this.#discardZone)
    if (status < 0) return this.#refuse(i, tag, d, status)
    this.#command(i, COMMAND_COMMIT, tag, 0, 0)
  }

  /** A rule said no: remember why for `zslab explain`, commit the errno that Linux's NVMe driver would give. */
  #refuse(i: number, tag: number, d: number, status: number): void {
    this.#counters[COUNTER_REFUSED]! += 1
    const op = this.#descriptors[d]! & OP_MASK
    const low = this.#startLow(d)
    const high = this.#startHigh(d)
    const zone = this.#zoneOf(d)
    const word = this.#table.load(zone)
    this.#refusals.record(op, low, high, this.#descriptors[d + 1]!, zone, word, -status)
    if (op !== UBLK_IO_OP_ZONE_APPEND) {
      return this.#command(i, COMMAND_COMMIT, tag, -errnoOfStatus(-status), 0)
    }
    // The kernel takes the address of an append's commit as its sector even when the append failed.
    this.#command(i, COMMAND_COMMIT | COMMAND_APPEND_BIT, tag, -errnoOfStatus(-status), 0)
    const c = i * COMMAND_WORDS
    this.#commands[c + 6] = low
    this.#commands[c + 7] = high
  }

  #outOfRange(i: number, tag: number): void {
    this.#counters[COUNTER_FAILED]! += 1
    this.#command(i, COMMAND_COMMIT, tag, -EINVAL, 0)
  }

  /** The copy of a write failed: nobody has been told, so the write pointer goes back and its bytes are forgotten. */
  #takeBack(tag: number): void {
    const d = tag * DESCRIPTOR_WORDS
    const c = this.#commandOfTag[tag]! * COMMAND_WORDS
    this.#failedResult[tag] = this.#commands[c + 2]!
    if (this.#zoneOf(d) < this.#conventionalCount) return
    undoWrite(this.#table, this.#firstSlot + tag, this.#discardExtent)
  }

  #commitFailed(i: number, tag: number): void {
    const d = tag * DESCRIPTOR_WORDS
    this.#counters[COUNTER_FAILED]! += 1
    this.#commandOfTag[tag] = i
    const result = this.#failedResult[tag]!
    const isAppend = (this.#descriptors[d]! & OP_MASK) === UBLK_IO_OP_ZONE_APPEND
    const kind = isAppend ? COMMAND_COMMIT | COMMAND_APPEND_BIT : COMMAND_COMMIT
    this.#command(i, kind, tag, result < 0 ? result : -EIO, 0)
    if (!isAppend) return
    this.#commands[i * COMMAND_WORDS + 6] = this.#startLow(d)
    this.#commands[i * COMMAND_WORDS + 7] = this.#startHigh(d)
  }

  #command(i: number, kind: number, tag: number, result: number, bytes: number): void {
    const commands = this.#commands
    const c = i * COMMAND_WORDS
    commands[c] = kind
    commands[c + 1] = tag
    commands[c + 2] = result
    commands[c + 3] = bytes
    commands[c + 6] = 0
    commands[c + 7] = 0
  }

  /** A command that moves or drops bytes: the media's offset is the sector's, in bytes. */
  #transfer(
    i: number,
    kind: number,
    tag: number,
    low: number,
    high: number,
    sectors: number,
  ): void {
    this.#command(i, kind, tag, 0, sectors << SECTOR_SHIFT)
    const c = i * COMMAND_WORDS
    this.#commands[c + 4] = low << SECTOR_SHIFT
    this.#commands[c + 5] = (high << SECTOR_SHIFT) | (low >>> (32 - SECTOR_SHIFT))
  }

  #startLow(d: number): number {
    return this.#descriptors[d + 2]!
  }

  #startHigh(d: number): number {
    return this.#descriptors[d + 3]!
  }

  #zoneOf(d: number): number {
    const shift = this.#zoneShift
    return (this.#startHigh(d) << (32 - shift)) | (this.#startLow(d) >>> shift)
  }

  #offsetOf(d: number): number {
    return this.#startLow(d) & this.#offsetMask
  }

  #within(d: number, sectors: number): boolean {
    return this.#startHigh(d) * 0x100000000 + this.#startLow(d) + sectors <= this.#totalSectors
  }
}
