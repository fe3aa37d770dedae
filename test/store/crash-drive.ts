/**
 * A drive with a volatile write cache whose power fails when a test says: in the middle of a write, a reset or a flush.
 *
 * Everything goes through a real emulated drive. What was written since the last flush is lost, or a first part of it stays, zone
 * by zone, as a seed decides; a reset that was acknowledged is durable.
 */
import { loseUnflushed } from '../../daemon/power-cut.js'
import {
  createEmulatedDrive,
  type EmulatedDrive,
  type Geometry,
  type GeometryOptions,
  MemoryMedia,
  type ReportOptions,
  wpOf,
  type ZoneDescriptor,
  type ZonedDevice,
  ZoneIoError,
} from '../../zone-model/index.js'
import type { Prng } from '../fakes/prng.js'

const EIO = 5

export class CrashDrive implements ZonedDevice {
  readonly geometry: Geometry
  /** Commands that the drive has taken. */
  commands = 0
  isOff = false
  readonly #drive: EmulatedDrive
  readonly #media: MemoryMedia
  readonly #flushed: Int32Array
  #left = Number.POSITIVE_INFINITY

  constructor(
    options: GeometryOptions,
    private readonly prng: Prng,
  ) {
    this.#media = new MemoryMedia(options.zoneCount * options.zoneSizeBytes)
    this.#drive = createEmulatedDrive({ ...options, media: this.#media })
    this.geometry = this.#drive.geometry
    this.#flushed = new Int32Array(this.geometry.zoneCount)
  }

  /** The power fails at the command after so many. */
  failAfter(commands: number): void {
    this.#left = commands
  }

  /** The power is back. */
  revive(): void {
    this.#left = Number.POSITIVE_INFINITY
    this.isOff = false
    loseUnflushed(this.#drive.table, this.geometry, this.#media, this.#flushed, this.prng.next())
  }

  allocate(bytes: number): Uint8Array {
    return this.#drive.allocate(bytes)
  }

  async report(options?: ReportOptions): Promise<ZoneDescriptor[]> {
    return this.#drive.report(options)
  }

  async read(sector: number, target: Uint8Array): Promise<void> {
    if (this.isOff) throw this.#dead('read')
    await this.#drive.read(sector, target)
  }

  async write(sector: number, source: Uint8Array): Promise<void> {
    if (this.#fails()) {
      const blocks = this.prng.below(source.length / 4096 + 1)
      if (blocks > 0) await this.#drive.write(sector, source.subarray(0, blocks * 4096))
      this.isOff = true
    }
    if (this.isOff) throw this.#dead('write')
    await this.#drive.write(sector, source)
  }

  async append(zone: number, source: Uint8Array): Promise<number> {
    if (this.#fails()) this.isOff = true
    if (this.isOff) throw this.#dead('append')
    return this.#drive.append(zone, source)
  }

  async reset(zone: number): Promise<void> {
    const isLast = this.#fails()
    if (this.isOff) throw this.#dead('reset')
    // Done or not: the program never knows.
    if (!isLast || this.prng.chance(0.5)) {
      await this.#drive.reset(zone)
      this.#flushed[zone] = 0
    }
    if (isLast) this.isOff = true
    if (isLast) throw this.#dead('reset')
  }

  async flush(): Promise<void> {
    const isLast = this.#fails()
    if (this.isOff) throw this.#dead('flush')
    for (let zone = 0; zone < this.geometry.zoneCount; zone++) {
      if (isLast && this.prng.chance(0.5)) continue
      this.#flushed[zone] = wpOf(this.#drive.table.load(zone))
    }
    if (isLast) this.isOff = true
    if (isLast) throw this.#dead('flush')
  }

  async open(zone: number): Promise<void> {
    await this.#drive.open(zone)
  }

  async close(zone: number): Promise<void> {
    await this.#drive.close(zone)
  }

  async finish(zone: number): Promise<void> {
    await this.#drive.finish(zone)
  }

  async resetAll(): Promise<void> {
    await this.#drive.resetAll()
    this.#flushed.fill(0)
  }

  /** The drive stays for the next store. */
  async dispose(): Promise<void> {}

  #fails(): boolean {
    this.commands++
    return this.#left-- <= 0 && !this.isOff
  }

  #dead(operation: string): ZoneIoError {
    return new ZoneIoError({ operation, errno: EIO, detail: 'no power' })
  }
}
