/**
 * The loop of a queue's worker. Everything else in the daemon exists so that these lines can run.
 */
import type { Queue } from '../ublk-native/index.js'
import type { Planner } from './plan.js'
import type { SharedState } from './shared-state.js'

/** So many turns of one request in a row, and nobody is submitting several. */
const SINGLES_MAX = 64

/**
 * Serve one ublk queue until the device stops (−ENODEV), the daemon asks (0), or the ring fails (another −errno).
 *
 * This thread does not return to its event loop: it parks inside commitAndFetch(). That saves a way through libuv for every
 * batch. The catch: messages, timers and asynchronous logging do not run here. Main talks to this thread through
 * `state.stopRequested` and a kick, which ends the wait with no tags.
 *
 * `scheduleAsBatch` says how the kernel wakes this thread. Where it shares a CPU with a program that submits several requests,
 * it must not interrupt that program at the first: then one turn serves them all (31 of 32 instead of 4, measured). A program
 * that waits for each request is better interrupted at once: its answer is there before it goes to sleep.
 */
export function serve(
  queue: Queue,
  planner: Planner,
  state: SharedState,
  scheduleAsBatch: (isBatch: boolean) => void,
): number {
  let turn = 0
  let isBatch = false
  let singles = 0
  for (;;) {
    const ready = queue.commitAndFetch(turn)
    if (ready < 0) return ready
    if (ready === 0 && state.stopRequested) return 0
    if (ready > 1) {
      singles = 0
      if (!isBatch) scheduleAsBatch(true)
      isBatch = true
    } else if (isBatch && ++singles === SINGLES_MAX) {
      scheduleAsBatch(false)
      isBatch = false
    }
    turn = planner.planTurn(ready)
  }
}
