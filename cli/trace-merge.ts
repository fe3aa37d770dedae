/**
 * The requests of several queues in the order of their time.
 *
 * A queue publishes a request when its next turn begins, so what another queue sent later may come earlier. Each batch says up
 * to when every request is there: what is younger waits for the next batch. Of one queue the order stays as it decided.
 */
import type { TraceBatch, TraceEntry } from '../daemon/client.js'

export interface QueuedEntry {
  readonly queue: number
  readonly entry: TraceEntry
}

export class TraceMerge {
  readonly #decode: (base64: string) => TraceEntry[]
  #waiting: QueuedEntry[] = []

  constructor(decode: (base64: string) => TraceEntry[]) {
    this.#decode = decode
  }

  /** What is complete now, in order. */
  add(batch: TraceBatch): QueuedEntry[] {
    for (const [queue, text] of batch.entries.entries())
      for (const entry of this.#decode(text)) this.#waiting.push({ queue, entry })
    // A stable sort: entries of one turn have one time.
    this.#waiting.sort((a, b) => a.entry.t - b.entry.t)
    const completeUs = batch.completeUs ?? Number.POSITIVE_INFINITY
    const end = this.#waiting.findIndex(({ entry }) => entry.t >= completeUs)
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
  }
}
