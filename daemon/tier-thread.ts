/**
 * The thread of a device's tierer as the device sees it: started after its queues, ended before them (it kicks them).
 */
import { Worker } from 'node:worker_threads'
import type { TierTask } from './tier-worker.js'

const ENTRY = new URL('./tier-worker.js', import.meta.url)

interface Message {
  ready?: true
  problem?: { action: string; result: number }
}

/** What is needed of a thread. */
export interface TierWorker {
  on(event: 'message', listener: (message: Message) => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'exit', listener: (code: number) => void): unknown
  postMessage(message: unknown): void
}

export type SpawnTierer = (task: TierTask) => TierWorker

const spawnWorker: SpawnTierer = task => new Worker(ENTRY, { workerData: task, name: 'tierer' })

export interface TierHost {
  /** The thread has died without having been told to. */
  readonly onWorkerDeath: (error: unknown) => void
  readonly onTierProblem?: ((action: string, result: number) => void) | undefined
  readonly spawnTierer?: SpawnTierer | undefined
}

export class TierThread {
  readonly #worker: TierWorker
  readonly #ended: Promise<void>

  private constructor(worker: TierWorker) {
    this.#worker = worker
    this.#ended = new Promise(resolve => worker.on('exit', () => resolve()))
  }

  /** Resolves when it runs. Rejects with its error when it cannot. */
  static async start(task: TierTask, host: TierHost): Promise<TierThread> {
    const worker = (host.spawnTierer ?? spawnWorker)(task)
    const thread = new TierThread(worker)
    await new Promise<void>((resolve, reject) => {
      let isRunning = false
      worker.on('message', ({ ready, problem }) => {
        if (problem !== undefined) host.onTierProblem?.(problem.action, problem.result)
        isRunning ||= ready === true
        if (isRunning) resolve()
      })
      worker.on('error', error => (isRunning ? host.onWorkerDeath(error) : reject(error)))
      worker.on('exit', code => reject(new Error(`the tierer ended with exit code ${code}`)))
    })
    return thread
  }

  /** Resolves when it has ended: it kicks no queue and looks at no memory any more. */
  async stop(): Promise<void> {
    this.#worker.postMessage('stop')
    await this.#ended
  }
}
