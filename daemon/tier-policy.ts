/**
 * What goes to the tier, and how fast: a function of what a device holds, its zones, and the time. No I/O, no clock of its own.
 *
 * Same-fill pages take no memory and go nowhere. Raw pages did not shrink, so memory is wasted on them: they go as soon as
 * their zone is full, or cold (not written for `coldMs`). Compressed ones go when their zone is cold. When memory runs short,
 * any page may go, raw ones first.
 */
import { PAGE_COMPRESSED, PAGE_RAW } from '../ublk-native/index.js'

/** A sequential zone as the policy sees it. */
export interface TierZone {
  readonly region: number
  readonly isFull: boolean
  /** How long it has not been written or reset. */
  readonly idleMs: number
  /** Pages in memory that may go: 0 of a kind when there is nothing to be had any more. */
  readonly rawPages: number
  readonly compressedPages: number
  /** Its slot of the tier; 0: none yet. */
  readonly slot: number
}

export interface Situation {
  readonly zones: readonly TierZone[]
  readonly coldMs: number
  /** Memory is past the high-water mark: see isPressed. */
  readonly isPressed: boolean
  readonly hasFreeSlot: boolean
}

/** Pages of which region go next; `kinds` as NativeMedia.demote() takes them. */
export interface Choice {
  readonly region: number
  readonly kinds: number
}

const RAW = 1 << PAGE_RAW
const COMPRESSED = 1 << PAGE_COMPRESSED

/** Of the memory limit: past it, pages go whatever their age. */
const HIGH_WATER = 0.75

export function isPressed(usedBytes: number, limitBytes: number): boolean {
  return limitBytes > 0 && usedBytes > limitBytes * HIGH_WATER
}

type Class = (zone: TierZone, situation: Situation) => boolean

/** In this order. */
const CLASSES: readonly { kinds: number; has: Class }[] = [
  {
    kinds: RAW,
    has: (zone, { coldMs }) => zone.rawPages > 0 && (zone.isFull || zone.idleMs >= coldMs),
  },
  { kinds: RAW, has: (zone, { isPressed }) => zone.rawPages > 0 && isPressed },
  {
    kinds: COMPRESSED,
    has: (zone, { coldMs }) => zone.compressedPages > 0 && zone.idleMs >= coldMs,
  },
  { kinds: COMPRESSED, has: (zone, { isPressed }) => zone.compressedPages > 0 && isPressed },
]

/** The longest idle zone of the first class that has one; of equals the first. Null: nothing is to be moved. */
export function choose(situation: Situation): Choice | null {
  for (const { kinds, has } of CLASSES) {
    let best: TierZone | null = null
    for (const zone of situation.zones) {
      if (zone.slot === 0 && !situation.hasFreeSlot) continue
      if (has(zone, situation) && (best === null || zone.idleMs > best.idleMs)) best = zone
    }
    if (best !== null) return { region: best.region, kinds }
  }
  return null
}

/** A token bucket that holds a second's worth: after a pause that much may go at once, and the rate holds from then on. */
export class Budget {
  readonly #bytesPerSecond: number
  #tokens: number
  #atMs: number

  /** `bytesPerSecond` of 0: no limit. */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond
    this.#tokens = bytesPerSecond
    this.#atMs = nowMs
  }

  /** Whether something may go now. It may be more than there are tokens: then the next has to wait for longer. */
  has(nowMs: number): boolean {
    if (this.#bytesPerSecond === 0) return true
    const earned = ((nowMs - this.#atMs) / 1000) * this.#bytesPerSecond
    this.#tokens = Math.min(this.#bytesPerSecond, this.#tokens + Math.max(0, earned))
    this.#atMs = nowMs
    return this.#tokens > 0
  }

  take(bytes: number): void {
    if (this.#bytesPerSecond > 0) this.#tokens -= bytes
  }
}
