/**
 * All devices of this daemon, and what dead daemons left behind.
 *
 * Operations on one device run one after the other; different devices do not wait for each other.
 */
import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { refusedKernel, UBLK_F_USER_COPY, UBLK_F_ZONED, UblkControl } from '../ublk-native/index.js'
import { errnoName, Geometry, ZoneModelError } from '../zone-model/index.js'
import { Device, type DeviceHost, geometryOptions } from './device.js'
import { deviceUser } from './device-users.js'
import {
  deviceInfo,
  deviceStats,
  refusals,
  unreadableDeviceInfo,
  zoneReport,
} from './device-view.js'
import { DriveImage } from './drive-image.js'
import { DaemonError } from './errors.js'
import type { FaultInfo, FaultOrder } from './fault-orders.js'
import { giveUpZones } from './give-up-zones.js'
import { type DriveDescription, resolveImageOptions } from './image-options.js'
import type { Logger } from './log.js'
import { mediaOptions } from './media-options.js'
import { loadModule } from './module.js'
import { type DeviceOptions, resolveOptions } from './options.js'
import { devicePath } from './paths.js'
import type { DeviceInfo, DeviceStats, Refusal, Verbs, ZoneReport } from './protocol.js'
import { SpaceWatch } from './space-watch.js'
import {
  type DeviceRecord,
  isServed,
  listStateDirectories,
  readRecord,
  removeStateDirectory,
} from './state-directory.js'

const CONTROL_PATH = '/dev/ublk-control'

export class Registry {
  readonly #devices = new Map<number, Device>()
  readonly #log: Logger
  readonly #host: DeviceHost
  readonly #space: SpaceWatch
  #last: Promise<unknown> = Promise.resolve()

  constructor(log: Logger, host: Omit<DeviceHost, 'control'>) {
    this.#log = log
    this.#space = new SpaceWatch(log)
    this.#host = { ...host, control: new UblkControl() }
  }

  get size(): number {
    return this.#devices.size
  }

