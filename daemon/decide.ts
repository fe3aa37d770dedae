/**
 * From a request to one command: the only switch over UBLK_IO_OP_*.
 *
 * Guarantees: exactly one command for each tag that is given, whatever the request is, unless the holder keeps its commit;
 * nothing is allocated, thrown or awaited.
 */

import {
  COMMAND_DISCARD,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_WRITE,
  type Queue,
} from '../ublk-native/index.js'
import {
  admitAppend,
  admitDiscard,
  admitRead,
  admitWrite,
  BLK_ZONE_BYTES,
  closeZone,
  EINVAL,
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
  type ZoneTable,
} from '../zone-model/index.js'
import type { Commands } from './commands.js'
import {
  COUNTER_APPEND_BYTES,
  COUNTER_APPENDS,
  COUNTER_DISCARDS,
  COUNTER_FAILED,
  COUNTER_FAULTS,
  COUNTER_FLUSHES,
  COUNTER_READ_BYTES,
  COUNTER_READS,
  COUNTER_REFUSED,
  COUNTER_REPORTS,
  COUNTER_REQUESTS,
  COUNTER_WRITE_BYTES,
  COUNTER_WRITES,
  COUNTER_ZONE_COMMANDS,
} from './counters.js'
import type { Refusals } from './refusals.js'
import type { Requests } from './requests.js'
import type { Gate, Holder } from './seams.js'
import type { SharedState } from './shared-state.js'

export class Decider {
  readonly #queue: Queue
  readonly #requests: Requests
  readonly #commands: Commands
  readonly #table: ZoneTable
  readonly #counters: Float64Array
  readonly #refusals: Refusals
  readonly #firstSlot: number
  readonly #offsetMask: number
  readonly #zoneCount: number
  readonly #discardZone: (zone: number) => number
  readonly #holder: Holder | null

  constructor(
    queue: Queue,
    requests: Requests,
    commands: Commands,
    state: SharedState,
    geometry: Geometry,
    media: Media,
    queueId: number,
    holder: Holder | null,
  ) {
    this.#queue = queue
    this.#requests = requests
    this.#commands = commands
    this.#table = state.table
    this.#counters = state.counters(queueId)
    this.#refusals = state.refusals(queueId)
    this.#firstSlot = queueId * state.table.depth
    this.#offsetMask = geometry.zoneSizeSectors - 1
    this.#zoneCount = geometry.zoneCount
    const zoneBytes = geometry.zoneSizeSectors * 512
    this.#discardZone = zone => media.recycle(zone * zoneBytes, zoneBytes)
    this.#holder = holder
  }

