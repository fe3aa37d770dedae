/**
 * When a drive would be done: a queue at each die, a write cache before them, the controller around them.
 *
 * Times are microseconds of one clock. A zone's program units are striped over its dies (zone and unit decide which, as in
 * NVMeVirt's zns_ftl); a die does one thing after the other, in the order in which they are asked for. A read is done when the
 * last of its pages is, a write when it is in the cache or, without one, programmed. A unit is programmed when its last byte
 * is there. What the source models and this does not: dies that wait for each other on a channel.
 *
 * Nothing is allocated after the constructor: what it knows is when each die is free, how far each zone is written, and when
 * the last units of each zone have left the cache. Times go in and out through `timesUs`: a number that is not a small integer
 * becomes an object where a function takes or gives it.
 */
import type { LatencyProfile } from './latency-profiles.js'

const SECTOR_BYTES = 512
const SMALL_SECTORS = 4096 / SECTOR_BYTES

/** Entries of `timesUs`. In: when the request comes. */
export const NOW_US = 0
/** Out: when the drive is done with it. */
export const DONE_US = 1
/** Of the work that a die is given: from when on it can begin, how long it takes. */
const READY_US = 2
const BUSY_US = 3

/** Offsets and lengths are in sectors of 512 bytes; offsets begin with the zone. */
export class DieModel {
  readonly timesUs = new Float64Array(4)
  readonly #profile: LatencyProfile
  readonly #zoneSectors: number
  readonly #pageSectors: number
  readonly #programSectors: number
  readonly #dieFreeUs: Float64Array
  /** Sectors written to each zone since its reset. */
  readonly #written: Int32Array
  /** For each zone a ring: when a unit has left the cache. */
  readonly #leftUs: Float64Array
  readonly #ring: number

  /** `zoneSectors`: the capacity of a zone. */
  constructor(profile: LatencyProfile, zoneCount: number, zoneSectors: number) {
    this.#profile = profile
    this.#zoneSectors = zoneSectors
    this.#pageSectors = profile.pageBytes / SECTOR_BYTES
    this.#programSectors = profile.programBytes / SECTOR_BYTES
    this.#dieFreeUs = new Float64Array(profile.dies)
    this.#written = new Int32Array(zoneCount)
    this.#ring = profile.cacheUnits
    this.#leftUs = new Float64Array(zoneCount * profile.cacheUnits)
  }

