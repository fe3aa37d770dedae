/**
 * Which lifetime class an object of a TTL belongs to. One zone is open for each class; objects that are written at about the same
 * time into the same class die at about the same time, and one reset ends them.
 *
 * The rule: class c has the TTLs above boundary c-1 up to and with boundary c, and the boundaries are those at which zones are
 * expected to hold the least space. A zone is held whole from its opening to its last deadline, so a class that gets bytes
 * at a rate holds `zoneBytes + rate x its longest TTL` (store/class-bounds.ts derives it and finds the best cut). That wide
 * TTL ranges share space well when zones are grouped by lifetime is from Segcache (Yang et al., NSDI 2021), whose 1024 fixed
 * TTL buckets no drive has active zones for; so here the few boundaries lie where the workload's bytes are.
 *
 * What is learned: bytes by TTL, in 128 bins an octave (the exponent and 7 bits of mantissa of the TTL as a double). A note counts
 * half after {@link HALF_LIFE_ZONES} zones of each class were written and after {@link HALF_LIFE_MS}, whichever is later; a TTL
 * that was not noted for four times that is forgotten. A TTL that was never seen goes up to the next class: there it costs only
 * its own bytes, while in the class below it would hold zones of others.
 *
 * When boundaries move: part-filled zones get other TTLs, and are held longer than they need (store/class-alignment.ts keeps that
 * small). Moving pays as soon as what the old boundaries have cost (held bytes too many x time) is as much as that, as with
 * renting or buying. So noise is not chased, and drift is followed (bench/space-drift.ts).
 *
 * How many classes: as many as zones may be active. No zone need be left for the change from a full zone to the next, because a full
 * zone is not active any more; but its last write has to be done before the first of the next begins. The last
 * class is for objects without TTL, whose zones never expire. With `lendLast` it serves TTLs until the first such object comes.
 *
 * Guarantees: `classOf` and `note` make no garbage and take nanoseconds; `learn` takes a fraction of a millisecond.
 * No clock in here.
 */
import { align } from './class-alignment.js'
import { bestBounds } from './class-bounds.js'
import { StoreError } from './errors.js'
import type { RememberedClasses } from './remembered-classes.js'

/** A note counts half after this many zones of each class were written... */
export const HALF_LIFE_ZONES = 32
/** ...and not before ten minutes, so that a burst is no drift. */
export const HALF_LIFE_MS = 600_000

/** Boundaries are looked at no more often than this. */
const LEARN_MS = 1000

export const COUNT_MIN = 2
export const COUNT_MAX = 255
export const ZONE_BYTES_MIN = 4096
export const ZONE_BYTES_MAX = 2 ** 48
/** 1 ms, and 139 years. */
export const BOUNDARY_MS_MIN = 1
export const BOUNDARY_MS_MAX = 2 ** 42

/** A TTL that was not noted for so long is not used any more. */
const QUIET_HALF_LIVES = 4

/** TTLs that are told apart when boundaries are chosen; it bounds the time that this takes. */
const GROUPS_MAX = 512

/** TTLs by their longest, ascending: bytes as they count, and those since the last time. */
interface Groups {
  readonly count: number
  readonly longestMs: Float64Array
  readonly bytes: Float64Array
  readonly fresh: Float64Array
}

/** Before anything was learned, boundaries are spread geometrically between these. */
const DEFAULT_SHORTEST_MS = 60_000
const DEFAULT_LONGEST_MS = 7 * 86_400_000

/** Of the upper word of a double: how far to shift so that its exponent and 7 bits of mantissa are left. */
const BIN_SHIFT = 13
/** The bin of 1 ms, and how many there are up to 2^42 ms. */
const FIRST_BIN = 0x3ff00000 >> BIN_SHIFT
const BINS = 42 << 7

const number = new Float64Array(1)
const words = new Int32Array(number.buffer)
number[0] = 1
/** Where the upper word of a double is on this machine. */
const UPPER = words[1] === 0x3ff00000 ? 1 : 0

/** TTLs below 1 ms are in the first bin, those above 2^42 ms in the last. */
function binOf(ttlMs: number): number {
  number[0] = ttlMs
  const bin = (words[UPPER]! >> BIN_SHIFT) - FIRST_BIN
  if (bin < 0) return 0
  return bin < BINS ? bin : BINS - 1
}

