/**
 * When a drive would be done: a queue at each die, a write cache before them, the controller around them.
 *
 * Times are microseconds of one clock. A zone's program units are striped over its dies (zone and unit decide which, as in
 * NVMeVirt's zns_ftl); a die does one thing after the other, in the order in which they are asked for. A read is done when the
 * last of its pages is, a write when it is in the cache or, without one, programmed. A unit is programmed when its last byte
 * is there. What the source models and this does not: dies that wait for each other on a channel.
 *
 * Nothing is allocated after the constructor: what it knows is when each die is free, how far each zone is written, and when
 * the last units of each zone have left the cache.
 */
import type { LatencyProfile } from './latency-profiles.js'

const SMALL_BYTES = 4096

export class DieModel {
  readonly #profile: LatencyProfile
  readonly #zoneBytes: number
  readonly #dieFreeUs: Float64Array
  /** Bytes written to each zone since its reset. */
  readonly #written: Float64Array
  /** For each zone a ring: when a unit has left the cache. */
  readonly #leftUs: Float64Array
  readonly #ring: number

  /** `zoneBytes`: the capacity of a zone. */
  constructor(profile: LatencyProfile, zoneCount: number, zoneBytes: number) {
    this.#profile = profile
    this.#zoneBytes = zoneBytes
    this.#dieFreeUs = new Float64Array(profile.dies)
    this.#written = new Float64Array(zoneCount)
    this.#ring = profile.cacheUnits
    this.#leftUs = new Float64Array(zoneCount * profile.cacheUnits)
  }

  /** A read of `bytes` at `offset` of a zone. */
  read(zone: number, offset: number, bytes: number, nowUs: number): number {
    const profile = this.#profile
    const isSmall = bytes <= SMALL_BYTES
    const beginUs = nowUs + (isSmall ? profile.controllerRead4kUs : profile.controllerReadUs)
    let doneUs = beginUs
    const end = offset + bytes
    for (let at = offset; at < end; ) {
      const pageEnd = (Math.floor(at / profile.pageBytes) + 1) * profile.pageBytes
      const part = Math.min(pageEnd, end) - at
      const nandUs = part <= SMALL_BYTES ? profile.read4kUs : profile.readUs
      const busyUs = nandUs + part / profile.channelBytesPerUs
      doneUs = Math.max(doneUs, this.#occupy(this.#dieOf(zone, at), beginUs, busyUs))
      at += part
    }
    return doneUs + bytes / profile.hostBytesPerUs
  }

  /** A write at `offset`; `isDurable`: it has to be programmed, as far as it fills units (FUA). */
  write(zone: number, offset: number, bytes: number, isDurable: boolean, nowUs: number): number {
    const profile = this.#profile
    const blocks = Math.ceil(bytes / SMALL_BYTES)
    const controllerUs = profile.controllerWriteUs + blocks * profile.controllerWrite4kUs
    const arrivedUs = nowUs + controllerUs + bytes / profile.hostBytesPerUs
    const end = offset + bytes
    this.#written[zone] = end
    let inCacheUs = arrivedUs
    let programmedUs = arrivedUs
    for (let at = offset; at < end; ) {
      const unit = Math.floor(at / profile.programBytes)
      const unitEnd = Math.min((unit + 1) * profile.programBytes, this.#zoneBytes)
      const slot = this.#ring === 0 ? -1 : zone * this.#ring + (unit % this.#ring)
      // Its place in the cache is that of the unit so many before it.
      if (slot >= 0) inCacheUs = Math.max(inCacheUs, this.#leftUs[slot]!)
      if (unitEnd <= end) {
        const leftUs = this.#program(zone, at, inCacheUs)
        if (slot >= 0) this.#leftUs[slot] = leftUs
        programmedUs = Math.max(programmedUs, leftUs)
      }
      at = Math.max(unitEnd, at + 1)
    }
    return profile.isCached && !isDurable ? inCacheUs : Math.max(inCacheUs, programmedUs)
  }

  /** A write wherever the zone is. */
  append(zone: number, bytes: number, isDurable: boolean, nowUs: number): number {
    return this.write(zone, this.#written[zone]!, bytes, isDurable, nowUs)
  }

  reset(zone: number, nowUs: number): number {
    this.#written[zone] = 0
    let doneUs = nowUs
    const { eraseUs, diesPerZone } = this.#profile
    if (eraseUs === 0) return doneUs
    const first = this.#firstDie(zone)
    for (let i = 0; i < diesPerZone; i++) {
      doneUs = Math.max(doneUs, this.#occupy(first + i, nowUs, eraseUs))
    }
    return doneUs
  }

  /** What is left of the zone is filled, as far as the drive does that; an empty or full one has nothing to fill. */
  finish(zone: number, nowUs: number): number {
    const { programBytes, finishUnits } = this.#profile
    const written = this.#written[zone]!
    this.#written[zone] = this.#zoneBytes
    let doneUs = nowUs
    if (written === 0) return doneUs
    for (let i = 0; i < finishUnits; i++) {
      const at = written + i * programBytes
      if (at >= this.#zoneBytes) break
      doneUs = Math.max(doneUs, this.#program(zone, at, nowUs))
    }
    return doneUs
  }

  /** Done when every die is: what is in the cache and fills no unit is safe there. */
  flush(nowUs: number): number {
    let doneUs = nowUs
    for (let die = 0; die < this.#dieFreeUs.length; die++) {
      doneUs = Math.max(doneUs, this.#dieFreeUs[die]!)
    }
    return doneUs
  }

  #program(zone: number, at: number, readyUs: number): number {
    const { programBytes, channelBytesPerUs, programUs } = this.#profile
    const busyUs = programBytes / channelBytesPerUs + programUs
    return this.#occupy(this.#dieOf(zone, at), readyUs, busyUs)
  }

  /** Keep a die busy, after what it does already. Returns when it is free again. */
  #occupy(die: number, readyUs: number, busyUs: number): number {
    const freeUs = Math.max(this.#dieFreeUs[die]!, readyUs) + busyUs
    this.#dieFreeUs[die] = freeUs
    return freeUs
  }

  #firstDie(zone: number): number {
    return (zone * this.#profile.diesPerZone) % this.#profile.dies
  }

  #dieOf(zone: number, at: number): number {
    const { programBytes, diesPerZone } = this.#profile
    return this.#firstDie(zone) + (Math.floor(at / programBytes) % diesPerZone)
  }
}
