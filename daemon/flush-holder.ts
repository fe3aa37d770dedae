/**
 * Requests of one queue that are done, and whose tags wait until what they did is durable: flushes, and, on a drive that must
 * survive a power cut, resets and finishes. In the order of their tickets, so the first says whether any may go.
 *
 * Hot file: a ring of as many places as the queue has tags; nothing is allocated.
 */
import {
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../zone-model/index.js'
import type { FlushTickets } from './flush-tickets.js'
import type { Holder } from './seams.js'

export class FlushHolder implements Holder {
  readonly #tickets: FlushTickets
  readonly #tags: Int32Array
  readonly #ticketOf: Int32Array
  readonly #depth: number
  #first = 0
  #count = 0

  constructor(tickets: FlushTickets, depth: number) {
    this.#tickets = tickets
    this.#tags = new Int32Array(depth)
    this.#ticketOf = new Int32Array(depth)
    this.#depth = depth
  }

  /** A zone that is opened or closed is closed after a power cut anyway: only these change what comes back. */
  keeps(tag: number, op: number): boolean {
    switch (op) {
      case UBLK_IO_OP_FLUSH:
      case UBLK_IO_OP_ZONE_FINISH:
      case UBLK_IO_OP_ZONE_RESET:
      case UBLK_IO_OP_ZONE_RESET_ALL: {
        const place = (this.#first + this.#count) % this.#depth
        this.#tags[place] = tag
        this.#ticketOf[place] = this.#tickets.take()
        this.#count++
        return true
      }
      default:
        return false
    }
  }

  /** A device with an image has no FUA: the kernel makes it a write and a flush. */
  wroteDurably(): void {}

  released(): number {
    if (this.#count === 0 || !this.#tickets.isDone(this.#ticketOf[this.#first]!)) return -1
    const tag = this.#tags[this.#first]!
    this.#first = (this.#first + 1) % this.#depth
    this.#count--
    return tag
  }

  /** The same for all: a round that went well has made durable what the ones before had not. */
  resultOf(): number {
    return this.#tickets.result
  }
}
