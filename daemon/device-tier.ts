/**
 * The tier of one device from its claim to its end: the file, its slots, the thread that fills it.
 *
 * That of a device in memory is emptied when the device is deleted. That of an image stays as it is, with the image: it is made
 * with it (claim(), divide(), then Image.create() gives it its head), and afterwards found through it (ofImage()).
 */
import { eraseTierHead, type ImageTier, TIER_HEAD_BYTES } from '../image/index.js'
import type { NativeMedia } from '../ublk-native/index.js'
import type { Geometry } from '../zone-model/index.js'
import type { DriveImage } from './drive-image.js'
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
    return new DeviceTier(TierFile.claim(options.tier!, options.forceTier), options)
  }

  /** Of a drive that is in an image; null when it has none. Throws DaemonError DAEMON_ERR_TIER. */
  static ofImage({ tier }: DriveImage, options: DeviceOptions): DeviceTier | null {
    if (tier === null) return null
    return new DeviceTier(TierFile.hold(tier.path, tier.slotCount), options)
  }

  /** For a device in memory that a dead daemon left. Throws DaemonError DAEMON_ERR_TIER. */
  static reclaim({ options, tierIsMade }: DeviceRecord): DeviceTier | null {
    // A device made before tiers were known has no such option.
    const path = options.tier ?? null
    if (path === null) return null
    return new DeviceTier(TierFile.reclaim(path, tierIsMade === true), options)
  }

  get isMade(): boolean {
    return this.#file.isMade
  }

  get slotCount(): number {
    return this.#file.slotCount
  }

  /** Before it is filled, by the length of a slot. Once. Throws DaemonError when there is not room for one zone. */
  divide(slotBytes: number, { zoneCount, conventionalCount }: Geometry): void {
    if (this.slotCount > 0) return
    const headBytes = this.#options.image == null ? 0 : TIER_HEAD_BYTES
    this.#file.divide(slotBytes, zoneCount - conventionalCount, headBytes)
  }

  /** What an image that is made now is to know of it. After divide(). */
  forImage(): ImageTier {
    return { path: this.#file.path, slotCount: this.slotCount }
  }

  /** Begin to fill it. The queues must be serving, and of an image the flusher. */
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

  /** The device is being deleted and serves nobody any more: the tier's blocks are given back, but for those of an image. */
  empty(media: NativeMedia, geometry: Geometry): void {
    if (this.#options.image != null) return
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

  /** After close(): the device is gone, or was never made, and nothing of it is left in an image. */
  discard(): void {
    if (this.#options.image != null && !this.isMade) eraseTierHead(this.#file.path)
    discardTier(this.#file.path, this.isMade)
  }
}
