/**
 * Gives zones to lifetime classes and takes them back: by one reset when their last deadline has passed, when nothing in
 * them lives any more, or, when the device is full, the one of least use.
 *
 * Taking a zone back costs the same however many objects it held: its virtual zone is dropped from the index in constant
 * time, and the device resets the zone.
 */
import type { ZonedDevice } from '../zone-model/index.js'
import type { LeavingZones } from './leaving-zones.js'
import type { ObjectIndex } from './object-index.js'
import type { ZoneIo } from './zone-io.js'
import { BUSY, NO_ROOM, type ZoneWriter } from './zone-writer.js'
import { ZONE_DROPPED, ZONE_OPEN, ZONE_SEALED, type Zones } from './zones.js'

/** Why a zone was taken back. */
export type DropCause = 'expired' | 'emptied' | 'evicted' | 'failed'

/** The memory of a zone, twice: byte by byte, and word by word. */
export interface ZoneView {
  readonly bytes: Uint8Array
  readonly view: DataView
}

/** Of fewer zones none is kept back. */
const RESERVING_ZONES_MIN = 4

export interface ZoneKeeperOptions {
  readonly zones: Zones
  readonly index: ObjectIndex
  readonly io: ZoneIo
  /** Whether a zone whose objects live may go when there is no other room. */
  readonly evicts: boolean
  /** Whether its hottest records move before it goes (reinserter.ts). */
  readonly reinserts: boolean
  /** Of the engine: dead records, locator × 256 + record. Those of a zone go with it. */
  readonly twins: Set<number>
  readonly pagesPerZone: number
  /** Where a zone goes whose marks are still needed; null where nobody outlives the drive. */
  readonly leaving: LeavingZones | null
  /** The writers, by lifetime class. */
  readonly writers: readonly ZoneWriter[]
}

export class ZoneKeeper {
  readonly drops: Record<DropCause, number> = { expired: 0, emptied: 0, evicted: 0, failed: 0 }
  /** Records that lived when their zone was evicted or failed. */
  recordsLost = 0
  /** Records that moved before their zone was evicted. */
  recordsMoved = 0
  /** The zone that goes next, from which records move; -1: none. */
  moving = -1
  /** Objects have taken the last zone: it is time to begin to move. */
  isMoveDue = false
  /** What moves must not make another zone go, nor its own. */
  isReinserting = false
  /** The bytes of each zone in use, by virtual zone; only of devices with direct access. */
  readonly views: (ZoneView | null)[] = []
  readonly #emptied: number[] = []
  /** Marks that a commit has to write may have the last zones: they are what gives others back. */
  isForMarks = false
  /** Free zones that objects leave to marks. */
  readonly #reserve: number
  #zoneSequence = 1
  #resetting = 0

  constructor(private readonly options: ZoneKeeperOptions) {
    const { leaving, zones } = options
    this.#reserve = leaving === null || zones.virtualOf.length < RESERVING_ZONES_MIN ? 0 : 1
  }

