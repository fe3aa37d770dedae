/**
 * A store's zones on a simulated clock, as a fluid: in each step every TTL of a mix gets its bytes, which flow into the open zone
 * of the class that the real {@link LifetimeClasses} (or any other rule) names. A zone is held whole from its first byte until its
 * last deadline. No object is simulated; that a zone has every TTL of its class in it is the worst case, and with a million
 * objects in a zone the true one (test/store/lifetime-classes.test.ts compares the two).
 *
 * Guarantees: the same for the same seed. Space is the mean over the measured time, in bytes.
 */
import type { Mix } from './space-mixes.js'

/** Parts into which a mode that is spread is cut. */
const PARTS = 40

/** TTLs of a mix, by ascending longest TTL: the longest (for deadlines and for the rule) and the mean (for live bytes). */
export interface Grid {
  readonly longestMs: Float64Array
  readonly meanMs: Float64Array
  readonly share: Float64Array
  /** Of which mode: those vary together. */
  readonly mode: Int32Array
}

export function gridOf({ modes }: Pick<Mix, 'modes'>): Grid {
  const parts = modes.flatMap(({ fromMs, toMs, share }, mode) => {
    if (fromMs === toMs) return [{ longest: toMs, mean: toMs, share, mode }]
    return Array.from({ length: PARTS }, (_, i) => ({
      longest: fromMs + ((toMs - fromMs) * (i + 1)) / PARTS,
      mean: fromMs + ((toMs - fromMs) * (i + 0.5)) / PARTS,
      share: share / PARTS,
      mode,
    }))
  })
  parts.sort((a, b) => a.longest - b.longest)
  return {
    longestMs: Float64Array.from(parts, part => part.longest),
    meanMs: Float64Array.from(parts, part => part.mean),
    share: Float64Array.from(parts, part => part.share),
    mode: Int32Array.from(parts, part => part.mode),
  }
}

/** What puts objects into classes. */
export interface Placement {
  /** At most so many. */
  readonly count: number
  classOf(ttlMs: number): number
  note(ttlMs: number, bytes: number): void
  learn(nowMs: number): boolean
}

export interface Setting {
  readonly grid: Grid
  readonly bytesPerMs: number
  readonly zoneBytes: number
  /** How long is written, and from when on space is measured. */
  readonly endMs: number
  readonly measureFromMs: number
  readonly stepMs: number
  /** `learn` is called every so many steps. */
  readonly learnEvery: number
  readonly seed: number
  /** How much of its share a mode gets at a time; 1 without it. */
  readonly part?: (mode: number, nowMs: number) => number
}

export interface Space {
  /** Held bytes / live bytes, both means over the measured time. Zones full of objects without TTL are in neither. */
  readonly ratio: number
  /** Classes in use at the end, and how often boundaries moved. */
  readonly classes: number
  readonly moves: number
}

