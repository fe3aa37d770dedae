/**
 * Writes and resets of zones, in order within each zone, and what is not done yet.
 *
 * On a drive with direct access everything is done when the call returns. Elsewhere a zone's writes follow each other
 * (the write pointer demands it), zones go side by side, and `settled` waits for all. A failure is told once, by zone.
 */
import type { ZonedDevice } from '../zone-model/index.js'
import { PAGE_BYTES, PAGE_SECTORS } from './layout.js'

export class ZoneIo {
  /** Of each zone, what was asked of it last. Zones with nothing under way have no entry. */
  readonly #tails = new Map<number, Promise<void>>()
  /** Pages of each zone that the device has taken. */
  readonly #pagesDone: Int32Array
  bytesWritten = 0
  resets = 0

  constructor(
    readonly device: ZonedDevice,
    /** Told when a write or a reset failed. */
    private readonly onFailure: (zone: number, error: unknown) => void,
  ) {
    this.#pagesDone = new Int32Array(device.geometry.zoneCount)
  }

  /**
   * Writes whole pages at the zone's write pointer. `done` is called when they are on the device, or never will be. `after`: a zone
   * whose writes so far must end before, because it has to be full before another may become active; -1 for none.
   */
  write(
    zone: number,
    page: number,
    bytes: Uint8Array,
    done: (() => void) | null,
    after = -1,
  ): void {
    const sector = zone * this.device.geometry.zoneSizeSectors + page * PAGE_SECTORS
    this.bytesWritten += bytes.length
    const { direct } = this.device
    if (direct !== undefined) {
      const result = direct.write(sector, bytes)
      if (result < 0) this.onFailure(zone, result)
      done?.()
      return
    }
    const before = after < 0 ? undefined : this.#tails.get(after)
    const write = async () => {
      await before
      await this.#writeParts(sector, bytes)
      this.#pagesDone[zone] = page + bytes.length / PAGE_BYTES
    }
    this.#enqueue(zone, write, done)
  }

  /** `done` is told whether the zone is empty now. */
  reset(zone: number, done: (isReset: boolean) => void): void {
    this.resets++
    const { direct } = this.device
    if (direct !== undefined) {
      const result = direct.reset(zone)
      if (result < 0) this.onFailure(zone, result)
      done(result >= 0)
      return
    }
    let isReset = false
    const reset = async () => {
      this.#pagesDone[zone] = 0
      await this.device.reset(zone)
      isReset = true
    }
    this.#enqueue(zone, reset, () => done(isReset))
  }

  /**
   * Ends a zone that has room left, on a drive in memory only: a real one would pay for that with hidden writes, and there the
   * index takes what is left. It is done when the call returns (EmulatedDrive).
   */
  finish(zone: number): void {
    this.device.finish(zone).catch(error => this.onFailure(zone, error))
  }

  /** Calls `done` when nothing of this zone is under way any more. */
  after(zone: number, done: () => void): void {
    if (this.#tails.has(zone)) this.#enqueue(zone, () => Promise.resolve(), done)
    else done()
  }

  /** Resolves when a page of the zone that was handed over is on the device. */
  async written(zone: number, page: number): Promise<void> {
    while (this.#pagesDone[zone]! <= page && this.#tails.has(zone)) await this.#tails.get(zone)
  }

  /** Resolves when what has been asked of the zone up to now is done. */
  async idle(zone: number): Promise<void> {
    await this.#tails.get(zone)
  }

  /** Whether nothing is under way: `progress` would not wait. */
  get isIdle(): boolean {
    return this.#tails.size === 0
  }

  /** Resolves when the next thing under way is done; at once when there is none. */
  async progress(): Promise<void> {
    if (this.#tails.size > 0) await Promise.race(this.#tails.values())
  }

  /** Resolves when what has been asked up to now is done. */
  async settled(): Promise<void> {
    await Promise.all(this.#tails.values())
  }

  async flush(): Promise<void> {
    await this.device.flush()
  }

  async #writeParts(sector: number, bytes: Uint8Array): Promise<void> {
    const most = this.device.geometry.maxAppendBytes
    for (let at = 0; at < bytes.length; at += most) {
      await this.device.write(sector + at / 512, bytes.subarray(at, at + most))
    }
  }

  #enqueue(zone: number, task: () => Promise<void>, done: (() => void) | null): void {
    const before = this.#tails.get(zone)
    const tail = (before === undefined ? task() : before.then(task))
      .catch(error => this.onFailure(zone, error))
      .then(() => {
        done?.()
        if (this.#tails.get(zone) === tail) this.#tails.delete(zone)
      })
    this.#tails.set(zone, tail)
  }
}
