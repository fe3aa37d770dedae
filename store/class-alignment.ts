/**
 * Which class takes which of the new ranges of TTLs when boundaries move, so that open zones get what they have already.
 *
 * A zone that is part filled with TTLs up to `oldMs` and then gets TTLs up to `newMs` is held for the longer of the two: the
 * difference is lost for about what is in it. A zone of a class without a range stays part filled until its deadline, `oldMs`. A class
 * that had no bytes loses nothing. The ranges ascend with the class, so the cheapest assignment is an edit distance.
 */

export interface Alignment {
  /** Class of each new range, ascending. */
  readonly classes: Int32Array
  /** Sum of what part-filled zones are held longer than they need, ms. */
  readonly lossMs: number
}

/**
 * `newMs`: longest TTL of each new range, ascending. `oldMs`: longest TTL of each class, 0 for one without bytes; at least as many.
 */
export function align(newMs: Float64Array, oldMs: Float64Array): Alignment {
  const ranges = newMs.length
  const width = oldMs.length + 1
  // lossMs of the first i ranges in the first c classes, at i * width + c.
  const loss = new Float64Array((ranges + 1) * width).fill(Infinity)
  const takes = (i: number, c: number): number => {
    const old = oldMs[c - 1]!
    return loss[(i - 1) * width + c - 1]! + (old === 0 ? 0 : Math.abs(newMs[i - 1]! - old))
  }
  const skips = (i: number, c: number): number => loss[i * width + c - 1]! + oldMs[c - 1]!
  loss[0] = 0
  for (let i = 0; i <= ranges; i++) {
    for (let c = Math.max(i, 1); c < width; c++) {
      loss[i * width + c] = i === 0 ? skips(i, c) : Math.min(takes(i, c), skips(i, c))
    }
  }
  const classes = new Int32Array(ranges)
  let c = width - 1
  for (let i = ranges; i > 0; i--, c--) {
    // Of equal ones the lowest, so that the last class stays free for what is longer than all.
    while (skips(i, c) <= takes(i, c)) c--
    classes[i - 1] = c - 1
  }
  return { classes, lossMs: loss[ranges * width + width - 1]! }
}
