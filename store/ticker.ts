/**
 * The store's timer: one, which never keeps a process alive.
 *
 * It wakes at the next deadline of a zone, and at least once an interval: a zone that was opened meanwhile with an earlier
 * deadline is late by no more than that.
 */

export class Ticker {
  #timer: NodeJS.Timeout | null = null
  #isStopped = false

  constructor(
    private readonly intervalMs: number,
    /** Does what is due, and gives the time until the next deadline of a zone. */
    private readonly tick: () => number,
  ) {}

  start(): void {
    const wait = this.tick()
    if (this.#isStopped) return
    this.#timer = setTimeout(() => this.start(), Math.max(1, Math.min(this.intervalMs, wait)))
    this.#timer.unref()
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }
}
