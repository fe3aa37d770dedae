/**
 * What a store may answer: of each key every state that it had, and from which on they must be durable.
 */
import { strict as assert } from 'node:assert'

/** A state of a key: a value with its deadline, or null: it is not there. */
interface State {
  readonly value: string | null
  readonly deadlineMs: number
}

const ABSENT: State = { value: null, deadlineMs: Number.POSITIVE_INFINITY }

export class History {
  /** `evicts`: any object may be gone at any time, as long as what is there is right. */
  constructor(private readonly evicts = false) {}

  readonly #states = new Map<string, State[]>()
  /** Index of the first state that a power cut may leave. */
  readonly #durable = new Map<string, number>()

  get keys(): string[] {
    return [...this.#states.keys()]
  }

  set(key: string, value: string, deadlineMs: number): void {
    this.#statesOf(key).push({ value, deadlineMs })
  }

  delete(key: string): void {
    this.#statesOf(key).push(ABSENT)
  }

  /** Whether a running store may answer so. */
  isRight(key: string, answer: string | undefined, nowMs: number): boolean {
    return answer === this.get(key, nowMs) || (this.evicts && answer === undefined)
  }

  /** The value now, undefined when there is none. */
  get(key: string, nowMs: number): string | undefined {
    const { value, deadlineMs } = this.#statesOf(key).at(-1)!
    return value === null || deadlineMs <= nowMs ? undefined : value
  }

  /** What is now; given to `durable` when a flush that began now has ended. */
  mark(): Map<string, number> {
    return new Map([...this.#states].map(([key, states]) => [key, states.length - 1]))
  }

  durable(mark: ReadonlyMap<string, number>): void {
    for (const [key, index] of mark) {
      this.#durable.set(key, Math.max(index, this.#durable.get(key) ?? 0))
    }
  }

  /** After a power cut: fails unless the answer is that of a state that may have been left; then that is the state. */
  settle(key: string, answer: string | undefined, nowMs: number, note: string): void {
    if (this.evicts && answer === undefined) return
    const states = this.#statesOf(key)
    const first = this.#durable.get(key) ?? 0
    const allowed = states.slice(first)
    const isAllowed = allowed.some(({ value, deadlineMs }) =>
      answer === undefined
        ? value === null || deadlineMs <= nowMs
        : value === answer && deadlineMs > nowMs,
    )
    const told = allowed.map(({ value, deadlineMs }) => `${value?.slice(0, 8)}@${deadlineMs}`)
    assert(isAllowed, `${note}: ${key} is ${answer?.slice(0, 8)}, at ${nowMs}; allowed: ${told}`)
    const index = states.findLastIndex(({ value, deadlineMs }) =>
      answer === undefined ? value === null || deadlineMs <= nowMs : value === answer,
    )
    states.splice(index + 1)
    // A state that a restart shows has been read from the drive: it cannot go back any more.
    this.#durable.set(key, index)
  }

  #statesOf(key: string): State[] {
    let states = this.#states.get(key)
    if (states === undefined) {
      states = [ABSENT]
      this.#states.set(key, states)
    }
    return states
  }
}
