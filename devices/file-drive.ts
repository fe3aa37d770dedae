/**
 * A zoned drive in a directory: a file for each zone that was written, and one that says where the write pointers are.
 *
 * No addon, no root, any file system. A reset cuts the zone's file, so its space is back at once, without holes to be
 * punched (which Node cannot).
 *
 * Guarantees: the drive has the volatile write cache of a real one. What was acknowledged before a flush is there after a
 * power cut or a kill, in full; of what came later nothing is seen: the write pointers are those of the last flush. Writes
 * to conventional zones, which have none, may be seen in part. A reset that was acknowledged is durable. After opening, zones
 * that were open are closed, as after every loss of power (zone-model/power-loss.ts).
 *
 * Changes of one zone are done in the order in which they were asked for, those of different zones at the same time. When the
 * system cannot make data durable (fdatasync fails), what is on the disk is unknown: every later flush is refused.
 */
import {
  admitAppend,
  admitRead,
  admitWrite,
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_FULL,
  checkStatus,
  checkZoneNumber,
  closeZone,
  conditionOf,
  createTable,
  EINVAL,
  EIO,
  finishZone,
  type Geometry,
  locateRequest,
  losePower,
  openZone,
  packWord,
  type ReportOptions,
  reportZones,
  resetZone,
  retreatZone,
  SECTOR_BYTES,
  UBLK_IO_OP_WRITE,
  wpOf,
  type ZoneDescriptor,
  type ZonedDevice,
  ZoneIoError,
  type ZoneTable,
} from '../zone-model/index.js'
import { type DriveHeader, emptyStates, type ZoneStates } from './drive-header.js'
import { GroupCommit } from './group-commit.js'
import { Turns } from './turns.js'
import type { ZoneFiles } from './zone-files.js'

/** The only tag that is used: requests of one zone are done one at a time. */
const SLOT = 0

/** What a drive in a directory is made of: see open-file-drive.ts. */
export interface FileDriveParts {
  readonly directory: string
  readonly header: DriveHeader
  readonly files: ZoneFiles
  /** Called once when the drive is disposed of. */
  readonly unlock: () => void
  /** There is nothing to flush in the end. */
  readonly readOnly?: boolean
}

/** Makes a table of what a header holds, as after a loss of power, within the limit of active zones. */
function tableOf(geometry: Geometry, { words }: ZoneStates): ZoneTable {
  const table = createTable(geometry)
  for (const [zone, word] of words.entries()) table.publish(zone, word)
  losePower(table)
  // A flush may have seen a zone before the write that filled it and another one after: one too many.
  const closed = [...words.keys()].filter(
    zone => conditionOf(table.load(zone)) === BLK_ZONE_COND_CLOSED,
  )
  closed.sort((a, b) => wpOf(table.load(b)) - wpOf(table.load(a)))
  const excess = geometry.maxActive === 0 ? 0 : Math.max(0, closed.length - geometry.maxActive)
  for (const zone of closed.slice(0, excess)) finishZone(table, zone)
  return table
}

export class FileDrive implements ZonedDevice {
  readonly geometry: Geometry
  /** The rules, for tests and tools; changing it changes the drive, from the next flush on for good. */
  readonly table: ZoneTable
  readonly #header: DriveHeader
  readonly #files: ZoneFiles
  /** What the header is to hold. */
  readonly #durable: ZoneStates
  /** How far each zone's file counts, in sectors: what lies behind reads as zeros. */
  readonly #filled: Uint32Array
  /** Resets of each zone. */
  readonly #epochs: Uint32Array
  /** Zones that have been written since their last sync. */
  readonly #dirty = new Set<number>()
  /** Words before the writes that are under way, which a flush must not promise. */
  readonly #before = new Map<number, number>()
  /** Zones whose reset failed halfway: it is ended before anything else is done there. */
  readonly #halfReset = new Set<number>()
  readonly #turns = new Turns()
  readonly #flushes = new GroupCommit(() => this.#flushNow())
  readonly #commits = new GroupCommit(() => this.#header.write(this.#durable))
  #disposed: Promise<void> | null = null
  #lost: unknown = null