/** The shortest TTL of a bin. */
function edgeOf(bin: number): number {
  words[1 - UPPER] = 0
  words[UPPER] = (bin + FIRST_BIN) << BIN_SHIFT
  return number[0]!
}

export interface LifetimeClassesOptions {
  /** Classes, one open zone each, {@link COUNT_MIN} to {@link COUNT_MAX}; the last is for objects without TTL. */
  readonly count: number
  /** Capacity of a zone, bytes. */
  readonly zoneBytes: number
  /** The time, ms: of the clock that `learn` is given. */
  readonly nowMs: number
  /** Fixed boundaries: the longest TTL of each class but the last two, ascending. Then nothing is learned. */
  readonly boundariesMs?: readonly number[]
  /** Where learning begins; without it, or where it does not fit, boundaries are spread evenly over the usual TTLs. */
  readonly remembered?: RememberedClasses | null
  /** The last class serves TTLs until the first object without TTL is noted. Off by default; no effect with fixed boundaries. */
  readonly lendLast?: boolean
}

/** The option, the value and the allowed range, in one sentence. */
function refuse(option: string, value: unknown, allowed: string): never {
  throw new StoreError('STORE_ERR_OPTION', `${option} is ${value}; allowed: ${allowed}.`)
}

function isIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

function validate({ count, zoneBytes, nowMs, boundariesMs = [] }: LifetimeClassesOptions): void {
  if (!isIn(count, COUNT_MIN, COUNT_MAX)) {
    refuse('count', count, `${COUNT_MIN} to ${COUNT_MAX}, one of them for objects without TTL`)
  }
  if (!isIn(zoneBytes, ZONE_BYTES_MIN, ZONE_BYTES_MAX)) {
    refuse('zoneBytes', zoneBytes, `${ZONE_BYTES_MIN} to ${ZONE_BYTES_MAX}`)
  }
  if (!Number.isFinite(nowMs)) refuse('nowMs', nowMs, 'a finite number of milliseconds')
  if (boundariesMs.length > count - 2) {
    const classes = `at most ${count - 2} (two fewer than classes)`
    refuse('lifetimeBoundaries', `a list of ${boundariesMs.length}`, classes)
  }
  boundariesMs.forEach((boundary, i) => {
    if (!(boundary >= BOUNDARY_MS_MIN && boundary <= BOUNDARY_MS_MAX)) {
      refuse(`lifetimeBoundaries[${i}]`, boundary, `${BOUNDARY_MS_MIN} to ${BOUNDARY_MS_MAX} ms`)
    }
    if (i > 0 && boundary <= boundariesMs[i - 1]!) {
      refuse(
        `lifetimeBoundaries[${i}]`,
        boundary,
        `more than the one before, ${boundariesMs[i - 1]}`,
      )
    }
  })
}

/** So many boundaries, each longer than the one before by the same factor. */
function geometric(count: number): number[] {
  const ratio = DEFAULT_LONGEST_MS / DEFAULT_SHORTEST_MS
  return Array.from({ length: count }, (_, i) => DEFAULT_SHORTEST_MS * ratio ** ((i + 0.5) / count))
}

export class LifetimeClasses {
  readonly #count: number
  readonly #zoneBytes: number
  readonly #isFixed: boolean
  /** Classes that TTLs may use: all, or all but the last. */
  #usable: number
  /** Longest TTL of each class; that of the one before where it has no TTLs; Infinity from the last one in use on. */
  readonly #longestMs: Float64Array
  /** Class of the shortest TTL of each bin; a longer TTL of the bin may be of a later class. */
  readonly #classOfBin = new Uint8Array(BINS)
  /** Bytes of each bin since `learn`, and faded ones until then. */
  readonly #fresh = new Float64Array(BINS)
  readonly #bytes = new Float64Array(BINS)
  /** Half-lives since something was noted in each bin. */
  readonly #quiet = new Float32Array(BINS)
  /** The faded time in which `#bytes` were noted: their rate is one over the other. */
  #spanMs = 0
  #learnedMs: number
  #bytesEver = 0
  /** What the present boundaries have cost more than the best would have, bytes x ms. */
  #regret = 0

