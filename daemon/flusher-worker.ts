/**
 * The thread that makes a drive durable: round after round of Image.commit(), one for all tickets that wait.
 *
 * It waits for the disk so that no queue has to. Messages to main: {ready: true} once it serves; {failed: -errno} for a round
 * that the disk refused; {done: result} at its end. An exception kills the process, as that of a queue does.
 */
import { statfsSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Image } from '../image/index.js'
import { hardenThread, kick } from '../ublk-native/index.js'
import { FlushTickets } from './flush-tickets.js'
import { awaitTurns } from './grace.js'
import { spareOfImage } from './image-spare.js'
import { openShared, type SharedTask } from './open-shared.js'

export interface FlusherTask extends SharedTask {
  imageDirectory: string
  tickets: SharedArrayBuffer
  /** Of the device's queues, in their order. */
  kickFds: readonly number[]
}

/** What the disk can give; nothing when it does not even say that. */
function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  } catch {
    return 0
  }
}

function run(task: FlusherTask): void {
  const { state, media } = openShared(task)
  hardenThread()
  const image = Image.open(task.imageDirectory, { isLocked: true })
  image.attach(task.directory, media)
  const tickets = new FlushTickets(task.tickets)
  parentPort!.postMessage({ ready: true })
  const isOver = () => state.stopRequested
  let done = 0
  for (let wanted = tickets.waitAfter(done); wanted !== done; wanted = tickets.waitAfter(done)) {
    if (tickets.isCut) break
    awaitTurns(state.table, task.kickFds, isOver)
    const result = image.commit()
    if (result < 0) parentPort!.postMessage({ failed: result })
    tickets.finish(wanted, result)
    done = wanted
    if (!isOver()) for (const fd of task.kickFds) kick(fd)
    if (result === 0) image.afterCommit(spareOfImage(task.media, freeBytes(task.imageDirectory)))
  }
  const result = image.close({ clean: !tickets.isCut })
  media.close()
  parentPort!.postMessage({ done: result })
}

run(workerData as FlusherTask)