  /** Ask the model about one request, and write its command. */
  decide(tag: number): void {
    const op = this.#requests.op(tag)
    this.#counters[COUNTER_REQUESTS]! += 1
    switch (op) {
      case UBLK_IO_OP_READ:
        return this.#read(tag)
      case UBLK_IO_OP_WRITE:
        return this.#write(tag, this.#requests.sectors(tag))
      case UBLK_IO_OP_ZONE_APPEND:
        return this.#append(tag, this.#requests.sectors(tag))
      case UBLK_IO_OP_FLUSH:
        this.#counters[COUNTER_FLUSHES]! += 1
        if (this.#holder?.keeps(tag, op)) return
        this.#commands.add(COMMAND_FLUSH, tag, 0, 0)
        return
      case UBLK_IO_OP_DISCARD:
        return this.#discard(tag)
      case UBLK_IO_OP_WRITE_ZEROES:
        return this.#writeZeroes(tag)
      case UBLK_IO_OP_REPORT_ZONES:
        return this.#report(tag)
      case UBLK_IO_OP_ZONE_OPEN:
      case UBLK_IO_OP_ZONE_CLOSE:
      case UBLK_IO_OP_ZONE_FINISH:
      case UBLK_IO_OP_ZONE_RESET:
      case UBLK_IO_OP_ZONE_RESET_ALL:
        return this.#zoneCommand(tag, op)
      default:
        this.#counters[COUNTER_FAILED]! += 1
        return this.#commands.commit(tag, -EOPNOTSUPP)
    }
  }

  #read(tag: number): void {
    const requests = this.#requests
    const sectors = requests.sectors(tag)
    if (!requests.isWithin(tag)) return this.#outOfRange(tag)
    const status = admitRead(this.#table, requests.zone(tag), requests.offset(tag), sectors)
    if (status < 0) return this.#refuse(tag, status)
    this.#counters[COUNTER_READS]! += 1
    this.#counters[COUNTER_READ_BYTES]! += sectors * 512
    this.#transfer(COMMAND_READ, tag, sectors)
  }

  #write(tag: number, sectors: number): void {
    if (!this.#requests.isWithin(tag)) return this.#outOfRange(tag)
    const status = this.#admit(UBLK_IO_OP_WRITE, tag, sectors)
    if (status < 0) return this.#refuse(tag, status)
    if (this.#holder !== null && this.#requests.isFua(tag)) this.#holder.wroteDurably(tag)
    this.#transfer(COMMAND_WRITE, tag, sectors)
  }

  #append(tag: number, sectors: number): void {
    const requests = this.#requests
    if (!requests.isWithin(tag)) return this.#outOfRange(tag)
    const zone = requests.zone(tag)
    const offset = admitAppend(this.#table, this.#firstSlot + tag, zone, sectors)
    if (offset < 0) return this.#refuse(tag, offset)
    this.#counters[COUNTER_APPENDS]! += 1
    this.#counters[COUNTER_APPEND_BYTES]! += sectors * 512
    // The descriptor of an append names the start of the zone: low words cannot overflow within a zone.
    const low = ((requests.startLow(tag) & ~this.#offsetMask) | offset) >>> 0
    if (this.#holder !== null && requests.isFua(tag)) this.#holder.wroteDurably(tag)
    this.#commands.append(COMMAND_WRITE, tag, low, requests.startHigh(tag), sectors)
  }

  #writeZeroes(tag: number): void {
    const sectors = this.#requests.sectors(tag)
    if (!this.#requests.isWithin(tag)) return this.#outOfRange(tag)
    const status = this.#admit(UBLK_IO_OP_WRITE_ZEROES, tag, sectors)
    if (status < 0) return this.#refuse(tag, status)
    this.#transfer(COMMAND_DISCARD, tag, sectors)
  }

  /** Ask for the first `sectors` of a write or write-zeroes, and count them. */
  #admit(op: number, tag: number, sectors: number): number {
    const zone = this.#requests.zone(tag)
    const offset = this.#requests.offset(tag)
    const status = admitWrite(this.#table, this.#firstSlot + tag, op, zone, offset, sectors)
    if (status < 0) return status
    this.#counters[COUNTER_WRITES]! += 1
    this.#counters[COUNTER_WRITE_BYTES]! += sectors * 512
    return status
  }

  /** Deallocate (NVMe DSM): what was written reads as zeros; the write pointer stays. */
  #discard(tag: number): void {
    const requests = this.#requests
    const sectors = requests.sectors(tag)
    if (!requests.isWithin(tag)) return this.#outOfRange(tag)
    const status = admitDiscard(this.#table, requests.zone(tag), requests.offset(tag), sectors)
    if (status < 0) return this.#refuse(tag, status)
    this.#counters[COUNTER_DISCARDS]! += 1
    this.#transfer(COMMAND_DISCARD, tag, sectors)
  }

  /** The rest of the kernel's buffer is zeroed too: a zone of length 0 ends a report. */
  #report(tag: number): void {
    this.#counters[COUNTER_REPORTS]! += 1
    const stage = this.#queue.stage
    const wanted = this.#requests.sectors(tag) * BLK_ZONE_BYTES
    const bytes = Math.min(wanted, stage.length)
    const first = this.#requests.zone(tag)
    const fits = (bytes / BLK_ZONE_BYTES) | 0
    const filled = first < this.#zoneCount ? fillReport(this.#table, first, fits, stage) : 0
    stage.fill(0, filled * BLK_ZONE_BYTES, bytes)
    const result = this.#queue.supply(tag, bytes)
    if (result < 0) this.#counters[COUNTER_FAILED]! += 1
    this.#commands.commit(tag, result)
  }

  #zoneCommand(tag: number, op: number): void {
    this.#counters[COUNTER_ZONE_COMMANDS]! += 1
    const table = this.#table
    const zone = this.#requests.zone(tag)
    if (op !== UBLK_IO_OP_ZONE_RESET_ALL && zone >= this.#zoneCount) return this.#outOfRange(tag)
    let status = 0
    if (op === UBLK_IO_OP_ZONE_OPEN) status = openZone(table, zone)
    else if (op === UBLK_IO_OP_ZONE_CLOSE) status = closeZone(table, zone)
    else if (op === UBLK_IO_OP_ZONE_FINISH) status = finishZone(table, zone)
    else if (op === UBLK_IO_OP_ZONE_RESET) status = resetZone(table, zone, this.#discardZone)
    else status = resetAll(table, this.#discardZone)
    if (status < 0) return this.#refuse(tag, status)
    if (this.#holder?.keeps(tag, op)) return
    this.#commands.commit(tag, 0)
  }

  /** The first part is stored, the write pointer stands after it, and the request fails nonetheless. */
  tear(gate: Gate, tag: number): void {
    const part = gate.tornSectors(tag)
    const result = gate.tornResult(tag)
    if (part === 0) return this.failByOrder(gate, tag, result)
    this.#counters[COUNTER_REQUESTS]! += 1
    this.#rememberFault(gate, tag, result)
    if (this.#requests.op(tag) === UBLK_IO_OP_ZONE_APPEND) this.#append(tag, part)
    else this.#write(tag, part)
    this.#commands.failAfter(tag, result)
  }

  failByOrder(gate: Gate, tag: number, result: number): void {
    this.#counters[COUNTER_REQUESTS]! += 1
    this.#rememberFault(gate, tag, result)
    this.commitError(tag, result)
  }

  #rememberFault(gate: Gate, tag: number, result: number): void {
    this.#counters[COUNTER_FAULTS]! += 1
    this.#remember(tag, -result, gate.cause(tag))
  }

  /** A rule said no: remember why for `zslab explain`, commit the errno that Linux's NVMe driver would give. */
  #refuse(tag: number, status: number): void {
    this.#counters[COUNTER_REFUSED]! += 1
    this.#remember(tag, -status, 0)
    this.commitError(tag, -errnoOfStatus(-status))
  }

  #remember(tag: number, status: number, fault: number): void {
    const requests = this.#requests
    const zone = requests.zone(tag)
    const word = zone < this.#zoneCount ? this.#table.load(zone) : 0
    const low = requests.startLow(tag)
    const high = requests.startHigh(tag)
    const sectors = requests.sectors(tag)
    this.#refusals.record(requests.op(tag), low, high, sectors, zone, word, status, fault)
  }

  #outOfRange(tag: number): void {
    this.#counters[COUNTER_FAILED]! += 1
    this.#commands.commit(tag, -EINVAL)
  }

  commitError(tag: number, result: number): void {
    const requests = this.#requests
    if (requests.op(tag) !== UBLK_IO_OP_ZONE_APPEND) return this.#commands.commit(tag, result)
    this.#commands.commitAppend(tag, result, requests.startLow(tag), requests.startHigh(tag))
  }

  #transfer(kind: number, tag: number, sectors: number): void {
    const requests = this.#requests
    this.#commands.transfer(kind, tag, requests.startLow(tag), requests.startHigh(tag), sectors)
  }
}
