/**
 * The tier of one device from its claim to its end: the file, its slots, the thread that fills it.
 */
import type { NativeMedia } from '../ublk-native/index.js'
import type { Geometry } from '../zone-model/index.js'
import { DaemonError } from './errors.js'
import type { DeviceOptions } from './options.js'
import type { DeviceRecord } from './state-directory.js'
import { discardTier, TierFile } from './tier-file.js'
import { type TierHost, TierThread } from './tier-thread.js'
import type { TierTask } from './tier-worker.js'

/** What of the thread's task the device knows; the rest is the tier's. */
export type TierShare = Omit<TierTask, 'slotCount' | 'coldMs' | 'budgetBytesPerSecond'>

export class DeviceTier {
  readonly #file: TierFile
  readonly #options: DeviceOptions
  #thread: TierThread | null = null

  private constructor(file: TierFile, options: DeviceOptions) {
    this.#file = file
    this.#options = options
  }

  /** For a new device; null when it is to have none. Throws DaemonError DAEMON_ERR_TIER. */
  static claim(options: DeviceOptions): DeviceTier | null {
    // Options of a device from an image that was made before tiers were known.
    if ((options.tier ?? null) === null) return null
    if (options.image !== null) {
      const message = `--tier ${options.tier} with --image ${options.image}: a drive in an image is on a disk already; leave one of the two away`
      throw new DaemonError('DAEMON_ERR_TIER', message)
    }
    return new DeviceTier(TierFile.claim(options.tier!, options.forceTier), options)
  }

  /** For a device that a dead daemon left. Throws DaemonError DAEMON_ERR_TIER. */
  static reclaim({ options, tierIsMade }: DeviceRecord): DeviceTier | null {
    // A device made before tiers were known has no such option.
    const path = options.tier ?? null
    return path === null
      ? null
      : new DeviceTier(TierFile.reclaim(path, tierIsMade === true), options)
  }

  get isMade(): boolean {
    return this.#file.isMade
  }

  get slotCount(): number {
    return this.#file.slotCount
  }

  /** Once its media is open. Throws DaemonError when there is not room for one zone. */
  divide(media: NativeMedia, geometry: Geometry): void {
    this.#file.divide(media.slotBytes, geometry.zoneCount - geometry.conventionalCount)
  }

  /** Begin to fill it. The queues must be serving. */
  async start(share: TierShare, host: TierHost): Promise<void> {
    const { tierAfter, tierBudget } = this.#options
    const task = {
      ...share,
      slotCount: this.slotCount,
      coldMs: tierAfter * 1000,
      budgetBytesPerSecond: tierBudget,
    }
    this.#thread = await TierThread.start(task, host)
  }

  /** Before the queues end: it waits for their turns. */
  async stop(): Promise<void> {
    await this.#thread?.stop()
    this.#thread = null
  }

  /** The device is being deleted and serves nobody any more: the tier's blocks are given back. */
  empty(media: NativeMedia, geometry: Geometry): void {
    const zoneBytes = geometry.zoneSizeSectors * 512
    for (const [region, { slot }] of media.stats().regions.entries()) {
      if (slot === 0) continue
      media.recycle(region * zoneBytes, zoneBytes)
      media.dropSlot(region)
    }
  }

  /** Let go of the file; its content stays. */
  close(): void {
    this.#file.close()
  }

  /** After close(): the device is gone, or was never made. */
  discard(): void {
    discardTier(this.#file.path, this.isMade)
  }
}
