/**
 * The workers of one device: a thread a queue, started, kicked and joined together.
 *
 * A worker that fails takes the process with it (`onDeath`): half a device is worse than one that waits for recovery. One that
 * fails before it serves only fails `start`; the others run on until they are kicked, so whoever made the pool ends it.
 */
import { Worker } from 'node:worker_threads'
import { kick, registerKick, unregisterKick } from '../ublk-native/index.js'
import type { WorkerTask } from './queue-worker.js'

const ENTRY = new URL('./queue-worker.js', import.meta.url)

interface Message {
  ready?: true
  kickFd?: number
  done?: number
}

/** What the pool needs of a thread: its messages, its uncaught error, its end. */
export interface QueueThread {
  on(event: 'message', listener: (message: Message) => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'exit', listener: (code: number) => void): unknown
}

/** Starts the thread of one queue. */
export type SpawnQueue = (task: WorkerTask) => QueueThread

const spawnWorker: SpawnQueue = task =>
  new Worker(ENTRY, { workerData: task, name: `ublk-${task.queueId}` })

export class QueuePool {
  readonly #onDeath: (error: unknown) => void
  readonly #spawn: SpawnQueue
  /** By queue: those that serve. */
  readonly #kickFds = new Map<number, number>()
  readonly #ended: Promise<void>[] = []

  /** `onDeath` is called when a worker that serves ends without having been told to. */
  constructor(onDeath: (error: unknown) => void, spawn: SpawnQueue = spawnWorker) {
    this.#onDeath = onDeath
    this.#spawn = spawn
  }

  /**
   * Resolves when every worker can fetch its tags. Rejects with the first failure once every worker has begun or failed, so
   * that a kick then reaches all that run: after a rejection, ask them to stop, `kick()`, and wait for `ended()`.
   */
  async start(tasks: readonly WorkerTask[]): Promise<void> {
    const outcomes = await Promise.allSettled(tasks.map(task => this.#startOne(task)))
    const failure = outcomes.find(outcome => outcome.status === 'rejected')
    if (failure !== undefined) throw failure.reason
  }

  async #startOne(task: WorkerTask): Promise<void> {
    const thread = this.#spawn(task)
    let isServing = false
    let isOver = false
    // An 'error' is followed by the 'exit': what ends first decides, and neither is a rejection that nobody waits for.
    const die = (error: unknown, fail: (error: unknown) => void): void => {
      if (isOver) return
      isOver = true
      if (isServing) this.#onDeath(error)
      else fail(error)
    }
    this.#ended.push(new Promise(resolve => thread.on('exit', () => resolve())))
    await new Promise<void>((resolve, reject) => {
      thread.on('message', ({ ready, kickFd, done }) => {
        if (done !== undefined) isOver = true
        if (ready !== true) return
        isServing = true
        this.#kickFds.set(task.queueId, kickFd!)
        registerKick(kickFd!)
        resolve()
      })
      thread.on('error', error => die(error, reject))
      thread.on('exit', code => {
        die(new Error(`queue ${task.queueId} ended without a word (exit code ${code})`), reject)
      })
    })
  }

  /** End the wait of every worker once. */
  kick(): void {
    for (const fd of this.#kickFds.values()) kick(fd)
  }

  /** What kicks each queue, in their order: good until `release()`. */
  get kickFds(): number[] {
    return [...this.#kickFds].sort(([a], [b]) => a - b).map(([, fd]) => fd)
  }

  /** Resolves when every worker has closed what it held of the device. */
  async ended(): Promise<void> {
    await Promise.all(this.#ended)
  }

  /** After `ended()`: nobody kicks any more. */
  release(): void {
    for (const fd of this.#kickFds.values()) unregisterKick(fd)
  }
}
