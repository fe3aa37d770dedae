/**
 * The workers of one device: a thread a queue, started, kicked and joined together.
 *
 * A worker that fails takes the process with it (`onDeath`): half a device is worse than one that waits for recovery.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { kick, registerKick, unregisterKick } from '../ublk-native/index.js'
import type { WorkerTask } from './queue-worker.js'

const ENTRY = new URL('./queue-worker.js', import.meta.url)

interface Message {
  ready?: true
  kickFd?: number
  done?: number
}

export class QueuePool {
  readonly #workers: Worker[] = []
  readonly #kickFds: number[] = []
  readonly #ended: Promise<unknown>[] = []

  /** Resolves when every worker can fetch its tags. `onDeath` is called when one ends without having been told to. */
  static async start(
    tasks: readonly WorkerTask[],
    onDeath: (error: unknown) => void,
  ): Promise<QueuePool> {
    const pool = new QueuePool()
    await Promise.all(tasks.map(task => pool.#startOne(task, onDeath)))
    return pool
  }

  async #startOne(task: WorkerTask, onDeath: (error: unknown) => void): Promise<void> {
    const worker = new Worker(ENTRY, { workerData: task, name: `ublk-${task.queueId}` })
    this.#workers.push(worker)
    let done: number | null = null
    let serving = false
    worker.on('message', (message: Message) => {
      if (message.done !== undefined) done = message.done
    })
    const failed = new Promise<never>((_, reject) => {
      worker.on('error', error => (serving ? onDeath(error) : reject(error)))
    })
    this.#ended.push(
      once(worker, 'exit').then(() => {
        if (serving && done === null)
          onDeath(new Error(`queue ${task.queueId} ended without a word`))
      }),
    )
    const [message] = (await Promise.race([once(worker, 'message'), failed])) as [Message]
    serving = true
    this.#kickFds.push(message.kickFd!)
    registerKick(message.kickFd!)
  }

  /** End the wait of every worker once. */
  kick(): void {
    for (const fd of this.#kickFds) kick(fd)
  }

  /** Resolves when every worker has closed what it held of the device. */
  async ended(): Promise<void> {
    for (const fd of this.#kickFds) unregisterKick(fd)
    await Promise.all(this.#ended)
  }
}
