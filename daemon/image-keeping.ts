/**
 * What keeps a drive in its image through a device's comings and goings: found when one is made, saved when one ends.
 */
import { errnoName, Geometry } from '../zone-model/index.js'
import { geometryOptions } from './device-params.js'
import { DriveImage } from './drive-image.js'
import { DaemonError } from './errors.js'
import type { DriveDescription } from './image-options.js'
import { mediaOptions } from './media-options.js'
import type { DeviceOptions } from './options.js'
import { devicePath } from './paths.js'
import type { DeviceRecord } from './state-directory.js'

/** The image that is in the folder of --image, locked; null when none is asked for, or is to be made. */
export function findImage(given: Readonly<Record<string, unknown>>): DriveImage | null {
  const { image } = given
  // A value that is no path is the option table's to refuse.
  return typeof image === 'string' && image.startsWith('/') ? DriveImage.find(image) : null
}

export function describeDrive({ description, tier }: DriveImage): DriveDescription {
  const { queueCount, depth, device } = description
  // Where its tier is the image knows: a copy of it has another one, and a repaired one may have none.
  const options = { ...(device as DeviceOptions), tier: tier?.path ?? null }
  return { options, queueCount, depth }
}

export function checkSaved({ id, options }: DeviceRecord, result: number): void {
  if (result >= 0) return
  const message = `the last flush of device ${id} failed (${errnoName(-result)}): ${options.image} is as at the flush before; what is newer waits in ${devicePath(id)}: mend the disk, then \`zslab device delete ${id}\` once more`
  throw new DaemonError('DAEMON_ERR_IMAGE', message)
}

/** What only the working state of a dead daemon's device has, its image gets. Gives whether there is one. */
export function saveImage(record: DeviceRecord): boolean {
  const { id, options } = record
  // A record that was cut short has no options.
  if (options?.image == null) return false
  const directory = devicePath(id)
  const media = mediaOptions(directory, options, Geometry.create(geometryOptions(options)))
  checkSaved(record, DriveImage.save(directory, { media }, options.image))
  return true
}
