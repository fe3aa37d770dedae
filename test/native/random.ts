/** A small generator (mulberry32) so that every native test can be run again from the seed that it prints. */
export interface Random {
  readonly seed: number
  /** A whole number in [0, limit). */
  below(limit: number): number
  /** Fill with bytes that are not same-fill. */
  bytes(target: Uint8Array): Uint8Array
}

/** ZSLAB_SEED repeats a run; else the seed is the time's, and printed. */
export function random(name: string): Random {
  const seed = Number(process.env['ZSLAB_SEED'] ?? Date.now() % 1_000_000_007)
  console.log(`${name}: ZSLAB_SEED=${seed}`)
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return {
    seed,
    below: limit => next() % limit,
    bytes: target => {
      for (let i = 0; i < target.length; i++) target[i] = next() >>> 24
      return target
    },
  }
}
