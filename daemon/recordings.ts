/**
 * Which devices are being recorded, and for whom: one recording a device, and it ends with its client's connection.
 */
import { release } from 'node:os'
import type { Device } from './device.js'
import { deviceInfo, zoneReport } from './device-view.js'
import { DaemonError } from './errors.js'
import { devicePath } from './paths.js'
import type { TraceBatch, TraceEnd, TraceStart, ZoneRun } from './protocol.js'
import { Recording } from './recording.js'
import { zoneRuns } from './zone-runs.js'

interface Held {
  readonly starting: Promise<Recording>
  /** null while it begins. */
  recording: Recording | null
  readonly owner: AbortSignal
}

function zonesOf(device: Device): ZoneRun[] {
  return zoneRuns(
    zoneReport(device, {}).zones.map(({ condition, writePointerSector, startSector }) => ({
      condition,
      wp: writePointerSector === null ? null : writePointerSector - startSector,
    })),
  )
}

export class Recordings {
  readonly #held = new Map<number, Held>()
  readonly #find: (id: number) => Device
  readonly #delay: (milliseconds: number) => Promise<void>
  #last = 0

  /** `find` throws when this daemon has no such device. */
  constructor(find: (id: number) => Device, delay: (milliseconds: number) => Promise<void>) {
    this.#find = find
    this.#delay = delay
  }

  /** `owner` is aborted when the client's connection closes. Throws DAEMON_ERR_TRACE when the device is recorded already. */
  async start(id: number, owner: AbortSignal): Promise<TraceStart> {
    const device = this.#find(id)
    if (this.#held.has(id)) {
      const message = `device ${id} is being recorded already: end that recording first`
      throw new DaemonError('DAEMON_ERR_TRACE', message)
    }
    const before = zonesOf(device)
    this.#last++
    const starting = Recording.start(device, this.#last, {
      directory: devicePath(id),
      delay: this.#delay,
      nowUs: () => Number(process.hrtime.bigint() / 1000n),
    })
    const held: Held = { starting, recording: null, owner }
    this.#held.set(id, held)
    try {
      held.recording = await starting
      const zones = zonesOf(device)
      const isBusy = held.recording.hasRequests || JSON.stringify(zones) !== JSON.stringify(before)
      owner.addEventListener('abort', () => this.#forget(id, held))
      if (owner.aborted) this.#forget(id, held)
      const info = deviceInfo(device.record, device.geometry, 'live')
      return { device: info, kernel: release(), startedMs: Date.now(), isBusy, zones }
    } catch (error) {
      this.#forget(id, held)
      throw error
    }
  }

  /** Throws DAEMON_ERR_TRACE when this client records nothing of the device. */
  read(id: number, owner: AbortSignal): TraceBatch {
    this.#find(id)
    return this.#own(id, owner).read()
  }

  async stop(id: number, owner: AbortSignal): Promise<TraceEnd> {
    const device = this.#find(id)
    const recording = this.#own(id, owner)
    const held = this.#held.get(id)
    const batch = await recording.stop()
    if (this.#held.get(id) !== held) this.#nothing(id)
    this.#held.delete(id)
    return { ...batch, zones: zonesOf(device) }
  }

  /** Before a device goes: its recording ends, also one that has only begun to begin. */
  async end(id: number): Promise<void> {
    const held = this.#held.get(id)
    if (held === undefined) return
    await held.starting.catch(() => {})
    this.#forget(id, held)
  }

  /** Of another recording of the device than `held` nothing is touched. */
  #forget(id: number, held: Held): void {
    if (this.#held.get(id) !== held) return
    this.#held.delete(id)
    held.recording?.close()
  }

  #own(id: number, owner: AbortSignal): Recording {
    const held = this.#held.get(id)
    return held?.recording != null && held.owner === owner ? held.recording : this.#nothing(id)
  }

  #nothing(id: number): never {
    const message = `no recording of device ${id} for this client: it never began, or the device went away meanwhile`
    throw new DaemonError('DAEMON_ERR_TRACE', message)
  }
}