  #add(device: Device): void {
    this.#devices.set(device.id, device)
    this.#space.add(device)
  }

  /** Log which devices have run out of memory for their data, and which have some again. Cheap: call it often. */
  lookForFull(): void {
    this.#space.look()
  }

  /** One at a time: ublk serialises control commands too, and half-made devices are hard to reason about. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const next = this.#last.then(operation, operation)
    this.#last = next.catch(() => {})
    return next
  }

  /** Throws a DaemonError that says what is missing, before anything is made. */
  async #checkKernel(options: DeviceOptions): Promise<void> {
    const reason = refusedKernel(release())
    if (reason !== null && !options.unsafeKernel) {
      const message = `${reason} Boot another kernel, use \`zslab vm\`, or insist with --unsafe-kernel.`
      throw new DaemonError('DAEMON_ERR_KERNEL', message)
    }
    if (!existsSync(CONTROL_PATH)) await loadModule('ublk_drv')
    if (!existsSync(CONTROL_PATH)) {
      const message = `${CONTROL_PATH} is missing: this kernel has no ublk, or not its module. \`zslab doctor\` says more`
      throw new DaemonError('DAEMON_ERR_NO_UBLK', message)
    }
    const features = await this.#host.control.features()
    if ((features & UBLK_F_ZONED) === 0 || (features & UBLK_F_USER_COPY) === 0) {
      const message =
        'ublk of this kernel has no zoned devices: use Linux 6.6 or newer with CONFIG_BLK_DEV_ZONED'
      throw new DaemonError('DAEMON_ERR_KERNEL', message)
    }
  }

  create(given: Record<string, unknown>): Promise<DeviceInfo> {
    return this.#inTurn(async () => {
      let image: DriveImage | null = null
      try {
        image = findImage(given)
        const options =
          image === null ? resolveOptions(given) : resolveImageOptions(given, describeDrive(image))
        // Before the kernel is asked: what it refuses late, it refuses badly (see device.ts).
        const geometry = Geometry.create(geometryOptions(options))
        await this.#checkKernel(options)
        const device = await Device.create(options, this.#host, image)
        this.#add(device)
        const zones = geometry.zoneCount
        this.#log.info(
          { device: device.id, zones, queues: device.record.queueCount },
          'device created',
        )
        return deviceInfo(device.record, device.geometry, 'live')
      } catch (error) {
        this.#log.warn({ err: error }, 'device not created')
        await image?.end(true)
        throw explain(error, Number(given['id']))
      }
    })
  }

  /** Devices served here, and those whose daemon died. */
  async list(): Promise<DeviceInfo[]> {
    const infos: DeviceInfo[] = []
    for (const id of listStateDirectories()) {
      const info = await this.#describe(id)
      if (info !== null) infos.push(info)
    }
    return infos
  }

  async #describe(id: number): Promise<DeviceInfo | null> {
    const own = this.#devices.get(id)
    if (own !== undefined) return deviceInfo(own.record, own.geometry, 'live')
    const record = readRecord(id)
    if (record === null) return null
    const geometry = this.#geometryOf(record)
    if (geometry === null) return unreadableDeviceInfo(record)
    if (isServed(record)) return deviceInfo(record, geometry, 'live')
    const known = (await this.#host.control.info(id).catch(() => null)) !== null
    return deviceInfo(record, geometry, known && record.options.recovery ? 'orphan' : 'dead')
  }

  /** The geometry of a record, or null when it is none (cut short, or by another version): one must not hide all others. */
  #geometryOf(record: DeviceRecord): Geometry | null {
    try {
      return Geometry.create(geometryOptions(record.options))
    } catch (error) {
      this.#log.warn({ device: record.id, err: error }, 'the record of this device is not valid')
      return null
    }
  }

  async show(id: number): Promise<DeviceInfo> {
    return (await this.#describe(id)) ?? this.#noDevice(id)
  }

  delete(id: number, force: boolean): Promise<Verbs['device.delete']['result']> {
    return this.#inTurn(async () => {
      const user = force ? null : deviceUser(id)
      if (user !== null) {
        const message = `/dev/ublkb${id} is ${user}: umount or release it first, or use --force`
        throw new DaemonError('DAEMON_ERR_BUSY', message)
      }
      this.#space.remove(id)
      const own = this.#devices.get(id)
      const image = (own?.record ?? readRecord(id))?.options?.image ?? null
      if (own === undefined) await this.#deleteOrphan(id)
      else await this.#delete(own)
      this.#log.info({ device: id, image }, 'device deleted')
      return { id, deleted: true, image }
    })
  }

  async #delete(device: Device): Promise<void> {
    const result = await device.delete()
    this.#devices.delete(device.id)
    checkSaved(device.record, result)
  }

  /** Everything that a dead daemon left of a device: the kernel's part and ours. */
  async #deleteOrphan(id: number): Promise<void> {
    const record = readRecord(id)
    if (record === null) this.#noDevice(id)
    if (isServed(record)) {
      const message = `device ${id} is served by another daemon (pid ${record.pid}): delete it there`
      throw new DaemonError('DAEMON_ERR_BUSY', message)
    }
    const { control } = this.#host
    if ((await control.info(id)) !== null) {
      await control.stop(id).catch(() => {})
      await control.delete(id)
    }
    this.#saveImage(record)
    removeStateDirectory(id)
  }

  /** What only the working state of a dead daemon's device has, a drive in an image does not lose. */
  #saveImage(record: DeviceRecord): void {
    const { id, options } = record
    // A record that was cut short has no options.
    if (options?.image == null) return
    const directory = devicePath(id)
    const media = mediaOptions(directory, options, Geometry.create(geometryOptions(options)))
    checkSaved(record, DriveImage.save(directory, { media }, options.image))
    this.#log.info({ device: id, image: options.image }, 'orphan saved in its image')
  }

  recover(id: number): Promise<DeviceInfo> {
    return this.#inTurn(() => this.#recover(id))
  }

  /** A device that this daemon serves already (it recovers what it finds when it starts) is as well as recovered. */
  async #recover(id: number): Promise<DeviceInfo> {
    const own = this.#devices.get(id)
    if (own !== undefined) return deviceInfo(own.record, own.geometry, 'live')
    const record = readRecord(id)
    if (record === null) this.#noDevice(id)
    if (isServed(record)) {
      const message = `device ${id} is served by another daemon (pid ${record.pid}): there is nothing to recover`
      throw new DaemonError('DAEMON_ERR_NOT_ORPHAN', message)
    }
    const device = await Device.recover(id, this.#host)
    this.#add(device)
    this.#log.info({ device: id, formerPid: record.pid }, 'device recovered')
    return deviceInfo(device.record, device.geometry, 'live')
  }

  /** At start: take over what can go on, clear away what cannot. Never fails; what went wrong is in the log. */
  adopt(): Promise<void> {
    return this.#inTurn(async () => {
      for (const id of listStateDirectories()) {
        const record = readRecord(id)
        if (record !== null && isServed(record)) continue
        try {
          const info = record === null ? null : await this.#describe(id)
          if (info?.state === 'orphan') await this.#recover(id)
          else if (record === null) removeStateDirectory(id)
          else await this.#deleteOrphan(id)
        } catch (error) {
          this.#log.error({ device: id, err: error }, 'orphan neither recovered nor deleted')
        }
      }
    })
  }

  /** Before the daemon ends: delete what nobody uses; a device in use stays for the next daemon, if it can. */
  drain(): Promise<void> {
    return this.#inTurn(async () => {
      for (const [id, device] of this.#devices) {
        const user = device.record.options.recovery ? deviceUser(id) : null
        if (user !== null) {
          this.#log.warn({ device: id, user }, 'device in use: left for the next daemon to recover')
          continue
        }
        this.#space.remove(id)
        try {
          await this.#delete(device)
        } catch (error) {
          this.#log.error({ device: id, err: error }, 'device not deleted')
        }
      }
    })
  }

  report(id: number, range: Omit<Verbs['zone.report']['params'], 'id'>): ZoneReport {
    return zoneReport(this.#own(id), range)
  }

  stats(id: number): DeviceStats {
    return deviceStats(this.#own(id))
  }

  explain(id: number, count: number): Refusal[] {
    return refusals(this.#own(id), count)
  }

  offline(id: number, first: number, count: number): { changed: number } {
    return giveUpZones(this.#own(id), first, count, 'offline')
  }

  readOnly(id: number, first: number, count: number): { changed: number } {
    return giveUpZones(this.#own(id), first, count, 'read-only')
  }

  /** A seed that nobody gave is random, and part of the answer. */
  addFault(id: number, order: FaultOrder): FaultInfo {
    const added = this.#own(id).faults.add(order, randomInt(2 ** 32))
    this.#log.info({ device: id, fault: added }, 'fault added')
    return added
  }

  listFaults(id: number): FaultInfo[] {
    return this.#own(id).faults.list()
  }

  clearFaults(id: number, fault: number | undefined): { cleared: number[] } {
    const cleared = this.#own(id).faults.clear(fault)
    this.#log.info({ device: id, cleared }, 'faults cleared')
    return { cleared }
  }

  #own(id: number): Device {
    const device = this.#devices.get(id)
    if (device !== undefined) return device
    const record = readRecord(id)
    if (record === null) this.#noDevice(id)
    const message = `device ${id} has no living daemon: zslab device recover ${id}`
    throw new DaemonError('DAEMON_ERR_NO_DEVICE', message)
  }

  #noDevice(id: number): never {
    const message = `there is no device ${id}: \`zslab device list\` shows those that are`
    throw new DaemonError('DAEMON_ERR_NO_DEVICE', message)
  }
}

/** The image that is in the folder of --image, locked; null when none is asked for, or is to be made. */
function findImage(given: Readonly<Record<string, unknown>>): DriveImage | null {
  const { image } = given
  // A value that is no path is the option table's to refuse.
  return typeof image === 'string' && image.startsWith('/') ? DriveImage.find(image) : null
}

function describeDrive({ description }: DriveImage): DriveDescription {
  const { queueCount, depth, device } = description
  return { options: device as DeviceOptions, queueCount, depth }
}

function checkSaved({ id, options }: DeviceRecord, result: number): void {
  if (result >= 0) return
  const message = `the last flush of device ${id} failed (${errnoName(-result)}): ${options.image} is as at the flush before; what is newer waits in ${devicePath(id)}: mend the disk, then \`zslab device delete ${id}\` once more`
  throw new DaemonError('DAEMON_ERR_IMAGE', message)
}

/** The zone model's names of options → the flags that people type. */
const FLAGS: Readonly<Record<string, string>> = {
  zoneCount: '--zones',
  zoneSizeBytes: '--zone-size',
  zoneCapacityBytes: '--zone-capacity',
  conventionalCount: '--conventional',
  maxOpen: '--max-open',
  maxActive: '--max-active',
  maxAppendBytes: '--max-append',
  blockSizeBytes: '--block-size',
}

function withFlags(message: string): string {
  return message.replace(/\b[a-z]+[A-Z]\w*/g, name => FLAGS[name] ?? name)
}

const RESOURCES = ['ENOMEM', 'ENOSPC', 'EMFILE', 'ENFILE', 'EAGAIN']

/** What went wrong while a device was made → the error that the user sees. */
function explain(error: unknown, id: number): unknown {
  if (error instanceof DaemonError) return error
  if (error instanceof ZoneModelError) {
    return new DaemonError('DAEMON_ERR_OPTION', withFlags(error.message), { cause: error })
  }
  const { code, message } = error as { code?: string; message: string }
  const cause = { cause: error }
  if (code !== undefined && RESOURCES.includes(code)) {
    return new DaemonError('DAEMON_ERR_RESOURCES', `out of resources: ${message}`, cause)
  }
  // By name: that of a worker comes as a copy, without its class.
  if ((error as Error).name === 'ImageError') {
    return new DaemonError('DAEMON_ERR_IMAGE', `${code}: ${message}`, cause)
  }
  if ((error as Error).name !== 'UblkError') return error
  if (code === 'EACCES' || code === 'EPERM') {
    return new DaemonError(
      'DAEMON_ERR_PERMISSION',
      `${message}: run with sudo, or use \`zslab vm\``,
      cause,
    )
  }
  if (code === 'EEXIST') {
    return new DaemonError(
      'DAEMON_ERR_DEVICE_EXISTS',
      `device ${id} is there already: choose another --id`,
      cause,
    )
  }
  return new DaemonError('DAEMON_ERR_KERNEL_CALL', message, cause)
}
