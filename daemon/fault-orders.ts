/**
 * The orders behind `zslab fault`: checked, written into the shared rules (fault-rules.ts), listed and cleared. Main's side.
 *
 * Guarantees: a worker sees a rule whole or not at all; a request that comes after add() or clear() has returned is judged by
 * what it left. An order that could do nothing, or nothing of what it says, is refused with what to give.
 */
import {
  EIO,
  ENODATA,
  ENODEV,
  ENOSPC,
  EOPNOTSUPP,
  EOVERFLOW,
  EREMOTEIO,
  ETIMEDOUT,
  ETOOMANYREFS,
  errnoName,
} from '../zone-model/index.js'
import { DaemonError } from './errors.js'
import {
  FAULT_ANY_ZONE,
  FAULT_APPLIED,
  FAULT_ARGUMENT,
  FAULT_DELAY_MS,
  FAULT_EACH,
  FAULT_ERRNO,
  FAULT_FIRST,
  FAULT_GENERATION,
  FAULT_HEADER_WORDS,
  FAULT_ID,
  FAULT_LAST,
  FAULT_LOT,
  FAULT_MATCHED,
  FAULT_NEXT_ID,
  FAULT_NTH,
  FAULT_OP_BITS,
  FAULT_OPS,
  FAULT_RANDOM,
  FAULT_RULES_MAX,
  FAULT_SEED,
  FAULT_TIMES,
  FAULT_TORN,
  FAULT_WHICH,
  FAULT_WORDS,
} from './fault-rules.js'

export type FaultOp = keyof typeof FAULT_OP_BITS

export const FAULT_OPS_NAMES = Object.keys(FAULT_OP_BITS) as readonly FaultOp[]

/** What a program can be told: errnos that the block layer passes on as they are (block/blk-core.c, blk_errors[]). */
export const FAULT_ERRNOS: Readonly<Record<string, number>> = {
  EIO,
  ENOSPC,
  ETIMEDOUT,
  ENODATA,
  EREMOTEIO,
  ENODEV,
  EOPNOTSUPP,
  EOVERFLOW,
  ETOOMANYREFS,
}

/** An hour. */
export const FAULT_DELAY_MAX_MS = 3_600_000
/** Counts are words. */
export const FAULT_COUNT_MAX = 2 ** 31 - 1

/** What is to happen to which requests. */
export interface FaultOrder {
  op: FaultOp
  /** Zones from first to last; both or none. */
  first?: number
  last?: number
  /** Only each nth that matches. */
  nth?: number
  /** Only by lot: above 0, at most 1. */
  probability?: number
  /** So many times, then it is spent. Default: once with `nth`, else without end. */
  count?: number
  errno?: string
  delayMs?: number
  torn?: boolean
  seed?: number
}

/** A rule as `fault list` gives it. */
export interface FaultInfo {
  id: number
  op: FaultOp
  /** null: all zones. */
  zones: { first: number; last: number } | null
  /** null: not asked for. */
  nth: number | null
  probability: number | null
  /** null: without end. */
  count: number | null
  errno: string | null
  delayMs: number
  torn: boolean
  seed: number
  /** Requests that it was asked about and that are of its kind and zones. */
  matched: number
  /** Requests that were delayed, failed or torn by it. */
  applied: number
  /** It was applied `count` times, and does nothing any more. */
  spent: boolean
}

function refuse(message: string): never {
  throw new DaemonError('DAEMON_ERR_OPTION', message)
}

/** Throws DaemonError DAEMON_ERR_OPTION. */
function checkOrder(order: FaultOrder, zoneCount: number): void {
  const { op, first, last, nth, probability, errno, delayMs = 0, torn } = order
  if (errno === undefined && delayMs === 0 && torn !== true) {
    refuse('this fault does nothing: give --errno, --delay or --torn')
  }
  if (torn === true && op !== 'write' && op !== 'append') {
    refuse(
      `--torn with --op ${op}: only a write or an append can be torn; give --op write or append`,
    )
  }
  if (nth !== undefined && probability !== undefined) {
    refuse(`--nth ${nth} with --probability ${probability}: give one of them`)
  }
  if (first === undefined || last === undefined) return
  if (first > last || last >= zoneCount) {
    const zones = first === last ? `${first}` : `${first}-${last}`
    refuse(`--zone ${zones}: expected N or A-B with zones from 0 to ${zoneCount - 1}`)
  }
  if (op === 'flush') refuse('--zone with --op flush: a flush is of no zone; leave --zone out')
}

export class FaultOrders {
  readonly #words: Int32Array
  readonly #zoneCount: number

  constructor(words: Int32Array, zoneCount: number) {
    this.#words = words
    this.#zoneCount = zoneCount
  }