  read(zone: number, offset: number, sectors: number): void {
    const profile = this.#profile
    const times = this.timesUs
    const isSmall = sectors <= SMALL_SECTORS
    const beginUs =
      times[NOW_US]! + (isSmall ? profile.controllerRead4kUs : profile.controllerReadUs)
    let doneUs = beginUs
    const end = offset + sectors
    for (let at = offset; at < end; ) {
      const pageEnd = (Math.floor(at / this.#pageSectors) + 1) * this.#pageSectors
      const part = Math.min(pageEnd, end) - at
      const nandUs = part <= SMALL_SECTORS ? profile.read4kUs : profile.readUs
      times[READY_US] = beginUs
      times[BUSY_US] = nandUs + (part * SECTOR_BYTES) / profile.channelBytesPerUs
      const die = this.#dieOf(zone, at)
      this.#occupy(die)
      doneUs = Math.max(doneUs, this.#dieFreeUs[die]!)
      at += part
    }
    times[DONE_US] = doneUs + (sectors * SECTOR_BYTES) / profile.hostBytesPerUs
  }

  /** `isDurable`: it has to be programmed, as far as it fills units (FUA). */
  write(zone: number, offset: number, sectors: number, isDurable: boolean): void {
    const profile = this.#profile
    const times = this.timesUs
    const blocks = Math.ceil(sectors / SMALL_SECTORS)
    const controllerUs = profile.controllerWriteUs + blocks * profile.controllerWrite4kUs
    let inCacheUs =
      times[NOW_US]! + controllerUs + (sectors * SECTOR_BYTES) / profile.hostBytesPerUs
    let programmedUs = inCacheUs
    const end = offset + sectors
    this.#written[zone] = end
    for (let at = offset; at < end; ) {
      const unit = Math.floor(at / this.#programSectors)
      const unitEnd = Math.min((unit + 1) * this.#programSectors, this.#zoneSectors)
      const slot = this.#ring === 0 ? -1 : zone * this.#ring + (unit % this.#ring)
      // Its place in the cache is that of the unit so many before it.
      if (slot >= 0) inCacheUs = Math.max(inCacheUs, this.#leftUs[slot]!)
      if (unitEnd <= end) {
        times[READY_US] = inCacheUs
        const leftUs = this.#dieFreeUs[this.#program(zone, at)]!
        if (slot >= 0) this.#leftUs[slot] = leftUs
        programmedUs = Math.max(programmedUs, leftUs)
      }
      at = Math.max(unitEnd, at + 1)
    }
    times[DONE_US] = profile.isCached && !isDurable ? inCacheUs : Math.max(inCacheUs, programmedUs)
  }

  /** A write wherever the zone is. */
  append(zone: number, sectors: number, isDurable: boolean): void {
    this.write(zone, this.#written[zone]!, sectors, isDurable)
  }

  reset(zone: number): void {
    const times = this.timesUs
    const { eraseUs, diesPerZone } = this.#profile
    this.#written[zone] = 0
    let doneUs = times[NOW_US]!
    if (eraseUs > 0) {
      const first = this.#firstDie(zone)
      for (let die = first; die < first + diesPerZone; die++) {
        times[READY_US] = times[NOW_US]!
        times[BUSY_US] = eraseUs
        this.#occupy(die)
        doneUs = Math.max(doneUs, this.#dieFreeUs[die]!)
      }
    }
    times[DONE_US] = doneUs
  }

  /** What is left of the zone is filled, as far as the drive does that; an empty or full one has nothing to fill. */
  finish(zone: number): void {
    const times = this.timesUs
    const written = this.#written[zone]!
    this.#written[zone] = this.#zoneSectors
    let doneUs = times[NOW_US]!
    const units = written === 0 ? 0 : this.#profile.finishUnits
    for (let i = 0; i < units; i++) {
      const at = written + i * this.#programSectors
      if (at >= this.#zoneSectors) break
      times[READY_US] = times[NOW_US]!
      doneUs = Math.max(doneUs, this.#dieFreeUs[this.#program(zone, at)]!)
    }
    times[DONE_US] = doneUs
  }

  /** Done when every die is: what is in the cache and fills no unit is safe there. */
  flush(): void {
    let doneUs = this.timesUs[NOW_US]!
    for (let die = 0; die < this.#dieFreeUs.length; die++) {
      doneUs = Math.max(doneUs, this.#dieFreeUs[die]!)
    }
    this.timesUs[DONE_US] = doneUs
  }

  /** A unit, from READY_US on. Gives its die. */
  #program(zone: number, at: number): number {
    const { programBytes, channelBytesPerUs, programUs } = this.#profile
    this.timesUs[BUSY_US] = programBytes / channelBytesPerUs + programUs
    const die = this.#dieOf(zone, at)
    this.#occupy(die)
    return die
  }

  /** Keep a die busy for BUSY_US from READY_US on, after what it does already. */
  #occupy(die: number): void {
    const times = this.timesUs
    this.#dieFreeUs[die] = Math.max(this.#dieFreeUs[die]!, times[READY_US]!) + times[BUSY_US]!
  }

  #firstDie(zone: number): number {
    return (zone * this.#profile.diesPerZone) % this.#profile.dies
  }

  #dieOf(zone: number, at: number): number {
    const unit = Math.floor(at / this.#programSectors)
    return this.#firstDie(zone) + (unit % this.#profile.diesPerZone)
  }
}
