/**
 * The `table` file of a device: everything the workers and the main thread share, laid out once.
 *
 *   zone table and in-flight log (zone-model) │ control: 16 words │ counters: 16 doubles a queue │ refusals: a ring a queue
 *
 * Each part begins on a cache line. The file lives in shared memory, so it survives a daemon that is killed.
 */
import { type Geometry, ZoneTable } from '../zone-model/index.js'
import { COUNTER_COUNT } from './counters.js'
import { REFUSAL_RING_WORDS, Refusals } from './refusals.js'

const LINE_BYTES = 64
const CONTROL_WORDS = 16
const COUNTER_BYTES = COUNTER_COUNT * 8

const align = (bytes: number): number => Math.ceil(bytes / LINE_BYTES) * LINE_BYTES

/** Set by the main thread to end the workers; they look when they are kicked. */
const CONTROL_STOP = 0
/** Which recording is going on, by number; 0: none. */
const CONTROL_TRACE = 1

/** Where each part begins, in bytes. */
function layout(geometry: Geometry, queueCount: number, depth: number) {
  const controlAt = align(ZoneTable.wordsNeeded(geometry, queueCount, depth) * 4)
  const countersAt = controlAt + CONTROL_WORDS * 4
  const refusalsAt = align(countersAt + queueCount * COUNTER_BYTES)
  return {
    controlAt,
    countersAt,
    refusalsAt,
    bytes: refusalsAt + queueCount * REFUSAL_RING_WORDS * 4,
  }
}

export class SharedState {
  readonly table: ZoneTable
  readonly #control: Int32Array
  readonly #buffer: ArrayBufferLike
  readonly #countersAt: number
  readonly #refusalsAt: number

  /** Bytes of the `table` file. */
  static bytesNeeded(geometry: Geometry, queueCount: number, depth: number): number {
    return layout(geometry, queueCount, depth).bytes
  }

  /** Write a fresh table into zeroed memory. */
  static format(
    buffer: ArrayBufferLike,
    geometry: Geometry,
    queueCount: number,
    depth: number,
  ): void {
    const words = new Int32Array(buffer, 0, ZoneTable.wordsNeeded(geometry, queueCount, depth))
    ZoneTable.format(words, geometry, queueCount, depth)
  }

  /** Attach to a table. Throws ZoneModelError when it was made for another geometry. */
  constructor(buffer: ArrayBufferLike, geometry: Geometry, queueCount: number, depth: number) {
    const { controlAt, countersAt, refusalsAt } = layout(geometry, queueCount, depth)
    const words = new Int32Array(buffer, 0, ZoneTable.wordsNeeded(geometry, queueCount, depth))
    this.table = new ZoneTable(words, geometry, queueCount, depth)
    this.#control = new Int32Array(buffer, controlAt, CONTROL_WORDS)
    this.#buffer = buffer
    this.#countersAt = countersAt
    this.#refusalsAt = refusalsAt
  }

  /** The counters of one queue, see counters.ts. Written by its worker alone. */
  counters(queue: number): Float64Array {
    return new Float64Array(this.#buffer, this.#countersAt + queue * COUNTER_BYTES, COUNTER_COUNT)
  }

  /** The refusals of one queue. Written by its worker alone. */
  refusals(queue: number): Refusals {
    const at = this.#refusalsAt + queue * REFUSAL_RING_WORDS * 4
    return new Refusals(new Int32Array(this.#buffer, at, REFUSAL_RING_WORDS))
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#control, CONTROL_STOP) !== 0
  }

  set stopRequested(stop: boolean) {
    Atomics.store(this.#control, CONTROL_STOP, stop ? 1 : 0)
  }

  /** The number of the recording that workers take part in; 0: none. They look once a turn. */
  get recording(): number {
    // A plain load, as in FaultRules.look(): who sees another number maps the recording, and that is a system call.
    return this.#control[CONTROL_TRACE]!
  }

  set recording(number: number) {
    Atomics.store(this.#control, CONTROL_TRACE, number)
  }
}
