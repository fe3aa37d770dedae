/**
 * The grace period: after it, every turn that a queue was in when it began is over, and what that turn committed is in the log
 * of an older batch. Who takes a picture of a device's state, or takes memory away that a turn may be reading, waits for it.
 */
import { kick } from '../ublk-native/index.js'
import type { ZoneTable } from '../zone-model/index.js'

function hasReservations(table: ZoneTable, queue: number): boolean {
  const first = queue * table.depth
  for (let slot = first; slot < first + table.depth; slot++)
    if (table.log.isReserved(slot)) return true
  return false
}

/**
 * Waits until every queue whose last turn reserved something has begun another one. A queue that sleeps is kicked for it.
 *
 * @param kickFds - of the queues, in their order
 * @param isOver - the queues are ending: nobody is waited for any more
 */
export function awaitTurns(
  table: ZoneTable,
  kickFds: readonly number[],
  isOver: () => boolean,
): void {
  const batches = kickFds.map((fd, queue) => {
    if (!hasReservations(table, queue)) return -1
    const batch = table.batchOf(queue)
    kick(fd)
    return batch
  })
  for (const [queue, batch] of batches.entries())
    while (batch >= 0 && table.batchOf(queue) === batch && !isOver()) table.pause()
}

/** A queue, to be waited for. */
export interface TurnCounter {
  /** Which turn it is in: another number for each. */
  readonly turn: () => number
  /** Makes a queue that waits begin a turn. */
  readonly kick: () => void
}

/** Between two looks. A busy queue begins its next turn within that. */
const LOOK_MS = 1

/**
 * As `awaitTurns`, for whoever does not ask whether a queue wrote: every queue is waited for, in the thread's event loop, and only
 * one that begins no turn by itself is kicked. Rejects when `delay` does: that ends the wait.
 */
export async function untilTurnsEnd(
  queues: readonly TurnCounter[],
  delay: (milliseconds: number) => Promise<void>,
): Promise<void> {
  let waiting = queues.map(queue => ({ queue, seen: queue.turn() }))
  let isFirst = true
  while (waiting.length > 0) {
    await delay(LOOK_MS)
    waiting = waiting.filter(({ queue, seen }) => queue.turn() === seen)
    if (isFirst) for (const { queue } of waiting) queue.kick()
    isFirst = false
  }
}
