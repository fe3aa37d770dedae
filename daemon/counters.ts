/**
 * What a queue counts: doubles in shared memory, one group a queue, written by that queue's worker alone.
 *
 * A double is written in one piece on every machine Node runs on, so readers need no lock; they may be one request late.
 */
export const COUNTER_READS = 0
export const COUNTER_READ_BYTES = 1
export const COUNTER_WRITES = 2
export const COUNTER_WRITE_BYTES = 3
export const COUNTER_APPENDS = 4
export const COUNTER_APPEND_BYTES = 5
export const COUNTER_FLUSHES = 6
export const COUNTER_DISCARDS = 7
export const COUNTER_ZONE_COMMANDS = 8
export const COUNTER_REPORTS = 9
/** Requests that a zone rule refused. */
export const COUNTER_REFUSED = 10
/** Requests that failed for another reason, such as a copy that did not succeed. */
export const COUNTER_FAILED = 11
export const COUNTER_TURNS = 12
export const COUNTER_REQUESTS = 13
/** Requests that failed by order (`zslab fault`). */
export const COUNTER_FAULTS = 14
/** Of the failed: writes for whose data there was no memory (ENOSPC). */
export const COUNTER_NO_SPACE = 15
/** Sixteen doubles: two cache lines. */
export const COUNTER_COUNT = 16

/** Name in `stats` → index. */
export const COUNTERS = {
  reads: COUNTER_READS,
  readBytes: COUNTER_READ_BYTES,
  writes: COUNTER_WRITES,
  writeBytes: COUNTER_WRITE_BYTES,
  appends: COUNTER_APPENDS,
  appendBytes: COUNTER_APPEND_BYTES,
  flushes: COUNTER_FLUSHES,
  discards: COUNTER_DISCARDS,
  zoneCommands: COUNTER_ZONE_COMMANDS,
  reports: COUNTER_REPORTS,
  refused: COUNTER_REFUSED,
  failed: COUNTER_FAILED,
  turns: COUNTER_TURNS,
  requests: COUNTER_REQUESTS,
  faults: COUNTER_FAULTS,
  noSpace: COUNTER_NO_SPACE,
} as const

/** The sums over all queues, by name. */
export function sumCounters(
  queues: readonly Float64Array[],
): Record<keyof typeof COUNTERS, number> {
  const sums = {} as Record<keyof typeof COUNTERS, number>
  for (const [name, index] of Object.entries(COUNTERS)) {
    sums[name as keyof typeof COUNTERS] = queues.reduce((sum, queue) => sum + queue[index]!, 0)
  }
  return sums
}
