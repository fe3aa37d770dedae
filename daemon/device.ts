/**
 * One ublk device from ADD_DEV to DEL_DEV.
 *
 * The order of things is the kernel's (Documentation/block/ublk.rst) and learned the hard way:
 * - START_DEV asks the queues for a zone report before it returns, so they must be serving by then;
 * - a START_DEV that fails after that report crashes some kernels, so everything is validated before it;
 * - DEL_DEV waits for whoever still holds the char device, so workers end first and the descriptor is closed.
 * Whatever fails on the way, what was done before it is undone.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { slotBytesOf } from '../image/index.js'
import {
  closeFd,
  type NativeMedia,
  openCharDevice,
  UBLK_F_CMD_IOCTL_ENCODE,
  UBLK_F_SUPPORT_ZERO_COPY,
  UBLK_F_USER_COPY,
  UBLK_F_USER_RECOVERY,
  UBLK_F_USER_RECOVERY_REISSUE,
  UBLK_F_ZONED,
  type UblkControl,
} from '../ublk-native/index.js'
import { Geometry } from '../zone-model/index.js'
import { COUNTER_NO_SPACE } from './counters.js'
import { DeviceMemory } from './device-memory.js'
import { deviceParams, geometryOptions, MAX_IO_BYTES } from './device-params.js'
import { DeviceTier } from './device-tier.js'
import { DriveImage } from './drive-image.js'
import { DaemonError } from './errors.js'
import { FaultOrders } from './fault-orders.js'
import { compressionOf, mediaOptions } from './media-options.js'
import type { SharedTask } from './open-shared.js'
import type { DeviceOptions } from './options.js'
import { devicePath } from './paths.js'
import { loseUnflushed, type PowerCutLoss } from './power-cut.js'
import { QueuePool, type SpawnQueue } from './queue-pool.js'
import type { WorkerTask } from './queue-worker.js'
import { SharedState } from './shared-state.js'
import {
  createStateDirectory,
  type DeviceRecord,
  newRecord,
  readRecord,
  removeStateDirectory,
  writeRecord,
} from './state-directory.js'
import { type Delay, startRecovery, waitUntilQuiesced } from './takeover.js'
import type { TierHost } from './tier-thread.js'

/** What a device needs of the daemon. */
export interface DeviceHost extends TierHost {
  readonly control: UblkControl
  /** The disk of an image refused a flush: -errno. */
  readonly onFlushFailure: (id: number, result: number) => void
  readonly delay: Delay
  /** Another way to start a queue's thread than a worker of Node: for tests. */
  readonly spawnQueue?: SpawnQueue | undefined
}

function flagsOf(options: DeviceOptions): number {
  const base = UBLK_F_ZONED | UBLK_F_USER_COPY | UBLK_F_CMD_IOCTL_ENCODE
  return options.recovery ? base | UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE : base
}

export class Device {
  readonly path: string
  readonly #host: DeviceHost
  #memory: DeviceMemory | null = null
  #charFd = -1
  #pool: QueuePool | null = null
  #tier: DeviceTier | null = null

  private constructor(
    readonly record: DeviceRecord,
    readonly geometry: Geometry,
    private readonly image: DriveImage | null,
    host: DeviceHost,
  ) {
    this.path = `/dev/ublkb${record.id}`
    this.#host = host
  }

  get id(): number {
    return this.record.id
  }

  get memoryLimitBytes(): number {
    return this.record.options.memoryLimit ?? 0
  }

  get state(): SharedState {
    return this.#memory!.state
  }

  /** Writes that got ENOSPC since the device was made. */
  noSpaceWrites(): number {
    let count = 0
    for (let q = 0; q < this.record.queueCount; q++)
      count += this.state.counters(q)[COUNTER_NO_SPACE]!
    return count
  }

  /** Memory that the data takes, without what resets have kept. */
  usedBytes(): number {
    const { memoryBytes, spareBytes } = this.media.stats()
    return memoryBytes - spareBytes
  }

