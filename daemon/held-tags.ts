/**
 * Tags that wait for a time, the earliest first; those of one time in the order in which they came.
 *
 * A binary heap over arrays made once: nothing is allocated. Each tag is in it at most once. Times are in arrays of doubles on
 * their way in and out: a number that is not a small integer becomes an object where a function takes or gives it.
 */
export class HeldTags {
  readonly #heap: Uint16Array
  /** By tag: set before push(). */
  readonly dueMs: Float64Array
  readonly #order: Float64Array
  #count = 0
  readonly #came = new Float64Array(1)

  constructor(depth: number) {
    this.#heap = new Uint16Array(depth)
    this.dueMs = new Float64Array(depth)
    this.#order = new Float64Array(depth)
  }

  get count(): number {
    return this.#count
  }

  /** The first one, or -1 when none waits. */
  get first(): number {
    return this.#count === 0 ? -1 : this.#heap[0]!
  }

  push(tag: number): void {
    const heap = this.#heap
    this.#order[tag] = this.#came[0]!
    this.#came[0]! += 1
    let i = this.#count++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#isBefore(tag, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = tag
  }

  /** Take out the first one if it is due at nowMs[0], else -1. */
  pop(nowMs: Float64Array): number {
    if (this.#count === 0 || this.dueMs[this.#heap[0]!]! > nowMs[0]!) return -1
    const heap = this.#heap
    const first = heap[0]!
    const last = heap[--this.#count]!
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= this.#count) break
      if (child + 1 < this.#count && this.#isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!this.#isBefore(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
    return first
  }

  #isBefore(a: number, b: number): boolean {
    const difference = this.dueMs[a]! - this.dueMs[b]!
    return difference < 0 || (difference === 0 && this.#order[a]! < this.#order[b]!)
  }
}
