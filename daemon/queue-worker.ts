/**
 * The thread of one ublk queue: maps what it shares, opens its ring (a ring belongs to the thread that makes it), serves.
 *
 * Messages to main: {ready: true, kickFd} once its tags can be fetched, {done: result} when the loop has ended and everything
 * that holds the device is closed. Any exception kills the process on purpose: a worker never dies alone (the kernel then
 * keeps the requests for the next daemon).
 */
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import {
  hardenThread,
  mapShared,
  openQueue,
  type Queue,
  scheduleAsBatch,
  unmapShared,
} from '../ublk-native/index.js'
import { ENODEV, type Geometry, type ZoneTable } from '../zone-model/index.js'
import { ModelledDrive } from './drive-time.js'
import { FAULT_FILE_BYTES, FaultRules, faultWords } from './fault-rules.js'
import { FlushHolder } from './flush-holder.js'
import { FlushMarks, flushMarkBytes } from './flush-marks.js'
import { FlushTickets } from './flush-tickets.js'
import { RequestGate } from './gate.js'
import { LATENCY_PROFILES } from './latency-profiles.js'
import { openShared, type SharedTask } from './open-shared.js'
import { Planner } from './plan.js'
import { Requests } from './requests.js'
import type { Holder } from './seams.js'
import { serve } from './serve.js'
import type { RingSource } from './trace-recorder.js'
import { TraceRing, traceBytes } from './trace-ring.js'

/** What main gives a worker. */
export interface WorkerTask extends SharedTask {
  charFd: number
  queueId: number
  queueCount: number
  depth: number
  maxIoBytes: number
  /** See openQueue. */
  lends: boolean
  /** As `--latency` takes it. */
  latency: string
  /** What is to survive a power cut waits for tickets: see flush-tickets.ts. Null: nothing is. */
  tickets: SharedArrayBuffer | null
}

/** Faults are looked for in every turn: they may be ordered at any time. */
function openGate(
  task: WorkerTask,
  queue: Queue,
  requests: Requests,
  geometry: Geometry,
): RequestGate {
  const words = faultWords(mapShared(join(task.directory, 'faults'), FAULT_FILE_BYTES, false))
  const faults = new FaultRules(words, requests, geometry.blockSizeBytes / 512)
  const profile = LATENCY_PROFILES[task.latency]
  const drive = profile === undefined ? null : new ModelledDrive(profile, geometry, requests)
  const readClock = (nowMs: Float64Array): void => {
    nowMs[0] = performance.now()
  }
  return new RequestGate(faults, drive, queue, task.depth, readClock)
}

/** The ring of this queue in the recording that goes on. */
class WorkerRing implements RingSource {
  readonly #task: WorkerTask
  #buffer: ArrayBuffer | null = null

  constructor(task: WorkerTask) {
    this.#task = task
  }

  /** null when its file cannot be mapped: main finds that nobody answers. */
  open(): TraceRing | null {
    const { directory, queueId, queueCount } = this.#task
    try {
      this.#buffer = mapShared(join(directory, 'trace'), traceBytes(queueCount), false)
      return new TraceRing(this.#buffer, queueId)
    } catch {
      return null
    }
  }

  close(): void {
    if (this.#buffer !== null) unmapShared(this.#buffer)
    this.#buffer = null
  }
}

/** What a power cut may not take: of an image what the flusher has brought there, of a drive in memory what is marked. */
function openHolder(
  task: WorkerTask,
  table: ZoneTable,
  requests: Requests,
  geometry: Geometry,
): Holder {
  if (task.tickets !== null) return new FlushHolder(new FlushTickets(task.tickets), task.depth)
  const buffer = mapShared(join(task.directory, 'flushed'), flushMarkBytes(geometry), false)
  return new FlushMarks(new Int32Array(buffer), table, requests)
}

function run(task: WorkerTask): void {
  const { geometry, buffer, state, media } = openShared(task)
  hardenThread()
  const queue = openQueue({
    charFd: task.charFd,
    queueId: task.queueId,
    depth: task.depth,
    maxIoBytes: task.maxIoBytes,
    media,
    lends: task.lends,
    marks: new Int32Array(buffer),
    markByteOffsets: [
      state.table.markByteOffset(task.queueId, 0),
      state.table.markByteOffset(task.queueId, 1),
    ],
  })
  const requests = new Requests(queue.descriptors, geometry)
  const holder = openHolder(task, state.table, requests, geometry)
  const seams = { gate: openGate(task, queue, requests, geometry), holder }
  const { queueId, depth } = task
  const rings = new WorkerRing(task)
  const planner = new Planner(queue, state, geometry, media, queueId, depth, seams, rings)
  parentPort!.postMessage({ ready: true, kickFd: queue.kickFd })
  const result = serve(queue, planner, state, scheduleAsBatch)
  if (result < 0 && result !== -ENODEV) {
    throw new Error(
      `queue ${task.queueId} failed with ${result}: ${JSON.stringify(queue.failure())}`,
    )
  }
  queue.close()
  media.close()
  parentPort!.postMessage({ done: result })
}

run(workerData as WorkerTask)
