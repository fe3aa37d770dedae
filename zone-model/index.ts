/**
 * zone-model decides whether an I/O to a zoned device is legal, and what it does to the zone.
 *
 * Goals: the rules of NVMe ZNS to the letter, with the status code and the errno of every refusal; shared by any number
 * of workers without a lost or doubled block; whole again after a process was killed anywhere; no garbage and no lock in
 * the path of an ordinary write; the same on every platform.
 * Non-goals: I/O, clocks, logs, kernels, zone random write areas, zone descriptor extensions, variable capacity (Linux
 * shows none of the three).
 */
export {
  admitAppend,
  admitDiscard,
  admitRead,
  admitWrite,
} from './data-path.js'
export type { DirectAccess, ZonedDevice } from './device.js'
export {
  createEmulatedDrive,
  createTable,
  EmulatedDrive,
  type EmulatedDriveOptions,
} from './emulated-drive.js'
export {
  ZoneIoError,
  type ZoneIoFailure,
  ZoneModelError,
  type ZoneModelErrorCode,
} from './errors.js'
export {
  Geometry,
  type GeometryOptions,
  ZONE_BYTES_MAX,
  ZONE_BYTES_MIN,
  ZONE_COUNT_MAX,
} from './geometry.js'
export type { LogRecovery } from './in-flight-log.js'
export type { Media } from './media.js'
export {
  createMemoryDrive,
  type DriveMemory,
  MemoryDrive,
  type MemoryDriveOptions,
} from './memory-drive.js'
export { MemoryMedia } from './memory-media.js'
export { losePower, type PowerLoss } from './power-loss.js'
export {
  fillReport,
  parseReport,
  type ReportOptions,
  reportZones,
  type ZoneDescriptor,
} from './report.js'
export {
  checkStatus,
  checkZoneNumber,
  errnoOfRefusal,
  locateRequest,
  type RequestExtent,
} from './request.js'
export { retreatZone } from './retreat.js'
export * from './status.js'
export { TableCopier } from './table-copy.js'
export {
  closeAll,
  closeZone,
  type DiscardZone,
  finishAll,
  finishZone,
  offlineZone,
  openAll,
  openZone,
  readOnlyZone,
  resetAll,
  resetZone,
} from './transitions.js'
export * from './uapi.js'
export { type DiscardExtent, undoWrite } from './undo.js'
export { HeapBuffers, type ZoneBuffers } from './zone-buffers.js'
export { type TableRecovery, type ZoneStatistics, ZoneTable } from './zone-table.js'
export { conditionOf, packWord, wpOf } from './zone-word.js'
