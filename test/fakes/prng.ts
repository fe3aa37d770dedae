/**
 * Seeded random numbers for tests (splitmix32: small, fast, good enough to choose test cases, not for anything else).
 *
 * `SEED=123 npx vitest …` replays; without it a fresh seed is taken and printed by the test that asks for it.
 */
export class Prng {
  #state: number

  constructor(readonly seed: number) {
    this.#state = seed | 0
  }

  /** A seed from the environment, or a fresh one, printed so that a failure can be replayed. */
  static fromEnvironment(name: string): Prng {
    const given = process.env['SEED']
    const seed = given === undefined ? (Math.random() * 2 ** 31) | 0 : Number(given)
    process.stdout.write(`${name}: SEED=${seed}\n`)
    return new Prng(seed)
  }

  /** 0 ≤ result < 2^32. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  /** 0 ≤ result < 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  /** 0 ≤ result < limit. */
  below(limit: number): number {
    return this.next() % limit
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const swap = items[i]!
      items[i] = items[j]!
      items[j] = swap
    }
    return items
  }
}
