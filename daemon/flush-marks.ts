/**
 * How far each zone of a drive in memory had been written when it was flushed last: what a power cut may not take.
 *
 * One Int32 a zone, sectors from its start, in the file `flushed` of the device: all workers write it, and it outlives them.
 * Kept by the rules of a volatile write cache (NVMe Base Specification, Flush; FUA of a write): a flush covers what was
 * acknowledged before it, a write with FUA itself, and a reset or finish is durable at once. A mark may cover a little more than
 * that (what is being written while the flush comes), never less.
 *
 * It is a Holder that keeps nothing: it only has to be told. Hot file.
 */
import {
  type Geometry,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
  wpOf,
  type ZoneTable,
} from '../zone-model/index.js'
import type { Requests } from './requests.js'
import type { Holder } from './seams.js'

/** Bytes of the `flushed` file. */
export function flushMarkBytes(geometry: Geometry): number {
  return geometry.zoneCount * 4
}

export class FlushMarks implements Holder {
  readonly #marks: Int32Array
  readonly #table: ZoneTable
  readonly #requests: Requests

  constructor(marks: Int32Array, table: ZoneTable, requests: Requests) {
    this.#marks = marks
    this.#table = table
    this.#requests = requests
  }

  keeps(tag: number, op: number): boolean {
    if (op === UBLK_IO_OP_FLUSH) this.#markAll()
    else if (op === UBLK_IO_OP_ZONE_RESET_ALL) this.#lowerAll()
    else if (op === UBLK_IO_OP_ZONE_RESET || op === UBLK_IO_OP_ZONE_FINISH) this.wroteDurably(tag)
    return false
  }

  /** The zone is durable as far as it is written now. */
  wroteDurably(tag: number): void {
    const zone = this.#requests.zone(tag)
    if (zone < this.#marks.length) this.#marks[zone] = wpOf(this.#table.load(zone))
  }

  released(): number {
    return -1
  }

  resultOf(): number {
    return 0
  }

  #markAll(): void {
    for (let zone = 0; zone < this.#marks.length; zone++) {
      this.#marks[zone] = wpOf(this.#table.load(zone))
    }
  }

  #lowerAll(): void {
    for (let zone = 0; zone < this.#marks.length; zone++) {
      const wp = wpOf(this.#table.load(zone))
      if (wp < this.#marks[zone]!) this.#marks[zone] = wp
    }
  }
}