  constructor(options: LifetimeClassesOptions) {
    validate(options)
    const { count, zoneBytes, nowMs, boundariesMs, lendLast = false } = options
    this.#count = count
    this.#zoneBytes = zoneBytes
    this.#isFixed = boundariesMs !== undefined
    this.#usable = lendLast && !this.#isFixed ? count : count - 1
    this.#longestMs = new Float64Array(count)
    this.#learnedMs = nowMs
    const { remembered } = options
    const isKnown = boundariesMs === undefined && remembered != null
    if (isKnown && remembered.classes.at(-1)! < this.#usable - 1) {
      this.#move(remembered.boundariesMs, remembered.classes)
      return
    }
    const begin = boundariesMs ?? geometric(this.#usable - 1)
    this.#move(
      begin,
      begin.map((_, i) => i),
    )
  }

  /** All classes, that for objects without TTL included. */
  get count(): number {
    return this.#count
  }

  /** The boundaries now, ascending, a copy. */
  get boundariesMs(): number[] {
    return [...new Set(this.#longestMs)].filter(ms => ms > 0 && ms < Infinity)
  }

  /** TTLs of a class: above the first and up to the second, ms. It has none when they are the same. */
  rangeOf(lifetimeClass: number): readonly [number, number] {
    const last = this.#count - 1
    if (lifetimeClass === last && this.#usable === last) return [Infinity, Infinity]
    return [this.#longestMs[lifetimeClass - 1] ?? 0, this.#longestMs[lifetimeClass]!]
  }

  /** 0 to `count - 1`. A TTL in ms, above 0; Infinity, no TTL, is of the last class. */
  classOf(ttlMs: number): number {
    if (ttlMs === Infinity) return this.#count - 1
    let lifetimeClass = this.#classOfBin[binOf(ttlMs)]!
    while (ttlMs > this.#longestMs[lifetimeClass]!) lifetimeClass++
    return lifetimeClass
  }

  /** `note`, and then `classOf`. */
  take(ttlMs: number, bytes: number): number {
    if (ttlMs === Infinity) {
      if (this.#usable === this.#count) this.#takeBack()
      return this.#count - 1
    }
    const bin = binOf(ttlMs)
    this.#fresh[bin] = this.#fresh[bin]! + bytes
    let lifetimeClass = this.#classOfBin[bin]!
    while (ttlMs > this.#longestMs[lifetimeClass]!) lifetimeClass++
    return lifetimeClass
  }

  /** An object of this TTL (ms; Infinity: none) was written, so many bytes of a zone. */
  note(ttlMs: number, bytes: number): void {
    if (ttlMs !== Infinity) {
      const bin = binOf(ttlMs)
      this.#fresh[bin] = this.#fresh[bin]! + bytes
    } else if (this.#usable === this.#count) {
      this.#takeBack()
    }
  }

  /**
   * Moves the boundaries if it pays; true when they moved. To be called as often as one likes, with the time in ms: what comes less
   * than {@link LEARN_MS} after the last time returns at once, and a clock that went back begins again.
   */
  learn(nowMs: number): boolean {
    const elapsedMs = nowMs - this.#learnedMs
    if (this.#isFixed || (elapsedMs >= 0 && elapsedMs < LEARN_MS)) return false
    this.#learnedMs = nowMs
    if (elapsedMs < 0) return false
    this.#fade(elapsedMs)
    const groups = this.#groups()
    const hasMoved = groups.count > 0 && this.#weigh(groups, elapsedMs)
    this.#fresh.fill(0)
    return hasMoved
  }

  /** The bins that have bytes; several as one where there are too many. */
  #groups(): Groups {
    let bins = 0
    for (const bytes of this.#bytes) if (bytes > 0) bins++
    const each = Math.max(Math.ceil(bins / GROUPS_MAX), 1)
    const count = Math.ceil(bins / each)
    const longestMs = new Float64Array(count)
    const bytes = new Float64Array(count)
    const fresh = new Float64Array(count)
    for (let bin = 0, nth = 0; bin < BINS; bin++) {
      if (this.#bytes[bin] === 0) continue
      const group = Math.floor(nth++ / each)
      longestMs[group] = edgeOf(bin + 1)
      bytes[group] = bytes[group]! + this.#bytes[bin]!
      fresh[group] = fresh[group]! + this.#fresh[bin]!
    }
    return { count, longestMs, bytes, fresh }
  }

  /** Compares the present boundaries with the best; moves if what was lost by not moving is what moving loses. */
  #weigh({ count, longestMs, bytes, fresh }: Groups, elapsedMs: number): boolean {
    const bytesPerMs = bytes.map(one => one / this.#spanMs)
    const { lasts } = bestBounds(longestMs, bytesPerMs, this.#usable, this.#zoneBytes)
    const longestNow = new Float64Array(this.#usable)
    for (const ttlMs of longestMs) longestNow[this.classOf(ttlMs)] = ttlMs
    // What the best would have held less of the time since the last call, and of the bytes since then.
    const used = longestNow.reduce((sum, ttlMs) => sum + (ttlMs > 0 ? 1 : 0), 0)
    let gain = (used - lasts.length) * this.#zoneBytes * elapsedMs
    for (let i = 0, range = 0; i < count; i++) {
      if (i > lasts[range]!) range++
      const lessMs = longestNow[this.classOf(longestMs[i]!)]! - longestMs[lasts[range]!]!
      gain += fresh[i]! * lessMs
    }
    this.#regret = Math.max(this.#regret + gain, 0)
    const newMs = Float64Array.from(lasts, last => longestMs[last]!)
    const { classes, lossMs } = align(newMs, longestNow)
    if (this.#regret === 0 || this.#regret < lossMs * this.#openBytes()) return false
    this.#move(newMs, classes)
    return true
  }

  /** What the open zone of a class has in it, on average: half a zone, but less at the beginning. */
  #openBytes(): number {
    return Math.min(this.#bytesEver / this.#usable, this.#zoneBytes / 2)
  }

  /** Old bytes count less, new ones are added. */
  #fade(elapsedMs: number): void {
    let bytes = 0
    for (const one of this.#fresh) bytes += one
    this.#bytesEver += bytes
    const zones = bytes / (HALF_LIFE_ZONES * this.#usable * this.#zoneBytes)
    const halfLives = Math.min(zones, elapsedMs / HALF_LIFE_MS)
    const factor = 2 ** -halfLives
    this.#spanMs = this.#spanMs * factor + elapsedMs
    for (let bin = 0; bin < BINS; bin++) {
      const fresh = this.#fresh[bin]!
      if (fresh === 0 && this.#bytes[bin] === 0) continue
      this.#quiet[bin] = fresh > 0 ? 0 : this.#quiet[bin]! + halfLives
      // However few its bytes are, a TTL counts as one that every zone of its class has. So it goes when it is not used any more.
      const isUsed = this.#quiet[bin]! <= QUIET_HALF_LIVES
      this.#bytes[bin] = isUsed ? this.#bytes[bin]! * factor + fresh : 0
    }
  }

  /**
   * Range i, with TTLs up to `newMs[i]`, is of class `classes[i]`; classes between have no TTLs. What is longer than all goes to the
   * class after the last, if there is one.
   */
  #move(newMs: ArrayLike<number>, classes: ArrayLike<number>): void {
    this.#longestMs.fill(Infinity)
    for (let c = 0, i = 0; i < newMs.length; c++) {
      const isTaken = c === classes[i]
      // Nothing is above the boundary before it and up to the same.
      this.#longestMs[c] = isTaken ? newMs[i]! : (newMs[i - 1] ?? 0)
      if (isTaken) i++
    }
    this.#longestMs[this.#usable - 1] = Infinity
    this.#tabulate()
    this.#regret = 0
  }

  #tabulate(): void {
    let lifetimeClass = 0
    for (let bin = 0; bin < BINS; bin++) {
      while (edgeOf(bin) > this.#longestMs[lifetimeClass]!) lifetimeClass++
      this.#classOfBin[bin] = lifetimeClass
    }
  }

  /** The first object without TTL: from now on TTLs have one class less. */
  #takeBack(): void {
    this.#usable = this.#count - 1
    this.#longestMs[this.#usable - 1] = Infinity
    this.#tabulate()
  }
}
