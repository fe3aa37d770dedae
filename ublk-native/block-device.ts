/**
 * Zone ioctls on a block device, for a program that is its client. They run on libuv's pool: they wait for the device.
 *
 * Never call them in the process that serves the device: it would wait for itself, unkillably.
 */
import { addon } from './addon.js'
import { UblkError } from './errors.js'

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

/**
 * Report zones, so that the kernel reads their write pointers again. Resolves to how many zones it reported, at most `count`.
 */
export async function refreshZones(
  path: string,
  startSector: number,
  count: number,
): Promise<number> {
  const outcome = await addon().reportZones(path, startSector, count)
  if (outcome.result < 0) throw new UblkError(outcome.syscall, outcome.result, path)
  return outcome.result
}
