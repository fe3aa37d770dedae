/**
 * A zoned block device as the replay of a trace uses it: ours, null_blk, a real drive. In the process of the command, never in
 * the daemon.
 *
 * It does what a trace says, right or wrong: a request that fails is a negative errno, and never an exception. What cannot be
 * opened is a DaemonError: see devices/block-device.ts.
 */
import { constants, type FileHandle } from 'node:fs/promises'
import {
  AlignedMemory,
  type BlockDeviceLayout,
  DeviceError,
  type OpenBlockDevice,
  openBlockDevice,
  openPast,
} from '../devices/index.js'
import { rangeIoctl, readZones, zoneIoctl } from '../ublk-native/index.js'
import { EOPNOTSUPP, parseReport, SECTOR_BYTES, type ZoneDescriptor } from '../zone-model/index.js'
import { DaemonError, type DaemonErrorCode } from './errors.js'
import type { ZoneCondition } from './protocol.js'
import type { ZoneState } from './zone-runs.js'

/** Sizes in bytes; 0 is no limit. */
export type DiskLayout = Omit<BlockDeviceLayout, 'writeGranularity'>

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

/** The codes that the commands of the daemon have for what devices/ refuses. */
const CODES: Readonly<Record<string, DaemonErrorCode>> = {
  DEVICE_ERR_BUSY: 'DAEMON_ERR_BUSY',
  DEVICE_ERR_PERMISSION: 'DAEMON_ERR_PERMISSION',
  DEVICE_ERR_NOT_ZONED: 'DAEMON_ERR_NOT_ZONED',
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const code = error instanceof DeviceError ? CODES[error.code] : undefined
    if (code === undefined) throw error
    throw new DaemonError(code, (error as Error).message, { cause: error })
  }
}

class BlockDisk implements ZonedDisk {
  readonly layout: DiskLayout
  readonly file: FileHandle
  readonly #memory = new AlignedMemory()

  constructor(
    readonly path: string,
    device: OpenBlockDevice,
    /** The same, for writes that must be durable when they are answered. */
    readonly durable: FileHandle,
  ) {
    this.layout = device.layout
    this.file = device.file
  }

  async report(): Promise<ZoneState[]> {
    return parseReport(await readZones(this.path, 0, this.layout.zones)).map(toState)
  }

  memory(bytes: number): Uint8Array {
    return this.#memory.allocate(bytes)
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
export function openZonedDisk(path: string): Promise<ZonedDisk> {
  return translated(openTwice(path))
}

async function openTwice(path: string): Promise<ZonedDisk> {
  const device = await openBlockDevice(path)
  try {
    // The first descriptor holds the device; a second one with O_EXCL would be refused.
    return new BlockDisk(path, device, await openPast(path, constants.O_DSYNC))
  } catch (error) {
    await device.file.close()
    throw error
  }
}
