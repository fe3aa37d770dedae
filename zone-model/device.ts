/**
 * What every zoned device can do, whoever implements it: the emulated drive in this process, `/dev/ublkbN`, a real drive.
 *
 * Addresses are absolute 512-byte sectors; zones are numbered from 0. A request lies within one zone, and begins and
 * ends at block boundaries. Whatever a device refuses rejects with a {@link ZoneIoError}: `code` and `errno` always,
 * `status` (NVMe) when the device tells it. Methods return promises because a real device answers later.
 */
import type { Geometry } from './geometry.js'
import type { ReportOptions, ZoneDescriptor } from './report.js'

/**
 * The bytes of a drive that lie in this process' memory. Everything is done when a call returns, and nothing throws: 0, or
 * -errno as a {@link ZoneIoError} would have it. The rules are those of the device, which sees what is done here.
 */
export interface DirectAccess {
  /**
   * The zone's bytes, as many as its capacity. Valid until the zone is reset: after that it may be of length 0, or another
   * zone's. What lies past the write pointer means nothing. Only for looking: what is written into it breaks the drive.
   *
   * @throws ZoneIoError EINVAL for a number that is none of a zone, ENOMEM
   */
  zone(zone: number): Uint8Array
  /** In a sequential zone only at the write pointer. Copies `source`; makes no garbage. */
  write(sector: number, source: Uint8Array): number
  reset(zone: number): number
}

export interface ZonedDevice {
  readonly geometry: Geometry
  /** Only of drives whose bytes are in this process' memory. */
  readonly direct?: DirectAccess
  /** Memory for reads and writes, zeros, aligned as the device wants it. Whole blocks. Any other memory may be refused. */
  allocate(bytes: number): Uint8Array
  /** Zones in order, all or those that the options select. */
  report(options?: ReportOptions): Promise<ZoneDescriptor[]>
  /** Fills all of `target`; what was not written since the zone's last reset is zeros. */
  read(sector: number, target: Uint8Array): Promise<void>
  /** In a sequential zone only at the write pointer. */
  write(sector: number, source: Uint8Array): Promise<void>
  /** Writes at the zone's write pointer and gives the sector where that was. */
  append(zone: number, source: Uint8Array): Promise<number>
  open(zone: number): Promise<void>
  close(zone: number): Promise<void>
  finish(zone: number): Promise<void>
  reset(zone: number): Promise<void>
  resetAll(): Promise<void>
  /** When it resolves, everything acknowledged before is as durable as the device can make it. */
  flush(): Promise<void>
  /** Ends the use of the device; nothing may be called afterwards. Not the opposite of `open`, which is about zones. */
  dispose(): Promise<void>
}
