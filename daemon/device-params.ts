/**
 * What the zone model and the kernel are told of a device, from its options.
 */
import type { DeviceParams } from '../ublk-native/index.js'
import type { Geometry, GeometryOptions } from '../zone-model/index.js'
import type { DeviceOptions } from './options.js'

/** The largest request, and so the largest zone report: 16384 zones (a report of several requests comes back wrong). */
export const MAX_IO_BYTES = 1024 * 1024

/** Options → what the zone model takes. Throws ZoneModelError with the message for people. */
export function geometryOptions(options: DeviceOptions): GeometryOptions {
  return {
    zoneCount: options.zones,
    zoneSizeBytes: options.zoneSize,
    zoneCapacityBytes: options.zoneCapacity ?? options.zoneSize,
    conventionalCount: options.conventional,
    maxOpen: options.maxOpen,
    maxActive: options.maxActive,
    maxAppendBytes:
      options.maxAppend ?? Math.min(MAX_IO_BYTES, options.zoneCapacity ?? options.zoneSize),
    blockSizeBytes: options.blockSize,
  }
}

/** For the kernel (SET_PARAMS). */
export function deviceParams(geometry: Geometry, hasImage: boolean): DeviceParams {
  const blockShift = Math.log2(geometry.blockSizeBytes)
  return {
    blockShift,
    physicalBlockShift: blockShift,
    maxSectors: MAX_IO_BYTES / 512,
    chunkSectors: geometry.zoneSizeSectors,
    totalSectors: geometry.totalSectors,
    maxOpen: geometry.maxOpen,
    maxActive: geometry.maxActive,
    maxAppendSectors: geometry.maxAppendSectors,
    discard: {
      granularityBytes: geometry.blockSizeBytes,
      maxDiscardSectors: geometry.zoneSizeSectors,
      maxWriteZeroesSectors: geometry.zoneSizeSectors,
    },
    volatileCache: true,
    // With an image the kernel makes it a write and a flush: those wait for the disk together.
    fua: !hasImage,
  }
}
