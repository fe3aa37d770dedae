/**
 * Opens whatever a person or a program names: a block device, a drive in a directory (made if it is not there), or memory.
 */
import { stat } from 'node:fs/promises'
import {
  createMemoryDrive,
  Geometry,
  type GeometryOptions,
  type ZonedDevice,
  ZoneModelError,
} from '../zone-model/index.js'
import { DeviceError, fileError } from './errors.js'
import type { LazyBuffers } from './lazy-buffers.js'
import { holdsFileDrive, makeFileDrive, openFileDrive } from './open-file-drive.js'

/** How much memory, in bytes. */
export interface MemoryTarget {
  readonly memory: number
  /**
   * Pages of 2 MiB, where the system has them: filled five times as fast and given back in a hundredth of the time, but up to
   * 2 MiB more for each zone that is not full. Default: for zones of at least 32 MiB.
   */
  readonly hugePages?: boolean | undefined
}

/** A path, or memory. */
export type DeviceTarget = string | MemoryTarget

/** What a drive is to be that is made. A block device and a drive that is there are as they are. */
export interface DeviceOptions extends Partial<GeometryOptions> {
  /** How large a drive in a directory is to be. Without it, and without zoneCount, none is made. */
  readonly bytes?: number | undefined
  /** Nothing on the device is changed: none is made, and a drive in a directory refuses writes. */
  readonly readOnly?: boolean | undefined
}

const ZONE_BYTES_DEFAULT_MIN = 1024 * 1024
const ZONE_BYTES_DEFAULT_MAX = 256 * 1024 * 1024
/** Zones of a size chosen here are so many at least, where the drive is large enough. */
const ZONES_WANTED = 256
const HUGE_ZONE_BYTES_MIN = 32 * 1024 * 1024
/** As the real drives that are known: enough for a store's lifetime classes. */
const ACTIVE_DEFAULT = 14

/** What may be given; a typo would be a drive of another kind. */
const OPTION_NAMES: Readonly<Record<keyof DeviceOptions, true>> = {
  ...{ zoneCount: true, zoneSizeBytes: true, zoneCapacityBytes: true, conventionalCount: true },
  ...{ maxOpen: true, maxActive: true, maxAppendBytes: true, blockSizeBytes: true },
  ...{ bytes: true, readOnly: true },
}

function checkNames(options: DeviceOptions): void {
  const unknown = Object.keys(options).find(name => !(name in OPTION_NAMES))
  if (unknown === undefined) return
  const why = `${unknown} is no option of a device: there are ${Object.keys(OPTION_NAMES).join(', ')}`
  throw new DeviceError('DEVICE_ERR_OPTION', why)
}

/**
 * Opens a device.
 *
 * @param target - a zoned block device, a directory, or `{ memory: bytes }`
 * @throws DeviceError, ZoneModelError `ZONE_ERR_GEOMETRY`: options that make no drive
 */
export async function openDevice(
  target: DeviceTarget,
  { readOnly = false, ...options }: DeviceOptions = {},
): Promise<ZonedDevice> {
  checkNames(options)
  if (typeof target !== 'string') {
    const given = geometryFor({ ...options, bytes: target.memory }, 'memory')
    return createMemoryDrive({ ...given, buffers: await lazyBuffers(given, target.hugePages) })
  }
  const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw fileError(target, error)
  })
  // What needs the addon is loaded when it is needed: a drive in a directory starts sooner without.
  if (found?.isBlockDevice()) return (await import('./block-drive.js')).openBlockDrive(target)
  if (found === null && /^\/dev\/(?!shm\/)/.test(target)) {
    throw new DeviceError('DEVICE_ERR_MISSING', `${target}: there is no such device`)
  }
  if (found !== null && !found.isDirectory()) {
    const why = 'neither a zoned block device nor a directory'
    throw new DeviceError('DEVICE_ERR_NOT_ZONED', `${target}: ${why}`)
  }
  if (!(await holdsFileDrive(target))) {
    const isMeasured = options.bytes !== undefined || options.zoneCount !== undefined
    if (!isMeasured || readOnly) {
      const what = found === null ? 'there is nothing there' : 'there is no drive in it'
      const next = 'give bytes, or zoneCount and zoneSizeBytes, and one is made'
      throw new DeviceError('DEVICE_ERR_MISSING', `${target}: ${what}: ${next}`)
    }
    await makeFileDrive(target, geometryFor(options, 'bytes'))
  }
  const drive = await openFileDrive(target, { readOnly })
  const other = differing(drive.geometry.toJSON(), options)
  if (other === null) return drive
  await drive.dispose()
  throw new DeviceError('DEVICE_ERR_OPTION', `${target}: ${other}`)
}

/** undefined for large zones, and where there is no addon that can: the drive's memory is JavaScript's own then. */
async function lazyBuffers(
  options: GeometryOptions,
  wanted?: boolean,
): Promise<LazyBuffers | undefined> {
  const { LazyBuffers } = await import('./lazy-buffers.js')
  const geometry = Geometry.create(options)
  if (geometry.zoneSizeBytes > LazyBuffers.ZONE_BYTES_MAX) return undefined
  try {
    return new LazyBuffers(geometry, wanted ?? geometry.zoneSizeBytes >= HUGE_ZONE_BYTES_MIN)
  } catch {
    // It works without; what is lost is speed.
    return undefined
  }
}

/** The option that a drive which is there was not made with, as a sentence. */
function differing(made: Record<string, number>, options: DeviceOptions): string | null {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || name === 'bytes' || made[name] === value) continue
    return `the drive was made with ${name} ${made[name]}, not ${value}: leave it out, or make another drive`
  }
  return null
}

/** Options of a drive of about so many bytes: never more. */
function geometryFor(options: DeviceOptions, name: string): GeometryOptions {
  const { bytes, ...given } = options
  const maxActive = given.maxActive ?? ACTIVE_DEFAULT
  const limits = { ...given, maxActive, maxOpen: given.maxOpen ?? maxActive }
  if (bytes === undefined) {
    const { zoneCount = 0, zoneSizeBytes = 0 } = given
    return { ...limits, zoneCount, zoneSizeBytes }
  }
  if (!Number.isSafeInteger(bytes) || bytes < ZONE_BYTES_DEFAULT_MIN) {
    const message = `${name} is ${String(bytes)}: it must be a whole number of at least ${ZONE_BYTES_DEFAULT_MIN}`
    throw new ZoneModelError('ZONE_ERR_GEOMETRY', message, name)
  }
  const power = 2 ** Math.floor(Math.log2(bytes / ZONES_WANTED))
  const chosen = Math.min(ZONE_BYTES_DEFAULT_MAX, Math.max(ZONE_BYTES_DEFAULT_MIN, power))
  const zoneSizeBytes = given.zoneSizeBytes ?? chosen
  const zoneCount = given.zoneCount ?? Math.floor(bytes / zoneSizeBytes)
  return { ...limits, zoneCount, zoneSizeBytes }
}