/** xorshift32, to [0, 1). */
function randoms(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** The open zone of each class, and the space held by all zones in a window of time. */
class Zones {
  readonly #openedMs: Float64Array
  readonly #filled: Float64Array
  readonly #deadlineMs: Float64Array
  heldByteMs = 0

  constructor(
    count: number,
    readonly zoneBytes: number,
    readonly fromMs: number,
    readonly toMs: number,
  ) {
    this.#openedMs = new Float64Array(count).fill(-1)
    this.#filled = new Float64Array(count)
    this.#deadlineMs = new Float64Array(count)
  }

  /** `bytes` evenly from `startMs` on for `lengthMs`, the longest TTL among them in each part of it. */
  write(one: number, bytes: number, longestMs: number, startMs: number, lengthMs: number): void {
    if (this.#openedMs[one]! >= 0 && this.#deadlineMs[one]! < startMs) this.#close(one)
    if (this.#openedMs[one]! < 0) this.#open(one, startMs)
    const msPerByte = lengthMs / bytes
    let left = bytes
    let room = this.zoneBytes - this.#filled[one]!
    while (left >= room) {
      left -= room
      const fullMs = startMs + (bytes - left) * msPerByte
      this.#deadlineMs[one] = Math.max(this.#deadlineMs[one]!, fullMs + longestMs)
      this.#close(one)
      this.#open(one, fullMs)
      room = this.zoneBytes
      const whole = Math.floor(left / room)
      if (whole > 64) left -= this.#many(one, whole, fullMs, room * msPerByte, longestMs)
    }
    this.#filled[one] = this.#filled[one]! + left
    const lastMs = startMs + lengthMs + longestMs
    if (left > 0) this.#deadlineMs[one] = Math.max(this.#deadlineMs[one]!, lastMs)
    else this.#openedMs[one] = -1
  }

  /** Open zones, as long as they are measured. */
  end(): void {
    for (let one = 0; one < this.#openedMs.length; one++) {
      if (this.#openedMs[one]! >= 0) this.#close(one)
    }
  }

  #open(one: number, atMs: number): void {
    this.#openedMs[one] = atMs
    this.#filled[one] = 0
    this.#deadlineMs[one] = 0
  }

  #close(one: number): void {
    // Objects without TTL: only while they are being written.
    const untilMs = this.#deadlineMs[one]!
    this.#hold(this.#openedMs[one]!, untilMs === Infinity ? this.#openedMs[one]! : untilMs, 1)
    this.#openedMs[one] = -1
  }

  /** Many zones one after the other, as many times their mean one; the next is open then. Their bytes. */
  #many(one: number, zones: number, startMs: number, fillMs: number, longestMs: number): number {
    if (longestMs !== Infinity) {
      const middleMs = startMs + ((zones - 1) / 2) * fillMs
      this.#hold(middleMs, middleMs + fillMs + longestMs, zones)
    }
    this.#open(one, startMs + zones * fillMs)
    return zones * this.zoneBytes
  }

  #hold(startMs: number, endMs: number, zones: number): void {
    const measured = Math.min(endMs, this.toMs) - Math.max(startMs, this.fromMs)
    if (measured > 0) this.heldByteMs += measured * zones * this.zoneBytes
  }
}

export function simulate(placement: Placement, setting: Setting): Space {
  const { grid, bytesPerMs, zoneBytes, endMs, measureFromMs, stepMs, learnEvery } = setting
  const part = setting.part ?? (() => 1)
  const count = grid.share.length
  const random = randoms(setting.seed)
  const zones = new Zones(placement.count, zoneBytes, measureFromMs, endMs)
  const classes = grid.longestMs.map(ttl => placement.classOf(ttl))
  const flow = new Float64Array(grid.mode.reduce((a, b) => Math.max(a, b), 0) + 1)
  const bytes = new Float64Array(placement.count)
  const longest = new Float64Array(placement.count)
  let liveByteMs = 0
  let moves = 0
  const steps = Math.ceil(endMs / stepMs)
  for (let step = 0; step < steps; step++) {
    const nowMs = step * stepMs
    // Modes come and go between half and one and a half times their mean.
    for (let mode = 0; mode < flow.length; mode++) flow[mode] = (0.5 + random()) * part(mode, nowMs)
    bytes.fill(0)
    longest.fill(0)
    for (let i = 0; i < count; i++) {
      const written = bytesPerMs * stepMs * grid.share[i]! * flow[grid.mode[i]!]!
      const one = classes[i]!
      if (written === 0) continue
      placement.note(grid.longestMs[i]!, written)
      bytes[one] = bytes[one]! + written
      longest[one] = Math.max(longest[one]!, grid.longestMs[i]!)
      if (grid.meanMs[i] === Infinity) continue
      const middleMs = nowMs + stepMs / 2
      const live = Math.min(middleMs + grid.meanMs[i]!, endMs) - Math.max(middleMs, measureFromMs)
      if (live > 0) liveByteMs += written * live
    }
    for (let one = 0; one < bytes.length; one++) {
      if (bytes[one]! > 0) zones.write(one, bytes[one]!, longest[one]!, nowMs, stepMs)
    }
    if (step % learnEvery !== 0 || !placement.learn(nowMs + stepMs)) continue
    moves++
    for (let i = 0; i < count; i++) classes[i] = placement.classOf(grid.longestMs[i]!)
  }
  zones.end()
  return { ratio: zones.heldByteMs / liveByteMs, classes: new Set(classes).size, moves }
}
