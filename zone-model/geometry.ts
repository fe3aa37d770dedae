/**
 * The shape of a zoned device: how many zones, how large, how many may be open.
 *
 * A Geometry is checked once, when it is made, and is then right for ever: it is frozen, and every rule that the kernel
 * applies when it revalidates zones (block/blk-zoned.c, drivers/block/ublk_drv.c) is checked here, because a START
 * that fails after the zone report crashes kernels 6.12 and 6.18. Conventional zones come first.
 */
import { ZoneModelError } from './errors.js'
import { SECTOR_BYTES } from './uapi.js'

/** A zone word has 27 bits for the write pointer; 32 GiB is 2^26 sectors, and a full zone's pointer must fit as well. */
export const ZONE_BYTES_MAX = 32 * 1024 ** 3
/** The kernel splits no page over two zones, and the page map of the media has 4 KiB pages. */
export const ZONE_BYTES_MIN = 4096
/** One zone report (64 bytes a zone) must fit one request of 1 MiB: the driver restarts its index in longer ones. */
export const ZONE_COUNT_MAX = 16384
/** The largest append by default: the largest request that ublk carries. */
export const APPEND_BYTES_DEFAULT_MAX = 1024 * 1024

/** Plain options, plain JSON. Everything but the first two has a default. */
export interface GeometryOptions {
  readonly zoneCount: number
  readonly zoneSizeBytes: number
  /** Writable bytes of a sequential zone. Default: the zone size. */
  readonly zoneCapacityBytes?: number | undefined
  /** How many of the zones, from the first, are conventional. Default 0. */
  readonly conventionalCount?: number | undefined
  /** Most zones open at a time; 0 is no limit. Default 0. */
  readonly maxOpen?: number | undefined
  /** Most zones active (open or closed) at a time; 0 is no limit. Default 0. */
  readonly maxActive?: number | undefined
  /** Longest append. Default: the capacity, at most 1 MiB. */
  readonly maxAppendBytes?: number | undefined
  /** 512 or 4096. Default 4096. */
  readonly blockSizeBytes?: number | undefined
}

/** The shape of a zoned device. Lengths are in 512-byte sectors unless the name says bytes. */
export class Geometry {
  readonly zoneSizeSectors: number
  readonly zoneCapacitySectors: number
  /** log2 of the zone size in sectors. */
  readonly zoneShift: number
  readonly blockSectors: number
  readonly maxAppendSectors: number
  readonly sequentialCount: number
  readonly totalSectors: number
  readonly totalBytes: number

  private constructor(
    readonly zoneCount: number,
    readonly conventionalCount: number,
    readonly zoneSizeBytes: number,
    readonly zoneCapacityBytes: number,
    readonly blockSizeBytes: number,
    readonly maxOpen: number,
    readonly maxActive: number,
    readonly maxAppendBytes: number,
  ) {
    this.zoneSizeSectors = zoneSizeBytes / SECTOR_BYTES
    this.zoneCapacitySectors = zoneCapacityBytes / SECTOR_BYTES
    this.zoneShift = Math.log2(this.zoneSizeSectors)
    this.blockSectors = blockSizeBytes / SECTOR_BYTES
    this.maxAppendSectors = maxAppendBytes / SECTOR_BYTES
    this.sequentialCount = zoneCount - conventionalCount
    this.totalSectors = zoneCount * this.zoneSizeSectors
    this.totalBytes = zoneCount * zoneSizeBytes
    Object.freeze(this)
  }

