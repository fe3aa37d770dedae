/**
 * What every zoned device can do, whoever implements it: the emulated drive in this process, `/dev/ublkbN`, a real drive.
 *
 * Addresses are absolute 512-byte sectors; zones are numbered from 0. A request lies within one zone, and begins and
 * ends at block boundaries. Whatever a device refuses rejects with a {@link ZoneIoError}: `code` and `errno` always,
 * `status` (NVMe) when the device tells it. Methods return promises because a real device answers later.
 */
import type { Geometry } from './geometry.js'
import type { ReportOptions, ZoneDescriptor } from './report.js'

export interface ZonedDevice {
  readonly geometry: Geometry
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