  get faults(): FaultOrders {
    return new FaultOrders(this.#memory!.faultWords, this.geometry.zoneCount)
  }

  get media(): NativeMedia {
    return this.#memory!.media
  }

  /** End the wait of every queue's worker once. */
  kick(): void {
    this.#pool?.kick()
  }

  /** Slots of the tier; 0: there is none. */
  get tierSlots(): number {
    return this.#tier?.slotCount ?? 0
  }

  /**
   * Make a new device and serve it; `found` is the image that it is to live in, when that is there already. Rejects with
   * nothing left behind: an image that was there is let go of.
   */
  static async create(
    options: DeviceOptions,
    host: DeviceHost,
    found: DriveImage | null = null,
  ): Promise<Device> {
    const geometry = Geometry.create(geometryOptions(options))
    let image = found
    let tier: DeviceTier | null = null
    try {
      tier = found === null ? DeviceTier.claim(options) : DeviceTier.ofImage(found, options)
      if (options.image !== null) image ??= makeImage(options.image, options, geometry, tier)
      return await Device.#add(options, geometry, { image, tier }, host)
    } catch (error) {
      tier?.close()
      await image?.end(true)
      if (found === null) tier?.discard()
      if (found === null) image?.forget()
      throw error
    }
  }

  /** A drive in memory whose power was cut, again: under its old number, with what it still has. */
  static async restart({ record, geometry }: Device, host: DeviceHost): Promise<Device> {
    const tier = DeviceTier.reclaim(record)
    try {
      const options = { ...record.options, id: record.id }
      return await Device.#add(options, geometry, { image: null, tier }, host, record)
    } catch (error) {
      tier?.close()
      tier?.discard()
      throw error
    }
  }

  /** `kept`: its state folder is there, and goes on. */
  static async #add(
    options: DeviceOptions,
    geometry: Geometry,
    { image, tier }: { image: DriveImage | null; tier: DeviceTier | null },
    host: DeviceHost,
    kept: DeviceRecord | null = null,
  ): Promise<Device> {
    const { control } = host
    // Of Linux 6.15; older kernels take the flag away. Of use for the tier only (docs/BENCHMARKS.md).
    const lending = tier === null ? 0 : UBLK_F_SUPPORT_ZERO_COPY
    const added = await control.addDevice({
      id: options.id,
      queueCount: options.queues,
      depth: options.depth,
      maxIoBytes: MAX_IO_BYTES,
      flags: flagsOf(options) | lending,
    })
    let device: Device | null = null
    try {
      const missing = flagsOf(options) & ~added.flags
      if (missing !== 0) {
        const message = `this kernel does not offer ublk features 0x${missing.toString(16)}: use Linux 6.6 or newer`
        throw new DaemonError('DAEMON_ERR_KERNEL', message)
      }
      if (kept === null) createStateDirectory(added.id)
      const { queueCount, depth, maxIoBytes } = added
      const { queueCount: tableQueueCount, depth: tableDepth } = kept ?? image?.description ?? added
      const sizes = { queueCount, depth, maxIoBytes, tableQueueCount, tableDepth }
      const record = newRecord(added.id, options, sizes)
      if (tier !== null) record.tierIsMade = tier.isMade
      record.lends = (added.flags & lending) !== 0
      device = new Device(record, geometry, image, host)
      device.#tier = tier
      writeRecord(device.record)
      image?.restore(devicePath(added.id))
      device.#map(image === null && kept === null)
      await control.setParams(added.id, deviceParams(geometry, image !== null))
      await device.#startQueues()
      await control.start(added.id, process.pid)
      return device
    } catch (error) {
      if (device !== null) await device.#abandon()
      await control.delete(added.id).catch(() => {})
      removeStateDirectory(added.id)
      throw error
    }
  }

  /**
   * Take over the device of a daemon that died. The kernel then delivers again what was in flight. When it fails, the record is
   * still the dead daemon's: the device is an orphan as before, to be recovered again or deleted.
   */
  static async recover(id: number, host: DeviceHost): Promise<Device> {
    const old = readRecord(id)
    if (old?.options.recovery !== true) {
      const message = `/dev/ublkb${id} cannot be recovered (made with --no-recovery, or its state is gone): zslab device delete ${id}`
      throw new DaemonError('DAEMON_ERR_NOT_RECOVERABLE', message)
    }
    await waitUntilQuiesced(id, host.control, host.delay)
    const geometry = Geometry.create(geometryOptions(old.options))
    await startRecovery(id, host.control, host.delay)
    const record = newRecord(id, old.options, old)
    if (old.tierIsMade !== undefined) record.tierIsMade = old.tierIsMade
    record.lends = old.lends === true
    const image = old.options.image == null ? null : DriveImage.find(old.options.image)
    const device = new Device(record, geometry, image, host)
    try {
      const { options } = old
      device.#tier = image === null ? DeviceTier.reclaim(old) : DeviceTier.ofImage(image, options)
      device.#map(false)
      device.state.table.recover()
      await device.#startQueues()
      await host.control.endRecovery(id, process.pid)
      writeRecord(record)
      return device
    } catch (error) {
      await device.#abandon()
      throw error
    }
  }

  /**
   * Stop the disk (what is in flight is served first), end the workers, delete it, forget its state. An image stays, with all
   * that was written. Gives 0, or the -errno of its last flush.
   */
  async delete(): Promise<number> {
    const { control } = this.#host
    const tier = this.#tier
    // It waits for turns of the queues, and those end by themselves when the disk stops.
    await tier?.stop()
    await control.stop(this.id)
    const result = await this.#abandon(false)
    await control.delete(this.id)
    // What the image did not take is in the state folder only: nobody's now, to be deleted again when the disk is mended.
    if (result < 0) writeRecord({ ...this.record, pid: 0, startTicks: 0 })
    else removeStateDirectory(this.id)
    if (this.image === null) tier?.discard()
    return result
  }

