/**
 * A zoned drive in this process: the rules of a zone table over the bytes of a media. No addon, no kernel, any platform.
 */
import { admitAppend, admitRead, admitWrite } from './data-path.js'
import type { ZonedDevice } from './device.js'
import { ZoneIoError } from './errors.js'
import { Geometry, type GeometryOptions } from './geometry.js'
import type { Media } from './media.js'
import { MemoryMedia } from './memory-media.js'
import { type ReportOptions, reportZones, type ZoneDescriptor } from './report.js'
import { checkStatus, checkZoneNumber, locateRequest, type RequestExtent } from './request.js'
import { statusOfMediaErrno } from './status.js'
import * as transitions from './transitions.js'
import { EINVAL, SECTOR_BYTES, UBLK_IO_OP_WRITE } from './uapi.js'
import { undoWrite } from './undo.js'
import { ZoneTable } from './zone-table.js'

/** Options of an emulated drive: its geometry, and where its bytes are (by default in memory). */
export interface EmulatedDriveOptions extends GeometryOptions {
  /** At least as large as the drive. Closed with it. */
  readonly media?: Media | undefined
}

/** The only tag that this drive uses: its requests are done one at a time. */
export const SLOT = 0

/**
 * Makes an empty drive.
 *
 * @throws ZoneModelError `ZONE_ERR_GEOMETRY` for options that make no drive
 */
export function createEmulatedDrive(options: EmulatedDriveOptions): EmulatedDrive {
  const table = createTable(Geometry.create(options))
  return new EmulatedDrive(table, options.media ?? new MemoryMedia(table.geometry.totalBytes))
}

/** The table of a drive of this process, whose zones are all empty. */
export function createTable(geometry: Geometry): ZoneTable {
  const words = new Int32Array(new SharedArrayBuffer(ZoneTable.wordsNeeded(geometry, 1, 1) * 4))
  ZoneTable.format(words, geometry, 1, 1)
  return new ZoneTable(words, geometry, 1, 1)
}

/** A {@link ZonedDevice} made of a zone table and a media. */
export class EmulatedDrive implements ZonedDevice {
  readonly geometry: Geometry
  protected isDisposed = false

  constructor(
    /** The rules, for tests and tools; changing it changes the drive. */
    readonly table: ZoneTable,
    private readonly media: Media,
  ) {
    this.geometry = table.geometry
  }

  allocate(bytes: number): Uint8Array {
    return new Uint8Array(bytes)
  }

  async report(options: ReportOptions = {}): Promise<ZoneDescriptor[]> {
    this.checkUsable('report')
    return reportZones(this.table, options)
  }

  async read(sector: number, target: Uint8Array): Promise<void> {
    const { zone, offset, count } = this.locate('read', sector, target)
    checkStatus('read', zone, admitRead(this.table, zone, offset, count))
    this.checkMedia('read', zone, this.media.read(sector * SECTOR_BYTES, target))
  }

  async write(sector: number, source: Uint8Array): Promise<void> {
    const { zone, offset, count } = this.locate('write', sector, source)
    checkStatus('write', zone, admitWrite(this.table, SLOT, UBLK_IO_OP_WRITE, zone, offset, count))
    this.copyIn('write', zone, sector, source)
  }

  async append(zone: number, source: Uint8Array): Promise<number> {
    this.checkZone('append', zone)
    const { count } = this.locate('append', this.startOf(zone), source)
    const offset = checkStatus('append', zone, admitAppend(this.table, SLOT, zone, count))
    const sector = this.startOf(zone) + offset
    this.copyIn('append', zone, sector, source)
    return sector
  }

  async open(zone: number): Promise<void> {
    this.checkZone('open', zone)
    checkStatus('open', zone, transitions.openZone(this.table, zone))
  }

  async close(zone: number): Promise<void> {
    this.checkZone('close', zone)
    checkStatus('close', zone, transitions.closeZone(this.table, zone))
  }

  async finish(zone: number): Promise<void> {
    this.checkZone('finish', zone)
    checkStatus('finish', zone, transitions.finishZone(this.table, zone))
  }

  async reset(zone: number): Promise<void> {
    this.checkZone('reset', zone)
    checkStatus('reset', zone, transitions.resetZone(this.table, zone, this.discardZone))
  }

  async resetAll(): Promise<void> {
    this.checkUsable('reset all')
    checkStatus('reset all', undefined, transitions.resetAll(this.table, this.discardZone))
  }

  async flush(): Promise<void> {
    this.checkUsable('flush')
    this.checkMedia('flush', undefined, this.media.flush())
  }

  async dispose(): Promise<void> {
    if (this.isDisposed) return
    this.isDisposed = true
    this.media.close()
  }

  protected readonly discardZone = (zone: number): number =>
    this.media.recycle(zone * this.geometry.zoneSizeBytes, this.geometry.zoneSizeBytes)

  protected readonly discardExtent = (zone: number, offset: number, count: number): number =>
    this.media.discard((this.startOf(zone) + offset) * SECTOR_BYTES, count * SECTOR_BYTES)

  private startOf(zone: number): number {
    return zone * this.geometry.zoneSizeSectors
  }

  /** Copies bytes that have been admitted; when the media fails, the zone goes back to what it was. */
  private copyIn(operation: string, zone: number, sector: number, source: Uint8Array): void {
    const written = this.media.write(sector * SECTOR_BYTES, source)
    if (written >= 0) return
    if (zone >= this.geometry.conventionalCount) undoWrite(this.table, SLOT, this.discardExtent)
    this.checkMedia(operation, zone, written)
  }

  private locate(operation: string, sector: number, bytes: Uint8Array): RequestExtent {
    this.checkUsable(operation)
    return locateRequest(this.geometry, operation, sector, bytes)
  }

  private checkUsable(operation: string): void {
    if (!this.isDisposed) return
    throw new ZoneIoError({ operation, errno: EINVAL, detail: 'the drive has been disposed of' })
  }

  private checkZone(operation: string, zone: number): void {
    this.checkUsable(operation)
    checkZoneNumber(this.geometry, operation, zone)
  }

  private checkMedia(operation: string, zone: number | undefined, result: number): void {
    checkStatus(operation, zone, result < 0 ? -statusOfMediaErrno(result) : 0)
  }
}
