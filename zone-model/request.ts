/**
 * What every {@link ZonedDevice} of ours does with a request before and after the zone rules: where it lies, and the
 * {@link ZoneIoError} that a refusal becomes.
 */
import { ZoneIoError } from './errors.js'
import type { Geometry } from './geometry.js'
import {
  errnoOfStatus,
  explainStatus,
  STATUS_INVALID_FIELD,
  STATUS_LBA_OUT_OF_RANGE,
} from './status.js'
import { EINVAL, SECTOR_BYTES } from './uapi.js'

/** A request's zone, its offset in the zone and its length, in sectors. */
export interface RequestExtent {
  readonly zone: number
  readonly offset: number
  readonly count: number
}

/** What the caller is told: that of the kernel, but EINVAL where it would not have let the request through to a device. */
export function errnoOfRefusal(status: number): number {
  return status === STATUS_LBA_OUT_OF_RANGE ? EINVAL : errnoOfStatus(status)
}

/**
 * Where a request lies. The kernel would refuse misaligned ones before a device saw them.
 *
 * @throws ZoneIoError EINVAL when it is not whole blocks, or not on the device
 */
export function locateRequest(
  geometry: Geometry,
  operation: string,
  sector: number,
  bytes: Uint8Array,
): RequestExtent {
  const isAligned =
    bytes.length > 0 &&
    bytes.length % geometry.blockSizeBytes === 0 &&
    sector % geometry.blockSectors === 0
  if (!isAligned) {
    throw new ZoneIoError({
      operation,
      errno: EINVAL,
      status: STATUS_INVALID_FIELD,
      detail: `sector ${sector} and ${bytes.length} bytes must be whole blocks of ${geometry.blockSizeBytes} bytes`,
    })
  }
  if (sector < 0 || sector >= geometry.totalSectors) {
    throw new ZoneIoError({
      operation,
      errno: EINVAL,
      status: STATUS_LBA_OUT_OF_RANGE,
      detail: `sector ${sector} is not on this device, which has ${geometry.totalSectors}`,
    })
  }
  const zone = Math.floor(sector / geometry.zoneSizeSectors)
  const offset = sector - zone * geometry.zoneSizeSectors
  return { zone, offset, count: bytes.length / SECTOR_BYTES }
}

/**
 * Gives back what the zone rules gave, if it is none of -status.
 *
 * @throws ZoneIoError
 */
export function checkStatus(operation: string, zone: number | undefined, result: number): number {
  if (result >= 0) return result
  const status = -result
  const detail = `${explainStatus(status).name} (${status.toString(16)}h)`
  const failure = { operation, errno: errnoOfRefusal(status), status, detail }
  throw new ZoneIoError(zone === undefined ? failure : { ...failure, zone })
}

/**
 * A number that is none of a zone must not reach a table, which would take half a zone for one.
 *
 * @throws ZoneIoError EINVAL
 */
export function checkZoneNumber(geometry: Geometry, operation: string, zone: number): void {
  if (Number.isInteger(zone) && zone >= 0 && zone < geometry.zoneCount) return
  checkStatus(operation, zone, -STATUS_LBA_OUT_OF_RANGE)
}
