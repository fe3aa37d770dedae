/**
 * An emulated drive in this process' memory that lets its user at the bytes: no promise, no copy for a read.
 *
 * The same rules, by the same zone table, as every other emulated drive; the bytes of a zone lie in one piece. Memory of
 * what was not written is not taken, and that of a reset zone is given back or used for the next one.
 */
import { admitWrite } from './data-path.js'
import type { DirectAccess } from './device.js'
import { createTable, EmulatedDrive, SLOT } from './emulated-drive.js'
import { ZoneIoError, ZoneModelError } from './errors.js'
import { Geometry, type GeometryOptions } from './geometry.js'
import { errnoOfRefusal } from './request.js'
import * as transitions from './transitions.js'
import { EINVAL, ENOMEM, SECTOR_BYTES, UBLK_IO_OP_WRITE } from './uapi.js'
import { undoWrite } from './undo.js'
import { HeapBuffers, type ZoneBuffers } from './zone-buffers.js'
import { ZoneMemory } from './zone-memory.js'
import type { ZoneTable } from './zone-table.js'

/** Options of a drive in memory: its geometry, and what it keeps of it. */
export interface MemoryDriveOptions extends GeometryOptions {
  /** How many buffers of reset zones are kept for the next ones, 0 to 64. Default 2. */
  readonly spareZones?: number | undefined
  /** Where the memory comes from. Default: HeapBuffers. */
  readonly buffers?: ZoneBuffers | undefined
}

/** Memory that a drive takes, in bytes, as far as it was ever written. */
export interface DriveMemory {
  readonly zonesBytes: number
  /** Of reset zones, kept for the next ones. */
  readonly spareBytes: number
}

const SPARE_ZONES_DEFAULT = 2
const SPARE_ZONES_MAX = 64

/**
 * Makes an empty drive.
 *
 * @throws ZoneModelError `ZONE_ERR_GEOMETRY` for options that make no drive
 */
export function createMemoryDrive(options: MemoryDriveOptions): MemoryDrive {
  const geometry = Geometry.create(options)
  const spareZones = options.spareZones ?? SPARE_ZONES_DEFAULT
  if (!Number.isInteger(spareZones) || spareZones < 0 || spareZones > SPARE_ZONES_MAX) {
    const why = `it must be a whole number from 0 to ${SPARE_ZONES_MAX}`
    const message = `spareZones is ${String(spareZones)}: ${why}`
    throw new ZoneModelError('ZONE_ERR_GEOMETRY', message, 'spareZones')
  }
  const memory = new ZoneMemory(geometry, spareZones, options.buffers ?? new HeapBuffers())
  return new MemoryDrive(createTable(geometry), memory)
}

/** A drive in memory. Whoever uses both entrances at once sees one drive: nothing is ever half done when a call returns. */
export class MemoryDrive extends EmulatedDrive {
  readonly direct: DirectAccess

  constructor(
    table: ZoneTable,
    private readonly zoneMemory: ZoneMemory,
  ) {
    super(table, zoneMemory)
    this.direct = {
      zone: zone => this.view(zone),
      write: (sector, source) => this.writeDirect(sector, source),
      reset: zone => this.resetDirect(zone),
    }
  }

  /** What it takes at this moment. */
  memory(): DriveMemory {
    const { zonesBytes, spareBytes } = this.zoneMemory
    return { zonesBytes, spareBytes }
  }

  private view(zone: number): Uint8Array {
    const isZone = Number.isInteger(zone) && zone >= 0 && zone < this.geometry.zoneCount
    if (this.isDisposed || !isZone) throw new ZoneIoError({ operation: 'view', errno: EINVAL })
    const view = this.zoneMemory.view(zone)
    if (view === null) throw new ZoneIoError({ operation: 'view', errno: ENOMEM, zone })
    return view
  }

  private writeDirect(sector: number, source: Uint8Array): number {
    const { geometry, table } = this
    const isAligned =
      source.length > 0 &&
      source.length % geometry.blockSizeBytes === 0 &&
      sector % geometry.blockSectors === 0
    if (this.isDisposed || !isAligned) return -EINVAL
    const zone = Math.floor(sector / geometry.zoneSizeSectors)
    const offset = sector - zone * geometry.zoneSizeSectors
    const count = source.length / SECTOR_BYTES
    const admitted = admitWrite(table, SLOT, UBLK_IO_OP_WRITE, zone, offset, count)
    if (admitted < 0) return -errnoOfRefusal(-admitted)
    const stored = this.zoneMemory.store(zone, offset * SECTOR_BYTES, source)
    if (stored < 0 && zone >= geometry.conventionalCount) {
      undoWrite(table, SLOT, this.discardExtent)
    }
    return stored
  }

  private resetDirect(zone: number): number {
    if (this.isDisposed || !Number.isInteger(zone)) return -EINVAL
    const result = transitions.resetZone(this.table, zone, this.discardZone)
    return result < 0 ? -errnoOfRefusal(-result) : 0
  }
}
