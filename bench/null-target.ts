/**
 * Inside the VM: a ublk device that answers every request at once, and moves no byte. What it takes is what the kernel's way to a
 * process and back takes, and the turn of our worker: no device of this kind can take less.
 *
 * The device, its zones and the planner are the daemon's own; only each READ and WRITE becomes a COMMIT on its way to C++. A
 * program of its own, started by guest-devices.ts with a state folder of its own: prints the device's path, and deletes it at
 * SIGTERM.
 */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Device } from '../daemon/device.js'
import { openShared } from '../daemon/open-shared.js'
import { resolveOptions } from '../daemon/options.js'
import { Planner } from '../daemon/plan.js'
import type { WorkerTask } from '../daemon/queue-worker.js'
import { serve } from '../daemon/serve.js'
import {
  COMMAND_COMMIT,
  COMMAND_READ,
  COMMAND_WORDS,
  COMMAND_WRITE,
  openQueue,
  PARITY_SHIFT,
  type Queue,
  scheduleAsBatch,
  UblkControl,
} from '../ublk-native/index.js'

/** `queue`, whose reads and writes are done before they are executed. */
function answered(queue: Queue): Queue {
  const { commands } = queue
  const commitAndFetch = (turn: number): number => {
    const count = turn & ((1 << PARITY_SHIFT) - 1)
    for (let at = 0; at < count * COMMAND_WORDS; at += COMMAND_WORDS) {
      if (commands[at] !== COMMAND_READ && commands[at] !== COMMAND_WRITE) continue
      commands[at] = COMMAND_COMMIT
      commands[at + 2] = commands[at + 3]!
    }
    return queue.commitAndFetch(turn)
  }
  return { ...queue, commitAndFetch }
}

function work(task: WorkerTask): void {
  const { geometry, buffer, state, media } = openShared(task)
  const { charFd, queueId, depth, maxIoBytes } = task
  const queue = openQueue({
    charFd,
    queueId,
    depth,
    maxIoBytes,
    media,
    marks: new Int32Array(buffer),
    markByteOffsets: [
      state.table.markByteOffset(queueId, 0),
      state.table.markByteOffset(queueId, 1),
    ],
  })
  const planner = new Planner(queue, state, geometry, media, queueId, depth)
  parentPort!.postMessage({ ready: true, kickFd: queue.kickFd })
  const done = serve(answered(queue), planner, state, scheduleAsBatch)
  queue.close()
  media.close()
  parentPort!.postMessage({ done })
}

async function main(options: Record<string, unknown>): Promise<void> {
  const fail = (error: unknown) => {
    throw error
  }
  const device = await Device.create(resolveOptions(options), {
    control: new UblkControl(),
    delay: milliseconds => delay(milliseconds),
    onWorkerDeath: fail,
    onFlushFailure: fail,
    spawnQueue: task => new Worker(new URL(import.meta.url), { workerData: task }),
  })
  // Nothing else keeps this program alive once the workers have ended.
  const alive = setInterval(() => {}, 1 << 30)
  const stopped = once(process, 'SIGTERM')
  process.stdout.write(`${device.path}\n`)
  await stopped
  await device.delete()
  clearInterval(alive)
}

if (!isMainThread) work(workerData as WorkerTask)
else if (process.argv[1] === new URL(import.meta.url).pathname)
  await main(JSON.parse(process.argv[2]!) as Record<string, unknown>)
