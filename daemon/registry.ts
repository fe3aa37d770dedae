/**
 * All devices of this daemon, and what dead daemons left behind.
 *
 * Operations on one device run one after the other; different devices do not wait for each other.
 */
import { randomInt } from 'node:crypto'
import { UblkControl } from '../ublk-native/index.js'
import { Geometry } from '../zone-model/index.js'
import { Device, type DeviceHost } from './device.js'
import { geometryOptions } from './device-params.js'
import { deviceUser } from './device-users.js'
import {
  deviceInfo,
  deviceStats,
  refusals,
  unreadableDeviceInfo,
  zoneReport,
} from './device-view.js'
import type { DriveImage } from './drive-image.js'
import { DaemonError } from './errors.js'
import { explainError } from './explain-error.js'
import type { FaultInfo, FaultOrder } from './fault-orders.js'
import { giveUpZones } from './give-up-zones.js'
import { checkSaved, describeDrive, findImage, saveImage } from './image-keeping.js'
import { resolveImageOptions } from './image-options.js'
import { checkKernel } from './kernel-check.js'
import type { Logger } from './log.js'
import { type DeviceOptions, resolveOptions } from './options.js'
import type { DeviceInfo, DeviceStats, Refusal, Verbs, ZoneReport } from './protocol.js'
import { Recordings } from './recordings.js'
import { SpaceWatch } from './space-watch.js'
import {
  type DeviceRecord,
  isServed,
  listStateDirectories,
  readRecord,
  removeStateDirectory,
} from './state-directory.js'
import { discardTier } from './tier-file.js'

export class Registry {
  readonly #devices = new Map<number, Device>()
  readonly #log: Logger
  readonly #host: DeviceHost
  readonly #space: SpaceWatch
  /** Devices whose power was cut, and that somebody still uses. */
  readonly #off = new Map<number, DeviceRecord>()
  readonly recordings: Recordings
  #last: Promise<unknown> = Promise.resolve()

  constructor(log: Logger, host: Omit<DeviceHost, 'control'>) {
    this.#log = log
    this.#space = new SpaceWatch(log)
    this.#host = { ...host, control: new UblkControl() }
    this.recordings = new Recordings(id => this.#own(id), host.delay)
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

  create(given: Record<string, unknown>): Promise<DeviceInfo> {
    return this.#inTurn(async () => {
      let image: DriveImage | null = null
      try {
        image = findImage(given)
        const options =
          image === null ? resolveOptions(given) : resolveImageOptions(given, describeDrive(image))
        // Before the kernel is asked: what it refuses late, it refuses badly (see device.ts).
        const geometry = Geometry.create(geometryOptions(options))
        await checkKernel(this.#host.control, options)
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
        throw explainError(error, Number(given['id']))
      }
    })
  }

  /** Devices served here, and those whose daemon died. */
  async list(): Promise<DeviceInfo[]> {
    const infos: DeviceInfo[] = []
    for (const id of new Set([...listStateDirectories(), ...this.#off.keys()])) {
      const info = await this.#describe(id)
      if (info !== null) infos.push(info)
    }
    return infos
  }

  async #describe(id: number): Promise<DeviceInfo | null> {
    const own = this.#devices.get(id)
    if (own !== undefined) return deviceInfo(own.record, own.geometry, 'live')
    const off = this.#off.get(id)
    if (off !== undefined)
      return deviceInfo(off, Geometry.create(geometryOptions(off.options)), 'off')
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
    await this.recordings.end(device.id)
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
    if (saveImage(record))
      this.#log.info({ device: id, image: record.options.image }, 'orphan saved')
    removeStateDirectory(id)
    // A record that makes no sense may have no options. That of an image is a part of it.
    const { tier: path, image }: Partial<DeviceOptions> = record.options ?? {}
    if (typeof path === 'string' && image == null) discardTier(path, record.tierIsMade === true)
  }

  /**
   * The drive loses its power and gets it back: what was not flushed is gone, nothing is open. The block device goes and comes
   * back, so that the kernel knows nothing of before. While a file system holds the old one it stays off: then this resolves
   * with who holds it, and it comes back when that lets go. Of a drive in memory a seed says how much is gone.
   */
  async powerCut(id: number, given?: number): Promise<Verbs['device.power-cut']['result']> {
    const user = deviceUser(id)
    const device = this.#own(id)
    const isInMemory = device.record.options.image == null
    if (!isInMemory && given !== undefined) {
      const message = `--seed ${given}: a drive in an image loses just what was not flushed: leave the option out`
      throw new DaemonError('DAEMON_ERR_OPTION', message)
    }
    const seed = isInMemory ? (given ?? randomInt(2 ** 32)) : null
    const { gone, lost } = await this.#inTurn(async () => {
      // While there is still something to look at.
      this.#space.remove(id)
      const cut = await device.cutPower(seed ?? 0)
      this.#devices.delete(id)
      this.#off.set(id, device.record)
      this.#log.info({ device: id, user, seed, lost: cut.lost }, 'power cut')
      return cut
    })
    const back = gone.then(() => this.#inTurn(() => this.#powerOn(device)))
    if (user === null) await back
    else back.catch(error => this.#log.error({ device: id, err: error }, 'no power any more'))
    return { id, state: user === null ? 'live' : 'off', user, seed, lost }
  }

  async #powerOn(device: Device): Promise<void> {
    const { id, options } = device.record
    try {
      if (options.image == null) this.#add(await Device.restart(device, this.#host))
      else {
        removeStateDirectory(id)
        const image = findImage({ image: options.image })
        this.#add(await Device.create({ ...options, id }, this.#host, image))
      }
    } finally {
      this.#off.delete(id)
    }
    this.#log.info({ device: id }, 'power is back')
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
