/**
 * Where to cut a distribution of TTLs into classes so that zones hold the least space: a dynamic program.
 *
 * A zone is held whole from its opening to its last deadline. A class that gets `bytesPerMs` fills a zone of `zoneBytes` in
 * `zoneBytes / bytesPerMs`, and the zone's last deadline is its longest TTL after that. Zones are opened `bytesPerMs / zoneBytes`
 * times a millisecond, so (Little's law) the class holds, in bytes,
 *
 *     zoneBytes + bytesPerMs x longestMs
 *
 * The first term is what filling costs: the same for every class that is used, however slowly it fills. It is why few bytes do not
 * get a class of their own. The second is what the spread of TTLs costs: the live bytes are `bytesPerMs x the mean TTL`.
 *
 * The best cut into k classes ends with some class i+1..j behind the best cut of 1..i into k-1. The cost of that last class is a line
 * in longestMs[j] with the slope -(rate of 1..i), so the minimum over i is a lower hull of lines, and each k takes one sweep: the
 * whole is O(groups x classes), not O(groups^2 x classes). A test compares it with all cuts there are.
 */

/** A cut: class c has the groups after `lasts[c - 1]` up to and with `lasts[c]`. */
export interface Bounds {
  /** Expected space that the classes hold, in bytes. */
  readonly costBytes: number
  readonly lasts: Int32Array
}

/** Lines `intercept[i] - x * slope[i]`, added by growing slope, asked with growing x: the lowest at x. */
class LowerHull {
  readonly #lines: Int32Array
  #head = 0
  #size = 0

  constructor(
    readonly intercept: Float64Array,
    readonly slope: Float64Array,
  ) {
    this.#lines = new Int32Array(intercept.length)
  }

  add(line: number): void {
    const { intercept, slope } = this
    while (this.#size - this.#head >= 2) {
      const a = this.#lines[this.#size - 2]!
      const b = this.#lines[this.#size - 1]!
      // b is nowhere the lowest when the new line crosses a before b does.
      const isNeeded =
        (intercept[line]! - intercept[a]!) * (slope[b]! - slope[a]!) >
        (intercept[b]! - intercept[a]!) * (slope[line]! - slope[a]!)
      if (isNeeded) break
      this.#size--
    }
    this.#lines[this.#size++] = line
  }

  lowestAt(x: number): number {
    while (this.#size - this.#head >= 2) {
      const now = this.#lines[this.#head]!
      const next = this.#lines[this.#head + 1]!
      const isLower =
        this.intercept[next]! - x * this.slope[next]! < this.intercept[now]! - x * this.slope[now]!
      if (!isLower) break
      this.#head++
    }
    return this.#lines[this.#head]!
  }
}

/**
 * The cheapest cut into at most `classesMax` (>= 1) classes, and into the fewest of those that cost the same.
 *
 * Groups of TTLs by their longest, ascending and each with bytes to its name (`bytesPerMs` > 0); at least one.
 */
export function bestBounds(
  longestMs: Float64Array,
  bytesPerMs: Float64Array,
  classesMax: number,
  zoneBytes: number,
): Bounds {
  const count = longestMs.length
  const rateBefore = new Float64Array(count + 1)
  for (let i = 0; i < count; i++) rateBefore[i + 1] = rateBefore[i]! + bytesPerMs[i]!
  const classes = Math.min(classesMax, count)
  const cutBefore = new Int32Array((classes + 1) * (count + 1))
  let costs = new Float64Array(count + 1).fill(Infinity)
  costs[0] = 0
  let best = 0
  let costBytes = Infinity
  for (let k = 1; k <= classes; k++) {
    const hull = new LowerHull(costs, rateBefore)
    const next = new Float64Array(count + 1).fill(Infinity)
    for (let j = k; j <= count; j++) {
      hull.add(j - 1)
      const longest = longestMs[j - 1]!
      const i = hull.lowestAt(longest)
      next[j] = costs[i]! + zoneBytes + longest * (rateBefore[j]! - rateBefore[i]!)
      cutBefore[k * (count + 1) + j] = i
    }
    costs = next
    if (costs[count]! < costBytes) {
      costBytes = costs[count]!
      best = k
    }
  }
  const lasts = new Int32Array(best)
  let end = count
  for (let k = best; k > 0; k--) {
    lasts[k - 1] = end - 1
    end = cutBefore[k * (count + 1) + end]!
  }
  return { costBytes, lasts }
}
