/**
 * The last refused requests of a queue: a ring in shared memory, read by `zslab explain`.
 *
 *   word 0: the newest sequence │ then 64 records of 16 words:
 *   0 sequence  1 op  2 start low  3 start high  4 sectors  5 zone  6 zone word before  7 status  8 time low  9 time high
 *   10 the fault that ordered it (then word 7 is the errno), or 0: a rule of the zone model refused
 *
 * The worker writes the sequence last, so a reader that sees it change while reading drops the record. A sequence is an
 * unsigned word that goes round at 2^32 and leaves out 0, which stands in a record that is being written.
 * Time is milliseconds since 1970, in two words of 2^31 so that nothing is allocated on the way.
 */
const HEADER_WORDS = 16
const RECORD_WORDS = 16
/** Most refusals that a queue keeps: no more can be asked for. */
export const REFUSALS_MAX = 64
const RECORD_MASK = REFUSALS_MAX - 1
const TIME_BASE = 0x80000000

export const REFUSAL_RING_WORDS = HEADER_WORDS + REFUSALS_MAX * RECORD_WORDS

/** One refusal as it lies in the ring. */
export interface RefusalRecord {
  sequence: number
  op: number
  startSector: number
  sectors: number
  zone: number
  wordBefore: number
  /** NVMe status code; of a fault, the errno. */
  status: number
  timeMs: number
  /** The id of the fault that failed it by order; 0: a rule of the zone model refused it. */
  fault: number
}

export class Refusals {
  readonly #words: Int32Array

  constructor(words: Int32Array) {
    this.#words = words
  }

  /** Worker side. Allocates nothing. */
  record(
    op: number,
    startLow: number,
    startHigh: number,
    sectors: number,
    zone: number,
    wordBefore: number,
    status: number,
    fault: number,
  ): void {
    const words = this.#words
    let sequence = (words[0]! + 1) | 0
    if (sequence === 0) sequence = 1
    const at = HEADER_WORDS + (sequence & RECORD_MASK) * RECORD_WORDS
    const now = Date.now()
    words[at] = 0
    words[at + 1] = op
    words[at + 2] = startLow
    words[at + 3] = startHigh
    words[at + 4] = sectors
    words[at + 5] = zone
    words[at + 6] = wordBefore
    words[at + 7] = status
    words[at + 8] = now % TIME_BASE
    words[at + 9] = now / TIME_BASE
    words[at + 10] = fault
    words[at] = sequence
    words[0] = sequence
  }

  /** Reader side: the newest `count` records, oldest first. */
  last(count: number): RefusalRecord[] {
    const words = this.#words
    const newest = words[0]!
    const records: RefusalRecord[] = []
    for (let back = Math.min(count, REFUSALS_MAX) - 1; back >= 0; back--) {
      const sequence = (newest - back) | 0
      const at = HEADER_WORDS + (sequence & RECORD_MASK) * RECORD_WORDS
      const copy = words.slice(at, at + RECORD_WORDS)
      // What was never written has the sequence 0, what is being overwritten another one.
      if (sequence === 0 || copy[0] !== sequence || words[at] !== sequence) continue
      records.push({
        sequence: sequence >>> 0,
        op: copy[1]!,
        startSector: (copy[3]! >>> 0) * 2 ** 32 + (copy[2]! >>> 0),
        sectors: copy[4]!,
        zone: copy[5]!,
        wordBefore: copy[6]!,
        status: copy[7]!,
        timeMs: copy[9]! * TIME_BASE + copy[8]!,
        fault: copy[10]!,
      })
    }
    return records
  }
}
