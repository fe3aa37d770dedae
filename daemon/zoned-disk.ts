/**
 * A zoned block device as a program uses it: ours, null_blk, a real drive. In the process of the command, never in the daemon.
 *
 * Requests go past the page cache (O_DIRECT). Guarantees: nobody else has it mounted or held while it is open (O_EXCL); a
 * request that fails is a negative errno, and never an exception; what cannot be used is DAEMON_ERR_NOT_ZONED with the reason.
 */
import { closeSync, readFileSync } from 'node:fs'
import { constants, type FileHandle, open, stat } from 'node:fs/promises'
import {
  createMemfd,
  mapShared,
  rangeIoctl,
  readZones,
  UblkError,
  zoneIoctl,
} from '../ublk-native/index.js'
import { EOPNOTSUPP, parseReport, type ZoneDescriptor } from '../zone-model/index.js'
import { DaemonError } from './errors.js'
import type { ZoneCondition } from './protocol.js'
import type { ZoneState } from './zone-runs.js'

const SECTOR_BYTES = 512
const PAGE_BYTES = 4096

/** Sizes in bytes; 0 is no limit. */
export interface DiskLayout {
  zones: number
  conventional: number
  zoneSize: number
  zoneCapacity: number
  blockSize: number
  maxOpen: number
  maxActive: number
}

/** `op` as in a trace (docs/TRACE.md). Sectors of 512 bytes, absolute; a zone command has its zone's start and size. */
export interface DiskRequest {
  op: string
  sector: number
  sectors: number
  isFua: boolean
}

export interface ZonedDisk {
  readonly path: string
  readonly layout: DiskLayout
  report(): Promise<ZoneState[]>
  /** Memory that the kernel takes for O_DIRECT. */
  memory(bytes: number): Uint8Array
  /** `bytes`, of `memory`, is read into or written from. Resolves to bytes (read, write), 0, or -errno. */
  submit(request: DiskRequest, bytes: Uint8Array | null): Promise<number>
  close(): Promise<void>
}

const POINTED: readonly string[] = ['empty', 'implicit-open', 'explicit-open', 'closed']

function toState({ condition, wpSector, startSector }: ZoneDescriptor): ZoneState {
  return {
    condition: condition === 'not-wp' ? 'conventional' : (condition as ZoneCondition),
    wp: POINTED.includes(condition) ? wpSector - startSector : null,
  }
}

function refuse(path: string, why: string, cause?: unknown): never {
  throw new DaemonError('DAEMON_ERR_NOT_ZONED', `${path}: ${why}`, { cause })
}

/** The queue limits of a block device, from sysfs (Documentation/ABI/stable/sysfs-block). */
async function attributesOf(path: string): Promise<(name: string) => string> {
  const status = await stat(path).catch((error: Error) => refuse(path, error.message, error))
  if (!status.isBlockDevice()) refuse(path, 'not a block device')
  // dev_t of Linux, as far as 32 bits of it: 12 bits of major between the low and the high part of the minor.
  const major = (status.rdev >>> 8) & 0xfff
  const minor = (status.rdev & 0xff) | ((status.rdev >>> 12) & 0xfff00)
  const folder = `/sys/dev/block/${major}:${minor}/queue`
  return name => {
    try {
      return readFileSync(`${folder}/${name}`, 'utf8').trim()
    } catch (error) {
      return refuse(path, 'not a whole disk (a partition, perhaps), or of an old kernel', error)
    }
  }
}

