/**
 * A zoned block device of the kernel: `/dev/ublkbN`, null_blk, an NVMe ZNS drive.
 *
 * The kernel and the drive decide what is legal; this says it in the words of ZonedDevice. Guarantees: data goes past the
 * page cache; changes of one zone are done in the order in which they were asked for, because a write that overtakes another
 * is refused; what fails is a ZoneIoError with the kernel's errno, and the zone's write pointer is asked for again. Past the
 * write pointer zones read as zeros, whatever the drive gives; what a finished zone was not written is as the drive gives it.
 *
 * Linux has no zone append for programs (only within the kernel), so an append is a write at the write pointer, in turn.
 */
import type { FileHandle } from 'node:fs/promises'
import { FileRing, readZones, UblkError, zoneIoctl } from '../ublk-native/index.js'
import {
  checkStatus,
  checkZoneNumber,
  conditionName,
  EINVAL,
  EIO,
  Geometry,
  locateRequest,
  parseReport,
  type ReportOptions,
  SECTOR_BYTES,
  STATUS_INVALID_FIELD,
  STATUS_ZONE_BOUNDARY_ERROR,
  STATUS_ZONE_IS_FULL,
  type ZoneDescriptor,
  type ZonedDevice,
  ZoneIoError,
  ZoneModelError,
} from '../zone-model/index.js'
import { AlignedMemory } from './aligned-memory.js'
import { type OpenBlockDevice, openBlockDevice } from './block-device.js'
import { DeviceError } from './errors.js'
import { readAt, writeAt } from './transfer.js'
import { Turns } from './turns.js'

/** Bytes in memory that is not aligned go in pieces of this size, through memory that is. */
const BOUNCE_BYTES = 256 * 1024

/** As many reads are under way at a time; more wait. */
const READ_DEPTH = 256

type ZoneCommand = 'open' | 'close' | 'finish' | 'reset'

/**
 * Opens a zoned block device.
 *
 * @throws DeviceError NOT_ZONED with the reason (not there, not zoned, zones that no Geometry has), BUSY (mounted, held),
 *   PERMISSION
 */
export async function openBlockDrive(path: string): Promise<BlockDrive> {
  const device = await openBlockDevice(path)
  try {
    return new BlockDrive(path, geometryOf(path, device), device)
  } catch (error) {
    await device.file.close()
    throw error
  }
}

function openRing(fd: number): FileRing | null {
  try {
    return FileRing.open(fd, READ_DEPTH)
  } catch (error) {
    if (error instanceof UblkError) return null
    throw error
  }
}

function geometryOf(path: string, { layout, zones }: OpenBlockDevice): Geometry {
  const refuse = (why: string, cause?: unknown): never => {
    throw new DeviceError('DEVICE_ERR_NOT_ZONED', `${path}: ${why}`, { cause })
  }
  const { conventional, zoneCapacity } = layout
  if (zones.slice(0, conventional).some(({ type }) => type !== 'conventional'))
    refuse('conventional zones behind sequential ones')
  const capacity = zoneCapacity / SECTOR_BYTES
  if (zones.slice(conventional).some(({ capacitySectors }) => capacitySectors !== capacity))
    refuse('zones of several capacities')
  try {
    return Geometry.create({
      zoneCount: layout.zones,
      zoneSizeBytes: layout.zoneSize,
      zoneCapacityBytes: zoneCapacity,
      conventionalCount: conventional,
      maxOpen: layout.maxOpen,
      maxActive: layout.maxActive,
      blockSizeBytes: layout.writeGranularity,
    })
  } catch (error) {
    if (error instanceof ZoneModelError) return refuse(error.message, error)
    throw error
  }
}

export class BlockDrive implements ZonedDevice {
  readonly #file: FileHandle
  /** Reads go through it; null where the system allows no io_uring: then they go by libuv's pool, four at a time. */
  readonly #ring: FileRing | null
  readonly #memory = new AlignedMemory()
  /** Where the next append goes, in sectors from the zone's start. Of a zone that takes none, its capacity. */
  readonly #wps: Float64Array
  readonly #turns = new Turns()
  readonly #bounces: Uint8Array[] = []
  #running = 0
  #drained: (() => void) | null = null
  #disposed: Promise<void> | null = null

  constructor(
    readonly path: string,
    readonly geometry: Geometry,
    device: OpenBlockDevice,
  ) {
    this.#file = device.file
    this.#ring = openRing(device.file.fd)
    this.#wps = Float64Array.from(device.zones, zone => this.#wpOf(zone))
  }

  /** Anything else is copied through such memory. */
  allocate(bytes: number): Uint8Array {
    return this.#memory.allocate(bytes)
  }

