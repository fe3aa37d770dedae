/**
 * Injected faults as they lie in shared memory (the file `faults` of a device), and what a queue's worker asks of them.
 *
 *   word 0: generation │ 1: the id that the next rule gets │ then 64 rules of 16 words:
 *   0 id (0: free)  1 kinds of request (bits)  2 first zone  3 last zone  4 which of them (FAULT_EACH, ..)  5 its argument
 *   6 how many times (0: no end)  7 errno (0: none)  8 delay in ms  9 torn  10 seed  11 state of the random numbers
 *   12 requests that matched  13 requests that it was applied to
 *
 * All workers count in the same words, so "the 3rd write" is the third of the device, whichever queue it came through. Main
 * writes a rule, its id last, then the generation; a worker looks at the generation once a turn, so that a device without rules
 * pays one load. The file outlives the daemon: what was ordered stands after SIGKILL, and so does what was counted.
 *
 * Random numbers are Mulberry32's, drawn with one atomic addition: with one queue and one order of requests, a seed decides all.
 */
import {
  UBLK_IO_OP_DISCARD,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_WRITE_ZEROES,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_CLOSE,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../zone-model/index.js'
import type { Requests } from './requests.js'

export const FAULT_RULES_MAX = 64
export const FAULT_HEADER_WORDS = 16
export const FAULT_WORDS = 16
/** Bytes of the `faults` file. */
export const FAULT_FILE_BYTES = (FAULT_HEADER_WORDS + FAULT_RULES_MAX * FAULT_WORDS) * 4

export const FAULT_GENERATION = 0
export const FAULT_NEXT_ID = 1

export const FAULT_ID = 0
export const FAULT_OPS = 1
export const FAULT_FIRST = 2
export const FAULT_LAST = 3
export const FAULT_WHICH = 4
export const FAULT_ARGUMENT = 5
export const FAULT_TIMES = 6
export const FAULT_ERRNO = 7
export const FAULT_DELAY_MS = 8
export const FAULT_TORN = 9
export const FAULT_SEED = 10
export const FAULT_RANDOM = 11
export const FAULT_MATCHED = 12
export const FAULT_APPLIED = 13

/** Every request that matches. */
export const FAULT_EACH = 0
/** Each K-th that matches. */
export const FAULT_NTH = 1
/** By lot; the argument is the probability times 2^32, below 2^32. */
export const FAULT_LOT = 2

/** The last zone of a rule for all zones. */
export const FAULT_ANY_ZONE = 0x7fffffff

/** Kind of request, as `--op` names it → its bit. */
export const FAULT_OP_BITS = {
  read: 1 << 0,
  write: 1 << 1,
  append: 1 << 2,
  reset: 1 << 3,
  open: 1 << 4,
  close: 1 << 5,
  finish: 1 << 6,
  flush: 1 << 7,
  discard: 1 << 8,
  any: 0x1ff,
} as const

const BIT_OF_OP = new Int32Array(256)
BIT_OF_OP[UBLK_IO_OP_READ] = FAULT_OP_BITS.read
BIT_OF_OP[UBLK_IO_OP_WRITE] = FAULT_OP_BITS.write
BIT_OF_OP[UBLK_IO_OP_WRITE_ZEROES] = FAULT_OP_BITS.write
BIT_OF_OP[UBLK_IO_OP_ZONE_APPEND] = FAULT_OP_BITS.append
BIT_OF_OP[UBLK_IO_OP_ZONE_RESET] = FAULT_OP_BITS.reset
BIT_OF_OP[UBLK_IO_OP_ZONE_RESET_ALL] = FAULT_OP_BITS.reset
BIT_OF_OP[UBLK_IO_OP_ZONE_OPEN] = FAULT_OP_BITS.open
BIT_OF_OP[UBLK_IO_OP_ZONE_CLOSE] = FAULT_OP_BITS.close
BIT_OF_OP[UBLK_IO_OP_ZONE_FINISH] = FAULT_OP_BITS.finish
BIT_OF_OP[UBLK_IO_OP_FLUSH] = FAULT_OP_BITS.flush
BIT_OF_OP[UBLK_IO_OP_DISCARD] = FAULT_OP_BITS.discard

const MULBERRY_STEP = 0x6d2b79f5

/** The random number of a state: an unsigned word. */
export function mulberry32(state: number): number {
  let t = Math.imul(state ^ (state >>> 15), state | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return (t ^ (t >>> 14)) >>> 0
}

/** The words of the `faults` file of a device. */
export function faultWords(buffer: ArrayBufferLike): Int32Array {
  return new Int32Array(buffer, 0, FAULT_FILE_BYTES / 4)
}

/** A worker's side: what the rules say of a request. After judge(), the answer is in the fields. */
export class FaultRules {
  /** How long the request waits first. */
  delayMs = 0
  /** What it fails with, or 0. */
  errno = 0
  /** The rule that fails or tears it, or 0. */
  cause = 0
  /** At least 0: only so many of its sectors are stored, and it fails. Below 0: all or nothing. */
  tornSectors = -1
  readonly #words: Int32Array
  readonly #requests: Requests
  readonly #blockSectors: number
  /** Where the rules in force begin, in the order of their ids. */
  readonly #live = new Int32Array(FAULT_RULES_MAX)
  #liveCount = 0
  #generation = -1

  constructor(words: Int32Array, requests: Requests, blockSectors: number) {
    this.#words = words
    this.#requests = requests
    this.#blockSectors = blockSectors
  }

  /** Once a turn: whether there are any rules. */
  look(): boolean {
    // A plain load: nothing keeps it in a register over the native call of a turn, and an atomic one is 250 instructions (V8 11).
    if (this.#words[FAULT_GENERATION] !== this.#generation) {
      this.#read(Atomics.load(this.#words, FAULT_GENERATION))
    }
    return this.#liveCount > 0
  }

  #read(generation: number): void {
    const words = this.#words
    const live = this.#live
    let count = 0
    for (let at = FAULT_HEADER_WORDS; at < words.length; at += FAULT_WORDS) {
      const id = Atomics.load(words, at + FAULT_ID)
      if (id === 0) continue
      let i = count++
      for (; i > 0 && words[live[i - 1]! + FAULT_ID]! > id; i--) live[i] = live[i - 1]!
      live[i] = at
    }
    this.#liveCount = count
    this.#generation = generation
  }

  /**
   * Ask every rule about a request, in the order of their ids. Delays add up; the first that fails the request ends it, and
   * those after it are not asked.
   */
  judge(tag: number): void {
    this.delayMs = 0
    this.errno = 0
    this.cause = 0
    this.tornSectors = -1
    const bit = BIT_OF_OP[this.#requests.op(tag)]!
    if (bit === 0) return
    for (let i = 0; i < this.#liveCount && this.errno === 0; i++) {
      const at = this.#live[i]!
      if ((this.#words[at + FAULT_OPS]! & bit) === 0) continue
      if (!this.#isInZones(tag, at) || !this.#isDue(at)) continue
      this.#apply(tag, at)
    }
  }

  #isInZones(tag: number, at: number): boolean {
    const first = this.#words[at + FAULT_FIRST]!
    const last = this.#words[at + FAULT_LAST]!
    if (last === FAULT_ANY_ZONE) return true
    const op = this.#requests.op(tag)
    if (op === UBLK_IO_OP_ZONE_RESET_ALL) return true
    if (op === UBLK_IO_OP_FLUSH) return false
    return this.#requests.lastZone(tag) >= first && this.#requests.zone(tag) <= last
  }

  /** Count the match, and say whether this is one of those that the rule is for. */
  #isDue(at: number): boolean {
    const words = this.#words
    const times = words[at + FAULT_TIMES]!
    if (times > 0 && Atomics.load(words, at + FAULT_APPLIED) >= times) return false
    const matched = Atomics.add(words, at + FAULT_MATCHED, 1) + 1
    const which = words[at + FAULT_WHICH]!
    const argument = words[at + FAULT_ARGUMENT]! >>> 0
    if (which === FAULT_NTH && matched % argument !== 0) return false
    if (which === FAULT_LOT && this.#draw(at) >= argument) return false
    const applied = Atomics.add(words, at + FAULT_APPLIED, 1)
    if (times === 0 || applied < times) return true
    // Another queue was faster with the last one.
    Atomics.sub(words, at + FAULT_APPLIED, 1)
    return false
  }

  #apply(tag: number, at: number): void {
    const words = this.#words
    this.delayMs += words[at + FAULT_DELAY_MS]!
    this.errno = words[at + FAULT_ERRNO]!
    if (this.errno === 0) return
    this.cause = words[at + FAULT_ID]!
    if (words[at + FAULT_TORN] === 0) return
    const blocks = Math.floor(this.#requests.sectors(tag) / this.#blockSectors)
    const op = this.#requests.op(tag)
    // Write-zeroes has no bytes to be torn: none of it happens.
    const isTorn = op === UBLK_IO_OP_WRITE || op === UBLK_IO_OP_ZONE_APPEND
    const part = isTorn ? Math.floor((this.#draw(at) / 2 ** 32) * blocks) : 0
    this.tornSectors = part * this.#blockSectors
  }

  #draw(at: number): number {
    return mulberry32(
      (Atomics.add(this.#words, at + FAULT_RANDOM, MULBERRY_STEP) + MULBERRY_STEP) | 0,
    )
  }
}
