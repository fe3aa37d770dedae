/**
 * The image that a device lives in, from the daemon's side: found or made, locked, its working state laid out, its flusher run.
 *
 * Order of a device's life: open(), restore(), startFlusher() once the queues serve, end(). After SIGKILL: open() and
 * startFlusher(), because the working state is whole; save() when nobody will serve the device again.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Image, type ImageDescription, type ImageTier, type TierChoice } from '../image/index.js'
import { openMedia } from '../ublk-native/index.js'
import { EIO } from '../zone-model/index.js'
import { FLUSH_TICKETS_BYTES, FlushTickets } from './flush-tickets.js'
import type { FlusherTask } from './flusher-worker.js'

const ENTRY = new URL('./flusher-worker.js', import.meta.url)

interface Message {
  ready?: true
  failed?: number
  done?: number
}

/** What the flusher is told by the device. */
export type FlusherSetup = Omit<FlusherTask, 'tickets' | 'imageDirectory'>

export interface FlusherEvents {
  /** The flusher has died of a bug. */
  readonly onDeath: (error: unknown) => void
  /** The disk refused a round: -errno. */
  readonly onFailure: (result: number) => void
}

export class DriveImage {
  /** For the queues: how they ask for a flush. */
  readonly ticketMemory = new SharedArrayBuffer(FLUSH_TICKETS_BYTES)
  #flusherEnded: Promise<number> | null = null

  private constructor(
    readonly directory: string,
    private readonly image: Image,
  ) {}

  /** Takes the lock of the image in a directory; null when there is nothing in it. Throws ImageError. */
  static find(directory: string): DriveImage | null {
    if (!existsSync(directory) || readdirSync(directory).length === 0) return null
    return new DriveImage(directory, Image.open(directory))
  }

  /** Makes an image and takes its lock. Throws ImageError. */
  static make(
    directory: string,
    description: ImageDescription,
    tier: TierChoice | null,
  ): DriveImage {
    Image.create(directory, description, undefined, tier)
    return new DriveImage(directory, Image.open(directory))
  }

  get description(): ImageDescription {
    return this.image.description
  }

  get tier(): ImageTier | null {
    return this.image.tier
  }

  /** The device's working state as it is after power came back. Throws ImageError. */
  restore(stateDirectory: string): void {
    this.image.restore(stateDirectory)
  }

  /** Resolves when flushes are served. */
  async startFlusher(setup: FlusherSetup, events: FlusherEvents): Promise<void> {
    const task: FlusherTask = {
      ...setup,
      imageDirectory: this.directory,
      tickets: this.ticketMemory,
    }
    const worker = new Worker(ENTRY, { workerData: task, name: 'flusher' })
    let isServing = false
    let result = -EIO
    this.#flusherEnded = new Promise(resolve => worker.on('exit', () => resolve(result)))
    await new Promise<void>((resolve, reject) => {
      worker.on('message', ({ ready, failed, done }: Message) => {
        if (done !== undefined) result = done
        if (failed !== undefined) events.onFailure(failed)
        if (ready !== true) return
        isServing = true
        resolve()
      })
      worker.on('error', error => (isServing ? events.onDeath(error) : reject(error)))
    })
  }

  /**
   * Ends the flusher and lets go of the lock. `isCut`: as if power had gone, else after a last flush. The queues have ended.
   * Gives 0, or the -errno of that flush.
   */
  async end(isCut = false): Promise<number> {
    new FlushTickets(this.ticketMemory).stop(isCut)
    const result = (await this.#flusherEnded) ?? 0
    this.#flusherEnded = null
    this.image.close({ clean: false })
    return result
  }

  /** After end(): empties the folder of an image that was made for a device that then could not be made. */
  forget(): void {
    for (const name of readdirSync(this.directory)) rmSync(join(this.directory, name))
  }

  /** What a dead daemon's device has in its working state → the image. Gives 0 or -errno. Throws ImageError. */
  static save(
    stateDirectory: string,
    setup: Pick<FlusherSetup, 'media'>,
    directory: string,
  ): number {
    if (!existsSync(join(stateDirectory, 'table'))) return 0
    const media = openMedia({ ...setup.media, create: false })
    try {
      const image = Image.open(directory)
      image.attach(stateDirectory, media)
      return image.close({ clean: true })
    } finally {
      media.close()
    }
  }
}
