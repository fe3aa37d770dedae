/**
 * Changes of one zone, one after the other in the order in which they were asked for; those of different zones at once.
 */
export class Turns {
  /** The last change of each zone that is busy; it never rejects. */
  readonly #tails = new Map<number, Promise<void>>()

  /** Does something to a zone when everything that was asked for before is done. */
  run<T>(zone: number, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(zone)
    const done = before === undefined ? work() : before.then(work)
    const end = () => {
      if (this.#tails.get(zone) === tail) this.#tails.delete(zone)
    }
    const tail: Promise<void> = done.then(end, end)
    this.#tails.set(zone, tail)
    return done
  }

  /** Resolves when everything that was asked for before is done. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values())
  }
}
