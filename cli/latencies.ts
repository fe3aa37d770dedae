/**
 * Times of many operations in few numbers: buckets 1/32 octave wide, so that a percentile is at most 3 % off (the scheme of
 * HdrHistogram). Taking a time makes no garbage.
 */

const SUB_BITS = 5
const SUB = 1 << SUB_BITS
const BUCKETS = 40 * SUB

export class Latencies {
  readonly #counts = new Float64Array(BUCKETS)
  count = 0
  max = 0

  /** `ns`: 0 or more. */
  note(ns: number): void {
    this.#counts[bucketOf(ns)]!++
    this.count++
    if (ns > this.max) this.max = ns
  }

  /** The time that a share (0 to 1) of the operations did not take longer than, in ns; 0 without any. */
  percentile(share: number): number {
    const wanted = Math.ceil(share * this.count)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= wanted && seen > 0) return Math.min(this.max, topOf(bucket))
    }
    return this.max
  }
}

function bucketOf(ns: number): number {
  const whole = Math.floor(ns)
  if (whole < SUB) return whole
  const octave = Math.floor(Math.log2(whole))
  const sub = Math.floor(whole / 2 ** (octave - SUB_BITS)) - SUB
  return Math.min(BUCKETS - 1, (octave - SUB_BITS + 1) * SUB + sub)
}

/** The longest time of a bucket. */
function topOf(bucket: number): number {
  if (bucket < SUB) return bucket
  const octave = Math.floor(bucket / SUB) - 1
  const sub = (bucket % SUB) + SUB + 1
  return sub * 2 ** octave - 1
}
