/**
 * An emulated drive as a disk of a replay. What a test wants wrong it changes in `before`, `delay` or `spoil`.
 */
import type { DiskLayout, DiskRequest, ZonedDisk, ZoneState } from '../../daemon/client.js'
import {
  createEmulatedDrive,
  EIO,
  type EmulatedDrive,
  EOPNOTSUPP,
  type GeometryOptions,
  ZoneIoError,
} from '../../zone-model/index.js'

const POINTED = ['empty', 'implicit-open', 'explicit-open', 'closed']

export class EmulatedDisk implements ZonedDisk {
  readonly path: string
  readonly drive: EmulatedDrive
  readonly layout: DiskLayout
  /** Every request, in the order in which it came. */
  readonly asked: DiskRequest[] = []
  /** How many were under way at once, at most. */
  deepest = 0
  isClosed = false
  /** A result instead of doing it; null: do it. */
  instead: (request: DiskRequest) => number | null = () => null
  /** Before an answer. */
  delay: () => Promise<void> = () => Promise.resolve()
  #running = 0

  constructor(options: GeometryOptions, path = '/dev/emulated') {
    this.path = path
    this.drive = createEmulatedDrive(options)
    const { geometry } = this.drive
    this.layout = {
      zones: geometry.zoneCount,
      conventional: geometry.conventionalCount,
      zoneSize: geometry.zoneSizeBytes,
      zoneCapacity: geometry.zoneCapacityBytes,
      blockSize: geometry.blockSizeBytes,
      maxOpen: geometry.maxOpen,
      maxActive: geometry.maxActive,
    }
  }

  async report(): Promise<ZoneState[]> {
    return (await this.drive.report()).map(({ condition, wpSector, startSector }) => ({
      condition: (condition === 'not-wp' ? 'conventional' : condition) as ZoneState['condition'],
      wp: POINTED.includes(condition) ? wpSector - startSector : null,
    }))
  }

  memory(bytes: number): Uint8Array {
    return new Uint8Array(bytes)
  }

  async submit(request: DiskRequest, bytes: Uint8Array | null): Promise<number> {
    this.asked.push(request)
    this.#running++
    this.deepest = Math.max(this.deepest, this.#running)
    try {
      const result = this.instead(request) ?? (await this.#perform(request, bytes))
      await this.delay()
      return result
    } catch (error) {
      if (error instanceof ZoneIoError) return -error.errno
      throw error
    } finally {
      this.#running--
    }
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  async #perform({ op, sector, sectors }: DiskRequest, bytes: Uint8Array | null): Promise<number> {
    const { drive } = this
    const size = drive.geometry.zoneSizeSectors
    const zone = sector / size
    if (op === 'read') await drive.read(sector, bytes!)
    else if (op === 'write') await drive.write(sector, bytes!)
    else if (op === 'flush') await drive.flush()
    else if (op === 'open') await drive.open(zone)
    else if (op === 'close') await drive.close(zone)
    else if (op === 'finish') await drive.finish(zone)
    else if (op === 'reset') {
      for (let at = zone; at < zone + sectors / size; at++) await drive.reset(at)
    } else if (op !== 'report') return -EOPNOTSUPP
    return op === 'read' || op === 'write' ? bytes!.length : 0
  }
}

/** A disk on which every request of some kind fails. */
export function failing(disk: EmulatedDisk, op: string): void {
  disk.instead = request => (request.op === op ? -EIO : null)
}