  /**
   * Checks options and makes a geometry of them.
   *
   * A limit on open or active zones that is at least the number of sequential zones can never be reached; Linux shows
   * such a limit as 0 (none), and so does this: `maxOpen` and `maxActive` are what sysfs will say.
   *
   * @throws ZoneModelError `ZONE_ERR_GEOMETRY`, naming the option, its value, what is allowed and what to change.
   */
  static create(options: GeometryOptions): Geometry {
    const zoneCount = options.zoneCount
    const conventionalCount = options.conventionalCount ?? 0
    const blockSizeBytes = options.blockSizeBytes ?? 4096
    const zoneSizeBytes = options.zoneSizeBytes
    const zoneCapacityBytes = options.zoneCapacityBytes ?? zoneSizeBytes
    const maxOpen = options.maxOpen ?? 0
    const maxActive = options.maxActive ?? 0
    const maxAppendBytes =
      options.maxAppendBytes ?? Math.min(zoneCapacityBytes, APPEND_BYTES_DEFAULT_MAX)

    checkZones(zoneCount, conventionalCount)
    checkSizes(blockSizeBytes, zoneSizeBytes, zoneCapacityBytes, maxAppendBytes)
    checkLimits(maxOpen, maxActive)

    const sequentialCount = zoneCount - conventionalCount
    return new Geometry(
      zoneCount,
      conventionalCount,
      zoneSizeBytes,
      zoneCapacityBytes,
      blockSizeBytes,
      maxOpen >= sequentialCount ? 0 : maxOpen,
      maxActive >= sequentialCount ? 0 : maxActive,
      maxAppendBytes,
    )
  }

  /** Plain options that {@link Geometry.create} makes an equal geometry of. */
  toJSON(): Required<{ [K in keyof GeometryOptions]: number }> {
    return {
      zoneCount: this.zoneCount,
      zoneSizeBytes: this.zoneSizeBytes,
      zoneCapacityBytes: this.zoneCapacityBytes,
      conventionalCount: this.conventionalCount,
      maxOpen: this.maxOpen,
      maxActive: this.maxActive,
      maxAppendBytes: this.maxAppendBytes,
      blockSizeBytes: this.blockSizeBytes,
    }
  }

  /** Whether two geometries describe the same device. */
  equals(other: Geometry): boolean {
    return JSON.stringify(this) === JSON.stringify(other)
  }
}

function refuse(option: string, value: unknown, why: string): never {
  throw new ZoneModelError('ZONE_ERR_GEOMETRY', `${option} is ${String(value)}: ${why}`, option)
}

function checkInteger(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  refuse(option, value, `it must be a whole number from ${min} to ${max}`)
}

function checkZones(zoneCount: number, conventionalCount: number): void {
  if (zoneCount > ZONE_COUNT_MAX) {
    refuse(
      'zoneCount',
      zoneCount,
      `at most ${ZONE_COUNT_MAX} zones fit the one zone report that Linux asks for; make the zones larger instead`,
    )
  }
  checkInteger('zoneCount', zoneCount, 1, ZONE_COUNT_MAX)
  checkInteger('conventionalCount', conventionalCount, 0, ZONE_COUNT_MAX)
  if (conventionalCount >= zoneCount) {
    refuse(
      'conventionalCount',
      conventionalCount,
      `at least one zone must be sequential; use at most ${zoneCount - 1}, or raise zoneCount (${zoneCount})`,
    )
  }
}

/** Whole blocks, at least one and at most `max` bytes. */
function checkBlocks(option: string, bytes: number, block: number, max: number): void {
  checkInteger(option, bytes, block, max)
  const below = bytes - (bytes % block)
  if (below === bytes) return
  refuse(option, bytes, `it must be a multiple of the block size ${block}; use ${below}`)
}

function checkSizes(block: number, size: number, capacity: number, append: number): void {
  if (block !== 512 && block !== 4096) {
    refuse('blockSizeBytes', block, 'it must be 512 or 4096')
  }
  checkInteger('zoneSizeBytes', size, ZONE_BYTES_MIN, ZONE_BYTES_MAX)
  const power = 2 ** Math.floor(Math.log2(size))
  if (size !== power) {
    refuse(
      'zoneSizeBytes',
      size,
      `Linux takes only powers of two; use ${power} or ${power * 2}, and zoneCapacityBytes for a smaller writable part`,
    )
  }
  checkBlocks('zoneCapacityBytes', capacity, block, size)
  checkBlocks('maxAppendBytes', append, block, capacity)
}

function checkLimits(maxOpen: number, maxActive: number): void {
  checkInteger('maxOpen', maxOpen, 0, 2 ** 31 - 1)
  checkInteger('maxActive', maxActive, 0, 2 ** 31 - 1)
  if (maxActive !== 0 && maxOpen > maxActive) {
    refuse(
      'maxOpen',
      maxOpen,
      `open zones are active zones, so it must be at most maxActive (${maxActive}); lower maxOpen or raise maxActive`,
    )
  }
}
