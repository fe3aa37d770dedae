/**
 * The main thread's side of a recording: the `trace` file, the workers told and heard, their rings read.
 *
 * Guarantees: from the moment that `start` resolves every request that comes is recorded or counted as lost; after `stop`
 * nothing of it is left, whoever gave up first. A worker that waits for requests has its last results still with it, so each
 * read kicks the queues that have not moved since the one before.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { mapShared, unmapShared } from '../ublk-native/index.js'
import { DaemonError } from './errors.js'
import type { TraceBatch } from './protocol.js'
import type { SharedState } from './shared-state.js'
import { TraceRing, traceBase, traceBytes } from './trace-ring.js'

const ANSWER_WAIT_MS = 5000
const ANSWER_RETRY_MS = 2

/** What of a device is needed to record it. */
export interface Recordable {
  readonly id: number
  readonly state: SharedState
  readonly record: { readonly queueCount: number }
  /** End the wait of every queue's worker once. */
  kick(): void
}

/** Time and the folder of the device's state. */
export interface RecordingHost {
  readonly directory: string
  readonly delay: (milliseconds: number) => Promise<void>
  /** Microseconds of CLOCK_MONOTONIC. */
  readonly nowUs: () => number
}

export class Recording {
  readonly #device: Recordable
  readonly #host: RecordingHost
  readonly #number: number
  readonly #rings: TraceRing[] = []
  #buffer: ArrayBuffer | null
  #lastTurnUs: number[] = []

  private constructor(device: Recordable, number: number, host: RecordingHost) {
    const { queueCount } = device.record
    this.#device = device
    this.#host = host
    this.#number = number
    this.#buffer = mapShared(join(host.directory, 'trace'), traceBytes(queueCount), true)
    traceBase(this.#buffer)[0] = host.nowUs()
    for (let queue = 0; queue < queueCount; queue++)
      this.#rings.push(new TraceRing(this.#buffer, queue))
  }

  /**
   * `number` tells this recording from others of the device: never 0, never the last one's.
   * Rejects with DAEMON_ERR_TRACE when a queue does not answer, with what mapShared() throws, and with nothing left behind.
   */
  static async start(device: Recordable, number: number, host: RecordingHost): Promise<Recording> {
    const recording = new Recording(device, number, host)
    device.state.recording = number
    try {
      await recording.#answered(number)
    } catch (error) {
      recording.close()
      throw error
    }
    return recording
  }

  /** Whether requests came already: then the zones as they are now are not those that the first request found. */
  get hasRequests(): boolean {
    return this.#rings.some(ring => ring.ready > 0 || ring.lost > 0)
  }

  /** What came since the last read. */
  read(): TraceBatch {
    const turns = this.#rings.map(ring => ring.turnUs)
    if (turns.some((turn, queue) => turn === this.#lastTurnUs[queue])) this.#device.kick()
    this.#lastTurnUs = turns
    return this.#batch(Math.min(...turns))
  }

  /** Ends it, and gives what was left. A queue that does not answer in time has its last turn missing. */
  async stop(): Promise<TraceBatch> {
    this.#device.state.recording = 0
    try {
      await this.#answered(0).catch(() => {})
      if (this.#buffer === null) return { entries: [], completeUs: null, lost: 0 }
      return this.#batch(null)
    } finally {
      this.close()
    }
  }

  /** Let go of everything, at once: the device is going away. */
  close(): void {
    if (this.#buffer === null) return
    this.#device.state.recording = 0
    rmSync(join(this.#host.directory, 'trace'), { force: true })
    unmapShared(this.#buffer)
    this.#buffer = null
  }

  get isClosed(): boolean {
    return this.#buffer === null
  }

  #batch(completeUs: number | null): TraceBatch {
    const entries = this.#rings.map(ring => Buffer.from(ring.drain().buffer).toString('base64'))
    return { entries, completeUs, lost: this.#rings.reduce((sum, ring) => sum + ring.lost, 0) }
  }

  async #answered(number: number): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += ANSWER_RETRY_MS) {
      if (this.#buffer === null || this.#rings.every(ring => ring.recording === number)) return
      if (waitedMs >= ANSWER_WAIT_MS) {
        const message = `the queues of device ${this.#device.id} do not answer (recording ${this.#number}): see the daemon's log`
        throw new DaemonError('DAEMON_ERR_TRACE', message)
      }
      // Each time: a worker that was busy may have taken the kick for its own.
      this.#device.kick()
      await this.#host.delay(ANSWER_RETRY_MS)
    }
  }
}