  constructor(private readonly parts: FileDriveParts) {
    this.#header = parts.header
    this.#files = parts.files
    this.geometry = parts.header.geometry
    this.#durable = parts.header.found
    this.table = tableOf(this.geometry, this.#durable)
    this.#filled = this.#durable.filled.slice()
    this.#epochs = new Uint32Array(this.geometry.zoneCount)
  }

  allocate(bytes: number): Uint8Array {
    return new Uint8Array(bytes)
  }

  async report(options: ReportOptions = {}): Promise<ZoneDescriptor[]> {
    this.#checkUsable('report')
    return reportZones(this.table, options)
  }

  async read(sector: number, target: Uint8Array): Promise<void> {
    const { zone, offset, count } = this.#locate('read', sector, target)
    checkStatus('read', zone, admitRead(this.table, zone, offset, count))
    const epoch = this.#epochs[zone]
    const bytes = Math.max(0, Math.min(count, this.#filled[zone]! - offset)) * SECTOR_BYTES
    let found = 0
    if (bytes > 0) {
      const part = target.subarray(0, bytes)
      const read = this.#files.use(zone, file => file.read(offset * SECTOR_BYTES, part))
      found = await this.#io('read', zone, read)
    }
    const isReset = this.#epochs[zone] !== epoch
    if (found < bytes && !isReset) {
      const end = offset * SECTOR_BYTES + found
      const detail = `${this.#files.pathOf(zone)} ends at byte ${end}, before the write pointer`
      throw new ZoneIoError({ operation: 'read', errno: EIO, zone, detail })
    }
    target.fill(0, isReset ? 0 : bytes)
  }

  async write(sector: number, source: Uint8Array): Promise<void> {
    const { zone, offset, count } = this.#locate('write', sector, source)
    if (zone < this.geometry.conventionalCount) {
      checkStatus(
        'write',
        zone,
        admitWrite(this.table, SLOT, UBLK_IO_OP_WRITE, zone, offset, count),
      )
      return this.#store('write', zone, offset, source)
    }
    await this.#turns.run(zone, async () => {
      await this.#endReset('write', zone)
      const word = this.table.load(zone)
      checkStatus(
        'write',
        zone,
        admitWrite(this.table, SLOT, UBLK_IO_OP_WRITE, zone, offset, count),
      )
      await this.#storeAdmitted('write', zone, word, offset, source)
    })
  }

  async append(zone: number, source: Uint8Array): Promise<number> {
    this.#checkZone('append', zone)
    const start = zone * this.geometry.zoneSizeSectors
    const { count } = this.#locate('append', start, source)
    return this.#turns.run(zone, async () => {
      await this.#endReset('append', zone)
      const word = this.table.load(zone)
      const offset = checkStatus('append', zone, admitAppend(this.table, SLOT, zone, count))
      await this.#storeAdmitted('append', zone, word, offset, source)
      return start + offset
    })
  }

  open(zone: number): Promise<void> {
    return this.#change('open', zone, openZone)
  }

  close(zone: number): Promise<void> {
    return this.#change('close', zone, closeZone)
  }

  finish(zone: number): Promise<void> {
    return this.#change('finish', zone, finishZone)
  }

  async reset(zone: number): Promise<void> {
    this.#checkZone('reset', zone)
    await this.#turns.run(zone, async () => {
      const isEmpty = conditionOf(this.table.load(zone)) === BLK_ZONE_COND_EMPTY
      const isClean = isEmpty && this.#durable.words[zone] === packWord(BLK_ZONE_COND_EMPTY, 0)
      checkStatus(
        'reset',
        zone,
        resetZone(this.table, zone, () => 0),
      )
      if (isClean && !this.#halfReset.has(zone)) return
      const none = emptyStates(this.geometry)
      this.#epochs[zone]!++
      this.#filled[zone] = 0
      this.#dirty.delete(zone)
      this.#durable.words[zone] = none.words[zone]!
      this.#durable.filled[zone] = 0
      this.#halfReset.add(zone)
      await this.#endReset('reset', zone)
    })
  }

  async resetAll(): Promise<void> {
    this.#checkUsable('reset all')
    const zones: number[] = []
    for (let zone = this.geometry.conventionalCount; zone < this.geometry.zoneCount; zone++) {
      const condition = conditionOf(this.table.load(zone))
      if (condition <= BLK_ZONE_COND_CLOSED || condition === BLK_ZONE_COND_FULL) zones.push(zone)
    }
    await Promise.all(zones.map(zone => this.reset(zone)))
  }

  async flush(): Promise<void> {
    this.#checkUsable('flush')
    await this.#flushes.run()
  }

  /** Flushes, and lets others open the directory. Rejects if what was written could not be made durable. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#end()
    return this.#disposed
  }

  async #end(): Promise<void> {
    try {
      await this.#turns.idle()
      if (this.parts.readOnly !== true) await this.#flushes.run()
    } finally {
      await this.#files.close()
      await this.#header.close()
      this.parts.unlock()
    }
  }

  /** What the flush promises is taken when it begins: zones that change meanwhile are not seen half. */
  async #flushNow(): Promise<void> {
    if (this.#lost !== null) throw this.#ioError('flush', undefined, this.#lost)
    const words = this.#durable.words.map(
      (_, zone) => this.#before.get(zone) ?? this.table.load(zone),
    )
    const filled = this.#filled.slice()
    const epochs = this.#epochs.slice()
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    try {
      await Promise.all(dirty.map(zone => this.#files.use(zone, file => file.sync())))
      await this.#files.syncNames()
    } catch (error) {
      this.#lost = error
      throw this.#ioError('flush', undefined, error)
    }
    for (let zone = 0; zone < words.length; zone++) {
      // A zone that was reset since is empty, and the header has been told so.
      if (this.#epochs[zone] !== epochs[zone]) continue
      this.#durable.words[zone] = words[zone]!
      this.#durable.filled[zone] = filled[zone]!
    }
    await this.#io('flush', undefined, this.#commits.run())
  }

  /** Makes a reset durable, and then gives the space back: in the other order a power cut would leave a zone without bytes. */
  async #endReset(operation: string, zone: number): Promise<void> {
    if (!this.#halfReset.has(zone)) return
    await this.#io(operation, zone, this.#commits.run())
    if (this.#files.has(zone)) {
      const cut = this.#files.use(zone, file => file.truncate(0))
      await this.#io(operation, zone, cut)
    }
    this.#halfReset.delete(zone)
  }

  /** Stores bytes that have been admitted in a zone whose word was `word`; when that fails, the zone is closed at the old place. */
  async #storeAdmitted(
    operation: string,
    zone: number,
    word: number,
    offset: number,
    source: Uint8Array,
  ): Promise<void> {
    this.#before.set(zone, word)
    try {
      await this.#store(operation, zone, offset, source)
    } catch (error) {
      retreatZone(this.table, zone, offset)
      this.#before.delete(zone)
      throw error
    }
  }

  async #store(operation: string, zone: number, offset: number, source: Uint8Array): Promise<void> {
    const write = this.#files.use(zone, file => file.write(offset * SECTOR_BYTES, source))
    await this.#io(operation, zone, write)
    this.#filled[zone] = Math.max(this.#filled[zone]!, offset + source.length / SECTOR_BYTES)
    this.#dirty.add(zone)
    // In the same turn: a flush sees the word and the bytes of one moment.
    this.#before.delete(zone)
  }

  async #change(
    operation: string,
    zone: number,
    command: (table: ZoneTable, zone: number) => number,
  ): Promise<void> {
    this.#checkZone(operation, zone)
    await this.#turns.run(zone, async () => {
      checkStatus(operation, zone, command(this.table, zone))
    })
  }

  #locate(operation: string, sector: number, bytes: Uint8Array) {
    this.#checkUsable(operation)
    return locateRequest(this.geometry, operation, sector, bytes)
  }

  #checkZone(operation: string, zone: number): void {
    this.#checkUsable(operation)
    checkZoneNumber(this.geometry, operation, zone)
  }

  #checkUsable(operation: string): void {
    if (this.#disposed === null) return
    throw new ZoneIoError({ operation, errno: EINVAL, detail: 'the drive has been disposed of' })
  }

  async #io<T>(operation: string, zone: number | undefined, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw this.#ioError(operation, zone, error)
    }
  }

  #ioError(operation: string, zone: number | undefined, error: unknown): unknown {
    const { errno, message } = error as NodeJS.ErrnoException
    if (typeof errno !== 'number' || errno >= 0) return error
    const failure = { operation, errno: -errno, detail: `${this.parts.directory}: ${message}` }
    return new ZoneIoError(zone === undefined ? failure : { ...failure, zone })
  }
}
