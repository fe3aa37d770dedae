/**
 * Zone ioctls on a block device, for a program that is its client. They run on libuv's pool: they wait for the device.
 *
 * Never call them in the process that serves the device: it would wait for itself, unkillably.
 */
import { addon } from './addon.js'
import { UblkError } from './errors.js'

/** sizeof(struct blk_zone). */
const BLK_ZONE_BYTES = 64

/** Sectors of 512 bytes, aligned to zones. Rejects with UblkError: EIO, EINVAL, ETOOMANYREFS, EOVERFLOW, ENOTTY (not zoned). */
export async function zoneIoctl(
  path: string,
  op: 'open' | 'close' | 'finish' | 'reset',
  startSector: number,
  sectors: number,
): Promise<void> {
  const outcome = await addon().zoneIoctl(path, op, startSector, sectors)
  if (outcome.result < 0) throw new UblkError(outcome.syscall, outcome.result, path)
}

/** Discard, or write zeros, in bytes. Rejects with UblkError: EIO, EINVAL, EOPNOTSUPP. */
export async function rangeIoctl(
  path: string,
  op: 'discard' | 'write-zeroes',
  startBytes: number,
  bytes: number,
): Promise<void> {
  const outcome = await addon().zoneIoctl(path, op, startBytes, bytes)
  if (outcome.result < 0) throw new UblkError(outcome.syscall, outcome.result, path)
}

/** `count` zones from a sector as struct blk_zone (64 bytes each, include/uapi/linux/blkzoned.h); fewer at the end. */
export async function readZones(
  path: string,
  startSector: number,
  count: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(count * BLK_ZONE_BYTES)
  const outcome = await addon().reportZones(path, startSector, count, target)
  if (outcome.result < 0) throw new UblkError(outcome.syscall, outcome.result, path)
  return target.subarray(0, outcome.result * BLK_ZONE_BYTES)
}

/**
 * Report zones, so that the kernel reads their write pointers again. Resolves to how many zones it reported, at most `count`.
 */
export async function refreshZones(
  path: string,
  startSector: number,
  count: number,
): Promise<number> {
  const outcome = await addon().reportZones(path, startSector, count, null)
  if (outcome.result < 0) throw new UblkError(outcome.syscall, outcome.result, path)
  return outcome.result
}