  async report({ firstZone, zoneCount, condition }: ReportOptions = {}): Promise<ZoneDescriptor[]> {
    this.#checkUsable('report')
    const first = Math.max(0, firstZone ?? 0)
    const most = zoneCount ?? this.geometry.zoneCount
    const left = Math.max(0, this.geometry.zoneCount - first)
    const name = condition === undefined ? null : conditionName(condition)
    const zones = await this.#readZones(
      'report',
      first,
      name === null ? Math.min(most, left) : left,
    )
    const selected = name === null ? zones : zones.filter(zone => zone.condition === name)
    return selected.slice(0, most)
  }

  async read(sector: number, target: Uint8Array): Promise<void> {
    this.#checkUsable('read')
    const { zone, offset, count } = locateRequest(this.geometry, 'read', sector, target)
    // Past the write pointer a drive gives what it likes (null_blk: ones).
    const written = Math.max(0, Math.min(count, this.#wps[zone]! - offset))
    if (written === count) return this.#readWritten(zone, target, sector * SECTOR_BYTES)
    const bytes = written * SECTOR_BYTES
    if (bytes > 0) await this.#readWritten(zone, target.subarray(0, bytes), sector * SECTOR_BYTES)
    target.fill(0, bytes)
  }

  #readWritten(zone: number, target: Uint8Array, at: number): Promise<void> {
    if (this.#isAligned(target))
      return this.#io('read', zone, () => this.#readAligned(zone, target, at))
    return this.#io('read', zone, async () => {
      await this.#bounce(target.length, async (bounce, from) => {
        await this.#readAligned(zone, bounce, at + from)
        target.set(bounce, from)
      })
    })
  }

  async write(sector: number, source: Uint8Array): Promise<void> {
    this.#checkUsable('write')
    const { zone, offset } = locateRequest(this.geometry, 'write', sector, source)
    if (zone < this.geometry.conventionalCount) return this.#writeNow('write', zone, offset, source)
    await this.#turns.run(zone, () => this.#writeNow('write', zone, offset, source))
  }

  async append(zone: number, source: Uint8Array): Promise<number> {
    this.#checkUsable('append')
    checkZoneNumber(this.geometry, 'append', zone)
    const start = zone * this.geometry.zoneSizeSectors
    const { count } = locateRequest(this.geometry, 'append', start, source)
    const { conventionalCount, zoneCapacitySectors, maxAppendSectors } = this.geometry
    if (zone < conventionalCount || count > maxAppendSectors)
      checkStatus('append', zone, -STATUS_INVALID_FIELD)
    return this.#turns.run(zone, async () => {
      const offset = this.#wps[zone]!
      // The kernel would let it run on into the next zone, where there is no gap.
      if (offset >= zoneCapacitySectors) checkStatus('append', zone, -STATUS_ZONE_IS_FULL)
      if (offset + count > zoneCapacitySectors)
        checkStatus('append', zone, -STATUS_ZONE_BOUNDARY_ERROR)
      await this.#writeNow('append', zone, offset, source)
      return start + offset
    })
  }

  open(zone: number): Promise<void> {
    return this.#command('open', zone)
  }

  close(zone: number): Promise<void> {
    return this.#command('close', zone)
  }

  finish(zone: number): Promise<void> {
    return this.#command('finish', zone)
  }

  reset(zone: number): Promise<void> {
    return this.#command('reset', zone)
  }

  /** All at once, and conventional zones stay as they are (block/blk-zoned.c, blkdev_zone_mgmt). */
  async resetAll(): Promise<void> {
    this.#checkUsable('reset all')
    await this.#turns.idle()
    const { totalSectors, conventionalCount } = this.geometry
    await this.#io('reset all', undefined, () => zoneIoctl(this.path, 'reset', 0, totalSectors))
    this.#wps.fill(0, conventionalCount)
  }

  async flush(): Promise<void> {
    this.#checkUsable('flush')
    await this.#io('flush', undefined, () => this.#file.datasync())
  }

  /** Waits for what is under way. Writes nothing: what was not flushed is where it is. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#end()
    return this.#disposed
  }

  async #end(): Promise<void> {
    await this.#turns.idle()
    const drained = new Promise<void>(resolve => {
      this.#drained = resolve
    })
    if (this.#running > 0) await drained
    this.#ring?.close()
    await this.#file.close()
  }

  #wpOf({ condition, type, wpSector, startSector }: ZoneDescriptor): number {
    if (type === 'conventional') return this.geometry.zoneSizeSectors
    const isOpenEnded = ['empty', 'implicit-open', 'explicit-open', 'closed'].includes(condition)
    return isOpenEnded ? wpSector - startSector : this.geometry.zoneCapacitySectors
  }

  async #writeNow(operation: string, zone: number, offset: number, source: Uint8Array) {
    const at = (zone * this.geometry.zoneSizeSectors + offset) * SECTOR_BYTES
    try {
      await this.#io(operation, zone, async () => {
        if (this.#isAligned(source)) return this.#writeAligned(zone, source, at)
        await this.#bounce(source.length, async (bounce, from) => {
          bounce.set(source.subarray(from, from + bounce.length))
          await this.#writeAligned(zone, bounce, at + from)
        })
      })
      this.#wps[zone] = offset + source.length / SECTOR_BYTES
    } catch (error) {
      await this.#learn(zone)
      throw error
    }
  }

  /** Asks where a zone's write pointer is: the kernel, which refuses writes until somebody asks, and then ourselves. */
  async #learn(zone: number): Promise<void> {
    const [found] = await this.#readZones('report', zone, 1).catch(() => [])
    if (found !== undefined) this.#wps[zone] = this.#wpOf(found)
  }

  async #readAligned(zone: number, target: Uint8Array, at: number): Promise<void> {
    const ring = this.#ring
    if (ring === null) return this.#checkRead(zone, await readAt(this.#file.fd, target, at), target)
    let count = await ring.read(target, at)
    if (count > 0 && count < target.length)
      count += await readAt(this.#file.fd, target.subarray(count), at + count)
    this.#checkRead(zone, count, target)
  }

  #checkRead(zone: number, count: number, target: Uint8Array): void {
    if (count !== target.length) this.#short('read', zone, count, target.length)
  }

  async #writeAligned(zone: number, source: Uint8Array, at: number): Promise<void> {
    const count = await writeAt(this.#file.fd, source, at)
    if (count !== source.length) this.#short('write', zone, count, source.length)
  }

  #short(operation: string, zone: number, count: number, wanted: number): never {
    const detail = `${this.path}: ${count} of ${wanted} bytes`
    throw new ZoneIoError({ operation, errno: EIO, zone, detail })
  }

  #isAligned(bytes: Uint8Array): boolean {
    return this.#memory.isAligned(bytes, this.geometry.blockSizeBytes)
  }

  /** Does something piece by piece with aligned memory in between. */
  async #bounce(
    bytes: number,
    piece: (bounce: Uint8Array, from: number) => Promise<void>,
  ): Promise<void> {
    const bounce = this.#bounces.pop() ?? this.#memory.allocate(BOUNCE_BYTES)
    try {
      for (let from = 0; from < bytes; from += BOUNCE_BYTES) {
        await piece(bounce.subarray(0, Math.min(BOUNCE_BYTES, bytes - from)), from)
      }
    } finally {
      this.#bounces.push(bounce)
    }
  }

  async #command(op: ZoneCommand, zone: number): Promise<void> {
    this.#checkUsable(op)
    checkZoneNumber(this.geometry, op, zone)
    const { zoneSizeSectors, zoneCapacitySectors } = this.geometry
    await this.#turns.run(zone, async () => {
      await this.#io(op, zone, () =>
        zoneIoctl(this.path, op, zone * zoneSizeSectors, zoneSizeSectors),
      )
      if (op === 'reset') this.#wps[zone] = 0
      if (op === 'finish') this.#wps[zone] = zoneCapacitySectors
    })
  }

  async #readZones(operation: string, first: number, count: number): Promise<ZoneDescriptor[]> {
    if (count <= 0) return []
    const sector = first * this.geometry.zoneSizeSectors
    const report = this.#io(operation, undefined, () => readZones(this.path, sector, count))
    return parseReport(await report)
  }

  #checkUsable(operation: string): void {
    if (this.#disposed === null) return
    throw new ZoneIoError({ operation, errno: EINVAL, detail: 'the device has been disposed of' })
  }

  /** Counts what is under way, and makes a ZoneIoError of what the kernel refuses. */
  async #io<T>(operation: string, zone: number | undefined, work: () => Promise<T>): Promise<T> {
    this.#running++
    try {
      return await work()
    } catch (error) {
      const { errno, message } = error as NodeJS.ErrnoException
      if (typeof errno !== 'number' || errno >= 0) throw error
      const failure = { operation, errno: -errno, detail: `${this.path}: ${message}` }
      throw new ZoneIoError(zone === undefined ? failure : { ...failure, zone })
    } finally {
      this.#running--
      if (this.#running === 0) this.#drained?.()
    }
  }
}
