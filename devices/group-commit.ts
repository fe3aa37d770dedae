/**
 * Work that serves many at once: whoever asks while a run is under way shares the next one with all others that do.
 */
export class GroupCommit {
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  /** @param work - never runs twice at a time */
  constructor(private readonly work: () => Promise<void>) {}

  /** Resolves, or rejects, with a run that began after this call. */
  run(): Promise<void> {
    if (this.#next !== null) return this.#next
    const begin = () => {
      this.#next = null
      return this.work()
    }
    this.#next = this.#running.then(begin, begin)
    this.#running = this.#next
    return this.#next
  }
}
