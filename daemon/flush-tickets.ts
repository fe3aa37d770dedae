/**
 * Tickets for durability: who must not answer before something is on the disk takes one, and the flusher's next round serves
 * all that were taken before it began. So any number of waiting requests cost one flush (group commit).
 *
 * Four words of memory that the threads of this process share. Not in the device's files: a ticket dies with its process, and
 * the kernel then sends the request again.
 */
const WANTED = 0
const DONE = 1
const RESULT = 2
const STOP = 3

const STOP_CLEAN = 1
const STOP_CUT = 2

export const FLUSH_TICKETS_BYTES = 16

export class FlushTickets {
  readonly #words: Int32Array

  /** `memory`: FLUSH_TICKETS_BYTES of zeros, at first. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /** Asks for a round that begins after this call. Numbers wrap around at 2^31. */
  take(): number {
    const ticket = (Atomics.add(this.#words, WANTED, 1) + 1) | 0
    Atomics.notify(this.#words, WANTED)
    return ticket
  }

  isDone(ticket: number): boolean {
    return ((Atomics.load(this.#words, DONE) - ticket) | 0) >= 0
  }

  /** How the last round ended: 0 or -errno. A later round that went well has made durable what an earlier one had not. */
  get result(): number {
    return Atomics.load(this.#words, RESULT)
  }

  /** The flusher's: sleeps until there is a ticket after `done`, and gives the last one; `done` itself when it is to end. */
  waitAfter(done: number): number {
    for (;;) {
      const wanted = Atomics.load(this.#words, WANTED)
      if (wanted !== done || Atomics.load(this.#words, STOP) !== 0) return wanted
      Atomics.wait(this.#words, WANTED, done)
    }
  }

  /** The flusher's: tickets up to this one have been served. */
  finish(ticket: number, result: number): void {
    Atomics.store(this.#words, RESULT, result)
    Atomics.store(this.#words, DONE, ticket)
  }

  /**
   * Ends the flusher, after one more round, or (`isCut`) at once, as if power had gone. The ticket keeps it from going to sleep
   * between its look and its wait.
   */
  stop(isCut = false): void {
    Atomics.store(this.#words, STOP, isCut ? STOP_CUT : STOP_CLEAN)
    this.take()
  }

  get isCut(): boolean {
    return Atomics.load(this.#words, STOP) === STOP_CUT
  }
}
