/**
 * What makes a request wait or fail before it is planned: injected faults, then the time that the drive takes.
 *
 * The clock is given, in milliseconds, and only read in turns in which something waits or may have to. Times go in and out
 * through arrays of one double: a number that is not a small integer becomes an object where a function takes or gives it.
 */
import type { FaultRules } from './fault-rules.js'
import { HeldTags } from './held-tags.js'
import { type Gate, VERDICT_HELD, VERDICT_PLAN, VERDICT_TORN } from './seams.js'

/** The time of a real drive (die-model.ts). */
export interface DriveTime {
  /** timeMs[0], in: when this request comes; out: when the drive would have done it. */
  serve(tag: number, timeMs: Float64Array): void
}

/** Asks to be woken (the queue's wakeIn). */
export interface Waker {
  wakeIn(microseconds: number): void
}

/** An hour: what is due later is looked at again then. */
const WAKE_MAX_US = 3600 * 1_000_000

export class RequestGate implements Gate {
  readonly #faults: FaultRules
  readonly #drive: DriveTime | null
  readonly #held: HeldTags
  readonly #waker: Waker
  readonly #readClock: (nowMs: Float64Array) => void
  /** By tag: what the rules said when it came. */
  readonly #verdict: Int32Array
  readonly #torn: Int32Array
  readonly #tornResult: Int32Array
  readonly #cause: Int32Array
  #hasRules = false
  readonly #nowMs = new Float64Array(1)
  readonly #dueMs = new Float64Array(1)

  /** `readClock` puts the time into nowMs[0]. */
  constructor(
    faults: FaultRules,
    drive: DriveTime | null,
    waker: Waker,
    depth: number,
    readClock: (nowMs: Float64Array) => void,
  ) {
    this.#faults = faults
    this.#drive = drive
    this.#waker = waker
    this.#readClock = readClock
    this.#held = new HeldTags(depth)
    this.#verdict = new Int32Array(depth)
    this.#torn = new Int32Array(depth)
    this.#tornResult = new Int32Array(depth)
    this.#cause = new Int32Array(depth)
  }

  beginTurn(): boolean {
    this.#hasRules = this.#faults.look()
    if (!this.#hasRules && this.#drive === null && this.#held.count === 0) return false
    this.#readClock(this.#nowMs)
    return true
  }

  arrive(tag: number): number {
    let verdict: number = VERDICT_PLAN
    const due = this.#dueMs
    const nowMs = this.#nowMs[0]!
    due[0] = nowMs
    if (this.#hasRules) {
      const faults = this.#faults
      faults.judge(tag)
      due[0] = nowMs + faults.delayMs
      if (faults.errno !== 0) {
        verdict = faults.tornSectors > 0 ? VERDICT_TORN : -faults.errno
        this.#torn[tag] = faults.tornSectors
        this.#tornResult[tag] = -faults.errno
        this.#cause[tag] = faults.cause
      }
    }
    if (this.#drive !== null) this.#drive.serve(tag, due)
    if (due[0]! <= nowMs) return verdict
    this.#verdict[tag] = verdict
    this.#held.dueMs[tag] = due[0]!
    this.#held.push(tag)
    return VERDICT_HELD
  }

  due(): number {
    return this.#held.pop(this.#nowMs)
  }

  verdict(tag: number): number {
    return this.#verdict[tag]!
  }

  tornSectors(tag: number): number {
    return this.#torn[tag]!
  }

  tornResult(tag: number): number {
    return this.#tornResult[tag]!
  }

  cause(tag: number): number {
    return this.#cause[tag]!
  }

  endTurn(): void {
    const { first, dueMs } = this.#held
    if (first < 0) return
    const waitUs = Math.ceil((dueMs[first]! - this.#nowMs[0]!) * 1000)
    // At least a microsecond, and rounded up: woken too early, it would only wait again.
    this.#waker.wakeIn(Math.min(WAKE_MAX_US, Math.max(1, waitUs)))
  }
}