  /** `seed` is used when the order has none. Throws DaemonError DAEMON_ERR_OPTION, or DAEMON_ERR_RESOURCES when there are too many. */
  add(order: FaultOrder, seed: number): FaultInfo {
    checkOrder(order, this.#zoneCount)
    const words = this.#words
    const at = this.#freeSlot()
    const id = words[FAULT_NEXT_ID]! + 1
    const { nth, probability, torn = false } = order
    const errno = order.errno ?? (torn ? 'EIO' : undefined)
    const count = order.count ?? (nth === undefined ? 0 : 1)
    words.fill(0, at, at + FAULT_WORDS)
    words[at + FAULT_OPS] = FAULT_OP_BITS[order.op]
    words[at + FAULT_FIRST] = order.first ?? 0
    words[at + FAULT_LAST] = order.last ?? FAULT_ANY_ZONE
    // Certain is no lot: 1 times 2^32 is no word.
    const isLot = probability !== undefined && probability < 1
    words[at + FAULT_WHICH] = nth !== undefined ? FAULT_NTH : isLot ? FAULT_LOT : FAULT_EACH
    words[at + FAULT_ARGUMENT] = nth ?? (isLot ? Math.floor(probability * 2 ** 32) : 0)
    words[at + FAULT_TIMES] = count
    words[at + FAULT_ERRNO] = errno === undefined ? 0 : FAULT_ERRNOS[errno]!
    words[at + FAULT_DELAY_MS] = order.delayMs ?? 0
    words[at + FAULT_TORN] = torn ? 1 : 0
    words[at + FAULT_SEED] = order.seed ?? seed
    words[at + FAULT_RANDOM] = order.seed ?? seed
    words[FAULT_NEXT_ID] = id
    Atomics.store(words, at + FAULT_ID, id)
    Atomics.add(words, FAULT_GENERATION, 1)
    return this.#describe(at)
  }

  /** In the order in which they were given. */
  list(): FaultInfo[] {
    return this.#slots()
      .map(at => this.#describe(at))
      .sort((a, b) => a.id - b.id)
  }

  /** All, or the one with this id. Returns the ids that were cleared. Throws DaemonError DAEMON_ERR_OPTION when it is not there. */
  clear(id?: number): number[] {
    const words = this.#words
    const slots = this.#slots().filter(at => id === undefined || words[at + FAULT_ID] === id)
    if (id !== undefined && slots.length === 0) {
      const ids = this.list().map(fault => fault.id)
      refuse(`there is no fault ${id}: ${ids.length === 0 ? 'there are none' : ids.join(', ')}`)
    }
    const cleared = slots.map(at => words[at + FAULT_ID]!).sort((a, b) => a - b)
    for (const at of slots) Atomics.store(words, at + FAULT_ID, 0)
    Atomics.add(words, FAULT_GENERATION, 1)
    return cleared
  }

  /** Where live rules begin. */
  #slots(): number[] {
    return Array.from(
      { length: FAULT_RULES_MAX },
      (_, i) => FAULT_HEADER_WORDS + i * FAULT_WORDS,
    ).filter(at => this.#words[at + FAULT_ID] !== 0)
  }

  /** Round and round, so that a worker in the middle of a turn does not find another rule where one was cleared. */
  #freeSlot(): number {
    const next = this.#words[FAULT_NEXT_ID]!
    for (let i = 0; i < FAULT_RULES_MAX; i++) {
      const at = FAULT_HEADER_WORDS + ((next + i) % FAULT_RULES_MAX) * FAULT_WORDS
      if (this.#words[at + FAULT_ID] === 0) return at
    }
    const message = `${FAULT_RULES_MAX} faults are the most a device can have: zslab fault clear`
    throw new DaemonError('DAEMON_ERR_RESOURCES', message)
  }

  #describe(at: number): FaultInfo {
    const words = this.#words
    const bits = words[at + FAULT_OPS]!
    const last = words[at + FAULT_LAST]!
    const which = words[at + FAULT_WHICH]!
    const argument = words[at + FAULT_ARGUMENT]! >>> 0
    const count = words[at + FAULT_TIMES]!
    const errno = words[at + FAULT_ERRNO]!
    // A worker that is too late counts itself for a moment.
    const applied = Atomics.load(words, at + FAULT_APPLIED)
    return {
      id: words[at + FAULT_ID]!,
      op: FAULT_OPS_NAMES.find(name => FAULT_OP_BITS[name] === bits)!,
      zones: last === FAULT_ANY_ZONE ? null : { first: words[at + FAULT_FIRST]!, last },
      nth: which === FAULT_NTH ? argument : null,
      probability: which === FAULT_LOT ? argument / 2 ** 32 : null,
      count: count === 0 ? null : count,
      errno: errno === 0 ? null : errnoName(errno),
      delayMs: words[at + FAULT_DELAY_MS]!,
      torn: words[at + FAULT_TORN] !== 0,
      seed: words[at + FAULT_SEED]! >>> 0,
      matched: Atomics.load(words, at + FAULT_MATCHED),
      applied: count === 0 ? applied : Math.min(applied, count),
      spent: count !== 0 && applied >= count,
    }
  }
}