  get #device(): ZonedDevice {
    return this.options.io.device
  }

  /** The sequence that the next zone gets; after a restart above all that were seen. */
  set nextZoneSequence(sequence: number) {
    this.#zoneSequence = sequence
  }

  /** An empty zone for a class: its virtual zone, NO_ROOM, or BUSY while one is being reset or waits for a commit. */
  take(lifetimeClass: number, nowMs: number): number {
    const { zones, index, reinserts } = this.options
    if (!this.#hasFree) {
      if (this.isReinserting) return NO_ROOM
      if (this.expire(nowMs) === 0 && !this.#isExpecting && !this.#evict()) return NO_ROOM
      if (!this.#hasFree) return this.#isExpecting ? BUSY : NO_ROOM
    }
    const physical = zones.takeFree()
    if (reinserts && !this.#hasFree && this.moving < 0) this.isMoveDue = true
    const vzone = index.openZone()
    zones.open(vzone, physical, this.#zoneSequence++, lifetimeClass)
    this.look(vzone)
    return vzone
  }

  /**
   * Whether objects have to wait, in open zones too: marks have taken the last zone, and until an eviction has given one
   * back the rest of theirs is all the room that the next zone's marks have.
   */
  mustWait(nowMs: number): boolean {
    const { zones, evicts } = this.options
    if (!evicts || this.isForMarks || this.isReinserting || zones.freeCount >= this.#reserve)
      return false
    if (this.expire(nowMs) === 0 && !this.#isExpecting) this.#evict()
    return this.#isExpecting
  }

  get #hasFree(): boolean {
    return this.options.zones.freeCount > (this.isForMarks ? 0 : this.#reserve)
  }

  /** Whether a zone is on its way back. */
  get #isExpecting(): boolean {
    return this.#resetting > 0 || (this.options.leaving?.count ?? 0) > 0
  }

  /** Keeps the view of a zone that has been opened or found. */
  look(vzone: number): void {
    const { direct } = this.#device
    while (this.views.length <= vzone) this.views.push(null)
    const bytes = direct?.zone(this.options.zones.physical[vzone]!)
    this.views[vzone] =
      bytes === undefined
        ? null
        : { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
  }

  /** Takes back zones whose last deadline is past. Gives how many. */
  expire(nowMs: number): number {
    const { zones } = this.options
    let count = 0
    for (let physical = 0; physical < zones.virtualOf.length; physical++) {
      const vzone = zones.virtualOf[physical]!
      if (vzone < 0 || !zones.isInUse(vzone)) continue
      const last = zones.lastDeadlineMs[vzone]!
      if (last > nowMs || last === Number.NEGATIVE_INFINITY) continue
      this.drop(vzone, 'expired')
      count++
    }
    return count
  }

  /** When the next zone's last deadline passes; Infinity when none will. */
  get nextDeadlineMs(): number {
    const { zones } = this.options
    let next = Number.POSITIVE_INFINITY
    for (let physical = 0; physical < zones.virtualOf.length; physical++) {
      const vzone = zones.virtualOf[physical]!
      if (vzone < 0 || !zones.isInUse(vzone)) continue
      const last = zones.lastDeadlineMs[vzone]!
      if (last < next && last !== Number.NEGATIVE_INFINITY) next = last
    }
    return next
  }

  /**
   * A record of the zone died. A sealed zone in which nothing lives goes: at once if the drive is volatile, else when what
   * took the place of its records is durable.
   */
  afterDeath(vzone: number): void {
    if (!this.#isEmpty(vzone)) return
    if (this.#device.direct !== undefined) this.drop(vzone, 'emptied')
    else this.#emptied.push(vzone)
  }

  /** Zones in which nothing lives, for `dropEmptied` when all that was accepted up to now is durable. */
  takeEmptied(): number[] {
    return this.#emptied.splice(0)
  }

  dropEmptied(vzones: readonly number[]): void {
    for (const vzone of vzones) if (this.#isEmpty(vzone)) this.drop(vzone, 'emptied')
  }

  #isEmpty(vzone: number): boolean {
    const { zones } = this.options
    // What its marks speak of may live longer than the zone's own records did.
    const isWanted = zones.liveRecords[vzone] !== 0 || zones.marks[vzone] !== 0
    return zones.state[vzone] === ZONE_SEALED && !isWanted
  }

  /** Takes a zone back, whatever is in it. */
  drop(vzone: number, cause: DropCause): void {
    const { zones, index, io, writers, leaving } = this.options
    this.drops[cause]++
    if (vzone === this.moving) this.moving = -1
    const isLoss = cause === 'evicted' || cause === 'failed'
    if (isLoss) this.recordsLost += zones.liveRecords[vzone]!
    const writer = writers[zones.lifetimeClass[vzone]!]!
    if (writer.vzone === vzone) {
      // Marks may be in its stage.
      if (cause === 'evicted') writer.submit()
      writer.abandon()
    }
    const physical = zones.physical[vzone]!
    const isLeaving = isLoss && zones.marks[vzone] !== 0 && leaving !== null
    if (isLeaving) {
      const isUsable = cause === 'evicted'
      const pages = zones.pagesUsed[vzone]!
      leaving.add({ physical, sequence: zones.sequence[vzone]!, pages, isUsable })
    }
    zones.state[vzone] = ZONE_DROPPED
    index.dropZone(vzone)
    this.#forgetTwins(vzone)
    zones.forget(vzone)
    this.views[vzone] = null
    if (cause === 'failed' || isLeaving) return
    this.#resetting++
    io.reset(physical, isReset => {
      this.#resetting--
      if (isReset) zones.giveFree(physical)
    })
  }

  /** Another zone will have this id. */
  #forgetTwins(vzone: number): void {
    const { twins, pagesPerZone } = this.options
    if (twins.size === 0) return
    for (const twin of twins) {
      if (Math.floor(twin / 256 / pagesPerZone) === vzone) twins.delete(twin)
    }
  }

  /**
   * The zone of least use: fewest reads; of equals the one that ends first, of those the oldest. Without a zone for marks one
   * that has none is better.
   */
  #evict(): boolean {
    const { zones, evicts } = this.options
    if (!evicts) return false
    let victim = this.moving
    if (victim < 0 && zones.freeCount < this.#reserve) victim = this.#leastUsed(true)
    if (victim < 0) victim = this.#leastUsed(false)
    if (victim < 0) victim = this.#oldestOpen()
    if (victim < 0) return false
    this.drop(victim, 'evicted')
    return true
  }

  /** Chooses the next victim, which stays until it is dropped or its room is needed. Gives it, or -1. */
  beginMove(): number {
    this.isMoveDue = false
    this.moving = this.#leastUsed(false)
    return this.moving
  }

  #leastUsed(isWithoutMarks: boolean): number {
    const { zones } = this.options
    let victim = -1
    let least = Number.POSITIVE_INFINITY
    let ends = Number.POSITIVE_INFINITY
    let age = Number.POSITIVE_INFINITY
    for (let physical = 0; physical < zones.virtualOf.length; physical++) {
      const vzone = zones.virtualOf[physical]!
      if (vzone < 0 || zones.state[vzone] !== ZONE_SEALED) continue
      if (isWithoutMarks && zones.marks[vzone] !== 0) continue
      const use = zones.hits[vzone]!
      const last = zones.lastDeadlineMs[vzone]!
      const sequence = zones.sequence[vzone]!
      zones.hits[vzone] = use >>> 1
      if (use > least || (use === least && last > ends)) continue
      // Without this the zone that was evicted last, in the same place of the device and young, would go again and again.
      if (use === least && last === ends && sequence > age) continue
      victim = vzone
      least = use
      ends = last
      age = sequence
    }
    return victim
  }

  /** With as many classes as zones, all may be open: then the one with most in it goes. */
  #oldestOpen(): number {
    const { zones } = this.options
    let victim = -1
    for (let physical = 0; physical < zones.virtualOf.length; physical++) {
      const vzone = zones.virtualOf[physical]!
      if (vzone < 0 || zones.state[vzone] !== ZONE_OPEN) continue
      if (victim < 0 || zones.pagesUsed[vzone]! > zones.pagesUsed[victim]!) victim = vzone
    }
    return victim
  }
}
