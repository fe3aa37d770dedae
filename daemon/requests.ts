/**
 * The requests of a queue as the kernel describes them: a view over its descriptors, one a tag.
 *
 * A descriptor is 6 words (op and flags, sectors or zones, start low, start high, unused, unused), in 512-byte sectors;
 * the kernel splits reads, writes and appends at zone borders (chunk_sectors); discards and write-zeroes may reach over.
 * A tag's descriptor is valid from the moment that the tag is delivered until it is committed, however many turns later.
 */
import { DESCRIPTOR_WORDS } from '../ublk-native/index.js'
import {
  type Geometry,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../zone-model/index.js'

const OP_MASK = 0xff
/** include/uapi/linux/ublk_cmd.h */
const UBLK_IO_F_FUA = 1 << 13

export class Requests {
  readonly #descriptors: Uint32Array
  readonly #zoneShift: number
  readonly #offsetMask: number
  readonly #totalSectors: number

  constructor(descriptors: Uint32Array, geometry: Geometry) {
    this.#descriptors = descriptors
    this.#zoneShift = geometry.zoneShift
    this.#offsetMask = geometry.zoneSizeSectors - 1
    this.#totalSectors = geometry.totalSectors
  }

  /** One of UBLK_IO_OP_*. */
  op(tag: number): number {
    return this.#descriptors[tag * DESCRIPTOR_WORDS]! & OP_MASK
  }

  /** Op and the kernel's flags (UBLK_IO_F_*), as they came. */
  opAndFlags(tag: number): number {
    return this.#descriptors[tag * DESCRIPTOR_WORDS]!
  }

  /** Whether a write is to be durable when it is done. */
  isFua(tag: number): boolean {
    return (this.#descriptors[tag * DESCRIPTOR_WORDS]! & UBLK_IO_F_FUA) !== 0
  }

  /** Length in sectors; of a report, how many zones. */
  sectors(tag: number): number {
    return this.#descriptors[tag * DESCRIPTOR_WORDS + 1]!
  }

  startLow(tag: number): number {
    return this.#descriptors[tag * DESCRIPTOR_WORDS + 2]!
  }

  startHigh(tag: number): number {
    return this.#descriptors[tag * DESCRIPTOR_WORDS + 3]!
  }

  /** The zone that it begins in. May be past the last one: see isWithin(). */
  zone(tag: number): number {
    const shift = this.#zoneShift
    return (this.startHigh(tag) << (32 - shift)) | (this.startLow(tag) >>> shift)
  }

  /** The zone that its last sector is in. */
  lastZone(tag: number): number {
    const sectors = this.sectors(tag)
    if (sectors === 0) return this.zone(tag)
    return this.zone(tag) + ((this.offset(tag) + sectors - 1) >>> this.#zoneShift)
  }

  /** Sectors from the start of its zone. */
  offset(tag: number): number {
    return this.startLow(tag) & this.#offsetMask
  }

  /** Whether all of it lies on the device. */
  isWithin(tag: number): boolean {
    const start = this.startHigh(tag) * 0x100000000 + this.startLow(tag)
    return start + this.sectors(tag) <= this.#totalSectors
  }

  isReset(tag: number): boolean {
    const op = this.op(tag)
    return op === UBLK_IO_OP_ZONE_RESET || op === UBLK_IO_OP_ZONE_RESET_ALL
  }
}