  /**
   * Stop the disk, and forget what was not flushed: of an image what it does not have, of a drive in memory as much as the seed
   * says (`lost`). `gone` resolves when nobody has the old disk any more, and a new one can be made.
   */
  async cutPower(seed: number): Promise<{ gone: Promise<void>; lost: PowerCutLoss | null }> {
    const { control } = this.#host
    await this.#tier?.stop()
    await control.stop(this.id)
    await this.#releaseQueues(true)
    const { image } = this.record.options
    const { table } = this.state
    const { flushMarks } = this.#memory!
    const lost =
      image == null ? loseUnflushed(table, this.geometry, this.media, flushMarks, seed) : null
    this.#unmap()
    this.#tier?.close()
    // A daemon that dies now finds nothing to save.
    if (image != null) rmSync(join(devicePath(this.id), 'table'))
    return { gone: control.delete(this.id), lost }
  }

  /**
   * End the workers and let go of everything; the kernel's device and the state folder stay. Unless `isCut`, what an image does
   * not have yet is brought there, and the tier of a drive in memory is emptied. Gives 0, or the -errno of that.
   */
  async #abandon(isCut = true): Promise<number> {
    await this.#tier?.stop()
    const result = await this.#releaseQueues(isCut)
    if (!isCut) this.#tier?.empty(this.media, this.geometry)
    this.#unmap()
    this.#tier?.close()
    return result
  }

  #map(create: boolean): void {
    this.#memory = new DeviceMemory(this.#shared(), this.geometry, create)
    this.#tier?.divide(this.media.slotBytes, this.geometry)
  }

  #unmap(): void {
    this.#memory?.close()
    this.#memory = null
  }

  /** What every thread of this device is given. */
  #shared(): SharedTask {
    const { id, tableQueueCount, tableDepth, options } = this.record
    return {
      directory: devicePath(id),
      geometry: geometryOptions(options),
      tableQueueCount,
      tableDepth,
      media: mediaOptions(devicePath(id), options, this.geometry),
    }
  }

  async #startQueues(): Promise<void> {
    const { id, queueCount, depth, maxIoBytes, options } = this.record
    this.#charFd = await openCharDevice(id)
    const shared = this.#shared()
    const task = {
      ...shared,
      charFd: this.#charFd,
      queueCount,
      depth,
      maxIoBytes,
      lends: this.record.lends === true,
      latency: options.latency ?? 'none',
      tickets: this.image?.ticketMemory ?? null,
    }
    const tasks: WorkerTask[] = []
    for (let queueId = 0; queueId < queueCount; queueId++) tasks.push({ ...task, queueId })
    // Held before it has started: if it fails, those workers that run must be reached and ended.
    this.#pool = new QueuePool(this.#host.onWorkerDeath, this.#host.spawnQueue)
    await this.#pool.start(tasks)
    const { kickFds } = this.#pool
    await this.image?.startFlusher(
      { ...shared, kickFds },
      {
        onDeath: this.#host.onWorkerDeath,
        onFailure: result => this.#host.onFlushFailure(id, result),
      },
    )
    await this.#tier?.start({ ...shared, kickFds, tickets: task.tickets }, this.#host)
  }

  async #releaseQueues(isCut: boolean): Promise<number> {
    if (this.#pool !== null) {
      this.state.stopRequested = true
      this.#pool.kick()
      await this.#pool.ended()
    }
    // After the queues, so that its last flush has everything; before their kicks are gone.
    const result = (await this.image?.end(isCut)) ?? 0
    this.#pool?.release()
    this.#pool = null
    if (this.#charFd >= 0) closeFd(this.#charFd)
    this.#charFd = -1
    return result
  }
}

/** None of the drive's options is left open: what a default is may change. */
function makeImage(
  directory: string,
  options: DeviceOptions,
  geometry: Geometry,
  tier: DeviceTier | null,
): DriveImage {
  const { queues: queueCount, depth } = options
  const made = geometryOptions(options)
  const { zoneCapacityBytes: zoneCapacity, maxAppendBytes: maxAppend } = made
  tier?.divide(slotBytesOf(made.zoneSizeBytes), geometry)
  const description = {
    geometry: made,
    queueCount,
    depth,
    tableBytes: SharedState.bytesNeeded(geometry, queueCount, depth),
    compression: compressionOf(options).compression,
    device: { ...options, zoneCapacity, maxAppend },
  }
  return DriveImage.make(directory, description, tier?.forImage() ?? null)
}