/** Throws DaemonError when the zones are not all of one size, or of no capacity that can be told. */
function layoutOf(
  path: string,
  zones: readonly ZoneDescriptor[],
  attribute: (name: string) => string,
): DiskLayout {
  const zoneSectors = Number(attribute('chunk_sectors'))
  if (zones.length === 0) refuse(path, 'it reports no zones')
  if (zones.some(zone => zone.lengthSectors !== zoneSectors)) refuse(path, 'zones of several sizes')
  const sequential = zones.find(({ type }) => type === 'sequential')
  return {
    zones: zones.length,
    conventional: zones.filter(({ type }) => type === 'conventional').length,
    zoneSize: zoneSectors * SECTOR_BYTES,
    zoneCapacity: (sequential?.capacitySectors ?? zoneSectors) * SECTOR_BYTES,
    blockSize: Number(attribute('logical_block_size')),
    maxOpen: Number(attribute('max_open_zones')),
    maxActive: Number(attribute('max_active_zones')),
  }
}

async function openPast(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_DIRECT | flags)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const cause = { cause: error }
    if (code === 'EBUSY') {
      const busy = `${path} is mounted or held by another program: release it first`
      throw new DaemonError('DAEMON_ERR_BUSY', busy, cause)
    }
    if (code === 'EACCES' || code === 'EPERM')
      throw new DaemonError('DAEMON_ERR_PERMISSION', `${path}: not allowed; run with sudo`, cause)
    return refuse(path, message, error)
  }
}

class BlockDisk implements ZonedDisk {
  constructor(
    readonly path: string,
    readonly layout: DiskLayout,
    readonly file: FileHandle,
    /** The same, for writes that must be durable when they are answered. */
    readonly durable: FileHandle,
  ) {}

  async report(): Promise<ZoneState[]> {
    return parseReport(await readZones(this.path, 0, this.layout.zones)).map(toState)
  }

  memory(bytes: number): Uint8Array {
    const fd = createMemfd('zslab-replay')
    try {
      const whole = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
      return new Uint8Array(mapShared(`/proc/self/fd/${fd}`, whole, true), 0, bytes)
    } finally {
      closeSync(fd)
    }
  }

  async submit(request: DiskRequest, bytes: Uint8Array | null): Promise<number> {
    try {
      return await this.#perform(request, bytes)
    } catch (error) {
      const { errno } = error as { errno?: unknown }
      if (typeof errno === 'number' && errno < 0) return errno
      throw error
    }
  }

  async close(): Promise<void> {
    await this.durable.close()
    await this.file.close()
  }

  async #perform(
    { op, sector, sectors, isFua }: DiskRequest,
    bytes: Uint8Array | null,
  ): Promise<number> {
    const at = sector * SECTOR_BYTES
    switch (op) {
      case 'read':
        return (await this.file.read(bytes!, 0, bytes!.length, at)).bytesRead
      case 'write':
        return (await (isFua ? this.durable : this.file).write(bytes!, 0, bytes!.length, at))
          .bytesWritten
      case 'flush':
        await this.file.datasync()
        return 0
      case 'discard':
      case 'write-zeroes':
        await rangeIoctl(this.path, op, at, sectors * SECTOR_BYTES)
        return 0
      case 'open':
      case 'close':
      case 'finish':
      case 'reset':
        await zoneIoctl(this.path, op, sector, sectors)
        return 0
      case 'report':
        await readZones(this.path, sector, 1)
        return 0
      default:
        return -EOPNOTSUPP
    }
  }
}

/** Rejects with DaemonError: NOT_ZONED, BUSY (mounted or held), PERMISSION. */
export async function openZonedDisk(path: string): Promise<ZonedDisk> {
  const attribute = await attributesOf(path)
  const zoned = attribute('zoned')
  if (zoned !== 'host-managed') refuse(path, `not host-managed (sysfs says zoned: ${zoned})`)
  const file = await openPast(path, constants.O_EXCL)
  try {
    const zones = parseReport(await readZones(path, 0, Number(attribute('nr_zones'))))
    const layout = layoutOf(path, zones, attribute)
    // The first descriptor holds the device; a second one with O_EXCL would be refused.
    return new BlockDisk(path, layout, file, await openPast(path, constants.O_DSYNC))
  } catch (error) {
    await file.close()
    if (error instanceof UblkError) refuse(path, `zones cannot be read: ${error.code}`, error)
    throw error
  }
}
