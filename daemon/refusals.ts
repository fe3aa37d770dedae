/**
 * The last refused requests of a queue: a ring in shared memory, read by `zslab explain`.
 *
 *   word 0: number of refusals ever │ then 64 records of 16 words:
 *   0 sequence  1 op  2 start low  3 start high  4 sectors  5 zone  6 zone word before  7 status  8 time low  9 time high
 *
 * The worker writes the sequence last, so a reader that sees it change while reading drops the record.
 * Time is milliseconds since 1970, in two words of 2^31 so that nothing is allocated on the way.
 */
const HEADER_WORDS = 16
const RECORD_WORDS = 16
const RECORD_COUNT = 64
const TIME_BASE = 0x80000000

export const REFUSAL_RING_WORDS = HEADER_WORDS + RECORD_COUNT * RECORD_WORDS

/** One refusal as it lies in the ring. */
export interface RefusalRecord {
  sequence: number
  op: number
  startSector: number
  sectors: number
  zone: number
  wordBefore: number
  status: number
  timeMs: number
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
  ): void {
    const words = this.#words
    const sequence = (words[0]! + 1) | 0
    const at = HEADER_WORDS + (sequence % RECORD_COUNT) * RECORD_WORDS
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
    words[at] = sequence
    words[0] = sequence
  }

  /** Reader side: the newest `count` records, oldest first. */
  last(count: number): RefusalRecord[] {
    const words = this.#words
    const newest = words[0]!
    const records: RefusalRecord[] = []
    for (
      let sequence = Math.max(1, newest - Math.min(count, RECORD_COUNT) + 1);
      sequence <= newest;
      sequence++
    ) {
      const at = HEADER_WORDS + (sequence % RECORD_COUNT) * RECORD_WORDS
      const copy = words.slice(at, at + RECORD_WORDS)
      if (copy[0] !== sequence || words[at] !== sequence) continue
      records.push({
        sequence,
        op: copy[1]!,
        startSector: (copy[3]! >>> 0) * 2 ** 32 + (copy[2]! >>> 0),
        sectors: copy[4]!,
        zone: copy[5]!,
        wordBefore: copy[6]!,
        status: copy[7]!,
        timeMs: copy[9]! * TIME_BASE + copy[8]!,
      })
    }
    return records
  }
}
