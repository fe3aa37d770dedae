/**
 * The loop of a queue's worker. Everything else in the daemon exists so that these lines can run.
 */
import type { Queue } from '../ublk-native/index.js'
import type { Planner } from './plan.js'
import type { SharedState } from './shared-state.js'

/**
 * Serve one ublk queue until the device stops (−ENODEV), the daemon asks (0), or the ring fails (another −errno).
 *
 * This thread does not return to its event loop: it parks inside commitAndFetch(). That saves a way through libuv for every
 * batch. The catch: messages, timers and asynchronous logging do not run here. Main talks to this thread through
 * `state.stopRequested` and a kick, which ends the wait with no tags.
 */
export function serve(queue: Queue, planner: Planner, state: SharedState): number {
  let turn = 0
  for (;;) {
    const ready = queue.commitAndFetch(turn)
    if (ready < 0) return ready
    if (ready === 0 && state.stopRequested) return 0
    turn = planner.planTurn(ready)
  }
}
