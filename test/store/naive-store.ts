/**
 * A store of one Map, which is right because there is nothing to it.
 */

interface Naive {
  readonly value: string
  readonly deadlineMs: number
}

export class NaiveStore {
  readonly #objects = new Map<string, Naive>()

  constructor(private readonly now: () => number) {}

  get(key: string): string | undefined {
    return this.#alive(key)?.value
  }

  ttl(key: string): number | undefined {
    const object = this.#alive(key)
    return object === undefined ? undefined : object.deadlineMs - this.now()
  }

  set(key: string, value: string, ttl: number | undefined): void {
    const deadlineMs = ttl === undefined ? Number.POSITIVE_INFINITY : Math.ceil(this.now() + ttl)
    this.#objects.set(key, { value, deadlineMs })
  }

  delete(key: string): boolean {
    const wasAlive = this.#alive(key) !== undefined
    this.#objects.delete(key)
    return wasAlive
  }

  get keys(): string[] {
    return [...this.#objects.keys()].filter(key => this.#alive(key) !== undefined)
  }

  #alive(key: string): Naive | undefined {
    const object = this.#objects.get(key)
    return object !== undefined && object.deadlineMs > this.now() ? object : undefined
  }
}
