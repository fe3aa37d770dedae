/**
 * The `trace` file of a device that is being recorded: a ring of requests for each queue, in shared memory.
 *
 *   64 bytes: when the recording began (a double, microseconds of CLOCK_MONOTONIC) │ for each queue, one after the other:
 *   16 words of its worker: 0 head  1 lost  2 turn (milliseconds)  3 recording │ 16 words of the reader: 0 tail │ entries
 *   entry, 10 words: 0 op and flags  1 sectors  2, 3 start  4 result  5 low word of the LBA  6 latency (µs)  8, 9 time (double)
 *
 * One writer (the queue's worker), one reader (the main thread). Guarantees: the writer never waits and allocates nothing: what
 * finds no room is counted as lost. Head and tail are counts that go round at 2^32; entries are whole before the head says so.
 * Every request that was delivered before the turn's time is in the ring, or was read, or is lost.
 */
const FILE_HEADER_BYTES = 64
const HEADER_WORDS = 32
const WORD_BYTES = 4
/** The reader's part is in a cache line of its own. */
const TAIL = 16
const HEAD = 0
const LOST = 1
const TURN = 2
const RECORDING = 3

export const TRACE_ENTRY_WORDS = 10
export const TRACE_ENTRY_BYTES = TRACE_ENTRY_WORDS * WORD_BYTES
/** Requests that a ring holds: a tenth of a second at 160,000 a second. A power of two. */
export const TRACE_ENTRIES = 16384
const RING_BYTES = HEADER_WORDS * WORD_BYTES + TRACE_ENTRIES * TRACE_ENTRY_BYTES

/** Bytes of the `trace` file. */
export function traceBytes(queueCount: number): number {
  return FILE_HEADER_BYTES + queueCount * RING_BYTES
}

/** When the recording began: a cell of the file that main sets before it tells anyone. */
export function traceBase(buffer: ArrayBufferLike): Float64Array {
  return new Float64Array(buffer, 0, 1)
}

export class TraceRing {
  readonly #words: Int32Array
  readonly #times: Float64Array
  readonly #baseUs: number
  readonly #entries: number
  /** The worker's own count: what the head says follows it in `publish`. */
  #next: number

  /** `entries` is how many the ring holds, a power of two: less than TRACE_ENTRIES in tests only. */
  constructor(buffer: ArrayBufferLike, queueId: number, entries = TRACE_ENTRIES) {
    const at = FILE_HEADER_BYTES + queueId * RING_BYTES
    this.#words = new Int32Array(buffer, at, RING_BYTES / WORD_BYTES)
    this.#times = new Float64Array(buffer, at, RING_BYTES / 8)
    this.#baseUs = traceBase(buffer)[0]!
    this.#entries = entries
    this.#next = this.#words[HEAD]!
  }

  /** Worker. Nobody sees it before `publish`. `timeUs` is of CLOCK_MONOTONIC. */
  push(
    opAndFlags: number,
    sectors: number,
    startLow: number,
    startHigh: number,
    result: number,
    lbaLow: number,
    timeUs: number,
    latencyUs: number,
  ): void {
    const words = this.#words
    if (((this.#next - Atomics.load(words, TAIL)) | 0) >= this.#entries) {
      words[LOST]! += 1
      return
    }
    const at = HEADER_WORDS + (this.#next & (this.#entries - 1)) * TRACE_ENTRY_WORDS
    words[at] = opAndFlags
    words[at + 1] = sectors
    words[at + 2] = startLow
    words[at + 3] = startHigh
    words[at + 4] = result
    words[at + 5] = lbaLow
    words[at + 6] = latencyUs
    words[at + 7] = 0
    this.#times[(at + 8) >>> 1] = timeUs - this.#baseUs
    this.#next = (this.#next + 1) | 0
  }

  /** Worker: what was pushed can be read from now on. */
  publish(): void {
    Atomics.store(this.#words, HEAD, this.#next)
  }

  /** Worker: everything that was delivered before this moment has been published. */
  beginTurn(timeUs: number): void {
    Atomics.store(this.#words, TURN, ((timeUs - this.#baseUs) / 1000) | 0)
  }

  /** Worker: from now on every request that comes is part of the recording of this number; 0: none is any more. */
  take(recording: number): void {
    Atomics.store(this.#words, RECORDING, recording)
  }

  /** Reader: the recording that the worker takes part in. */
  get recording(): number {
    return Atomics.load(this.#words, RECORDING)
  }

  /** Reader: every request that was delivered before this time (µs since the recording began) is in `drain` by now. */
  get turnUs(): number {
    return Atomics.load(this.#words, TURN) * 1000
  }

  /** Reader: requests that found no room. */
  get lost(): number {
    return Atomics.load(this.#words, LOST)
  }

  /** Reader: how many can be read. */
  get ready(): number {
    return (Atomics.load(this.#words, HEAD) - Atomics.load(this.#words, TAIL)) | 0
  }

  /** Reader: what is in the ring, as it lies there, oldest first; its room is free again. */
  drain(): Uint8Array {
    const words = this.#words
    const count = this.ready
    const tail = Atomics.load(words, TAIL)
    const target = new Uint8Array(count * TRACE_ENTRY_BYTES)
    const ring = new Uint8Array(
      words.buffer,
      words.byteOffset + HEADER_WORDS * WORD_BYTES,
      this.#entries * TRACE_ENTRY_BYTES,
    )
    const first = tail & (this.#entries - 1)
    const straight = Math.min(count, this.#entries - first)
    const from = first * TRACE_ENTRY_BYTES
    target.set(ring.subarray(from, from + straight * TRACE_ENTRY_BYTES))
    target.set(
      ring.subarray(0, (count - straight) * TRACE_ENTRY_BYTES),
      straight * TRACE_ENTRY_BYTES,
    )
    Atomics.store(words, TAIL, (tail + count) | 0)
    return target
  }
}
