/**
 * Opening a zoned block device: ours, null_blk, a real drive. What both of its users need: BlockDrive, and the replay of
 * traces (daemon/zoned-disk.ts).
 *
 * Requests go past the page cache (O_DIRECT). Guarantee: nobody else has it mounted or held while it is open (O_EXCL).
 */
import { readFileSync } from 'node:fs'
import { constants, type FileHandle, open, stat } from 'node:fs/promises'
import { readZones, UblkError } from '../ublk-native/index.js'
import { parseReport, SECTOR_BYTES, type ZoneDescriptor } from '../zone-model/index.js'
import { DeviceError } from './errors.js'

/** Sizes in bytes; 0 is no limit. */
export interface BlockDeviceLayout {
  zones: number
  conventional: number
  zoneSize: number
  /** Of the first sequential zone. */
  zoneCapacity: number
  blockSize: number
  /** Writes to sequential zones are multiples of this, and so aligned. */
  writeGranularity: number
  maxOpen: number
  maxActive: number
}

export interface OpenBlockDevice {
  readonly layout: BlockDeviceLayout
  /** As they were when it was opened. */
  readonly zones: readonly ZoneDescriptor[]
  readonly file: FileHandle
}

function refuse(path: string, why: string, cause?: unknown): never {
  throw new DeviceError('DEVICE_ERR_NOT_ZONED', `${path}: ${why}`, { cause })
}

/** The queue limits of a block device, from sysfs (Documentation/ABI/stable/sysfs-block). */
async function attributesOf(path: string): Promise<(name: string, none?: string) => string> {
  const status = await stat(path).catch((error: Error) => refuse(path, error.message, error))
  if (!status.isBlockDevice()) refuse(path, 'not a block device')
  // dev_t of Linux, as far as 32 bits of it: 12 bits of major between the low and the high part of the minor.
  const major = (status.rdev >>> 8) & 0xfff
  const minor = (status.rdev & 0xff) | ((status.rdev >>> 12) & 0xfff00)
  const folder = `/sys/dev/block/${major}:${minor}/queue`
  return (name, none) => {
    try {
      return readFileSync(`${folder}/${name}`, 'utf8').trim()
    } catch (error) {
      if (none !== undefined) return none
      return refuse(path, 'not a whole disk (a partition, perhaps), or of an old kernel', error)
    }
  }
}

function layoutOf(
  path: string,
  zones: readonly ZoneDescriptor[],
  attribute: (name: string, none?: string) => string,
): BlockDeviceLayout {
  const zoneSectors = Number(attribute('chunk_sectors'))
  if (zones.length === 0) refuse(path, 'it reports no zones')
  if (zones.some(zone => zone.lengthSectors !== zoneSectors)) refuse(path, 'zones of several sizes')
  const sequential = zones.find(({ type }) => type === 'sequential')
  const blockSize = Number(attribute('logical_block_size'))
  return {
    zones: zones.length,
    conventional: zones.filter(({ type }) => type === 'conventional').length,
    zoneSize: zoneSectors * SECTOR_BYTES,
    zoneCapacity: (sequential?.capacitySectors ?? zoneSectors) * SECTOR_BYTES,
    blockSize,
    writeGranularity: Math.max(blockSize, Number(attribute('zone_write_granularity', '0'))),
    maxOpen: Number(attribute('max_open_zones')),
    maxActive: Number(attribute('max_active_zones')),
  }
}

/** Opens past the page cache. @throws DeviceError BUSY, PERMISSION, NOT_ZONED */
export async function openPast(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_DIRECT | flags)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const cause = { cause: error }
    if (code === 'EBUSY') {
      const busy = `${path} is mounted or held by another program: release it first`
      throw new DeviceError('DEVICE_ERR_BUSY', busy, cause)
    }
    if (code === 'EACCES' || code === 'EPERM')
      throw new DeviceError('DEVICE_ERR_PERMISSION', `${path}: not allowed; run with sudo`, cause)
    return refuse(path, message, error)
  }
}

/** @throws DeviceError NOT_ZONED with the reason, BUSY (mounted or held), PERMISSION */
export async function openBlockDevice(path: string): Promise<OpenBlockDevice> {
  const attribute = await attributesOf(path)
  const zoned = attribute('zoned')
  if (zoned !== 'host-managed') refuse(path, `not host-managed (sysfs says zoned: ${zoned})`)
  const file = await openPast(path, constants.O_EXCL)
  try {
    const zones = parseReport(await readZones(path, 0, Number(attribute('nr_zones'))))
    return { file, zones, layout: layoutOf(path, zones, attribute) }
  } catch (error) {
    await file.close()
    if (error instanceof UblkError) refuse(path, `zones cannot be read: ${error.code}`, error)
    throw error
  }
}
