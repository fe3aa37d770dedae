/**
 * What the index takes, by component: for the ledger of memory and for benches.
 */

/** Bytes in use. What is only reserved is not among them. */
export interface IndexMemory {
  readonly entries: number
  /** Three bits a bucket. */
  readonly states: number
  /** Bits of tags that had no room in the entries: 0 unless locators are large and objects few. */
  readonly plane: number
  readonly zones: number
  readonly spill: number
  readonly total: number
}
