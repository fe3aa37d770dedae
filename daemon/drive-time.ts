/**
 * From a request to the time of the drive: what the gate asks (gate.ts), told by the die model.
 *
 * A request that will be refused takes its time too: the model knows nothing of rules. Reports, opens, closes and discards
 * take none.
 */
import {
  type Geometry,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../zone-model/index.js'
import { DieModel, DONE_US, NOW_US } from './die-model.js'
import type { DriveTime } from './gate.js'
import type { LatencyProfile } from './latency-profiles.js'
import type { Requests } from './requests.js'

export class ModelledDrive implements DriveTime {
  readonly #model: DieModel
  readonly #requests: Requests
  readonly #zoneCount: number

  constructor(profile: LatencyProfile, geometry: Geometry, requests: Requests) {
    const { zoneCount, zoneCapacitySectors } = geometry
    this.#model = new DieModel(profile, zoneCount, zoneCapacitySectors)
    this.#requests = requests
    this.#zoneCount = zoneCount
  }

  serve(tag: number, timeMs: Float64Array): void {
    const { timesUs } = this.#model
    const nowUs = timeMs[0]! * 1000
    timesUs[NOW_US] = nowUs
    timesUs[DONE_US] = nowUs
    this.#ask(tag)
    timeMs[0] = timesUs[DONE_US]! / 1000
  }

  #ask(tag: number): void {
    const requests = this.#requests
    const model = this.#model
    const zone = requests.zone(tag)
    const op = requests.op(tag)
    if (op === UBLK_IO_OP_FLUSH) return model.flush()
    if (op === UBLK_IO_OP_ZONE_RESET_ALL) return this.#resetAll()
    if (zone >= this.#zoneCount) return
    const sectors = requests.sectors(tag)
    switch (op) {
      case UBLK_IO_OP_READ:
        return model.read(zone, requests.offset(tag), sectors)
      case UBLK_IO_OP_WRITE:
        return model.write(zone, requests.offset(tag), sectors, requests.isFua(tag))
      case UBLK_IO_OP_ZONE_APPEND:
        return model.append(zone, sectors, requests.isFua(tag))
      case UBLK_IO_OP_ZONE_RESET:
        return model.reset(zone)
      case UBLK_IO_OP_ZONE_FINISH:
        return model.finish(zone)
    }
  }

  #resetAll(): void {
    const { timesUs } = this.#model
    let doneUs = timesUs[NOW_US]!
    for (let zone = 0; zone < this.#zoneCount; zone++) {
      this.#model.reset(zone)
      doneUs = Math.max(doneUs, timesUs[DONE_US]!)
    }
    timesUs[DONE_US] = doneUs
  }
}
