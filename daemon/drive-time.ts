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
import { DieModel } from './die-model.js'
import type { DriveTime } from './gate.js'
import type { LatencyProfile } from './latency-profiles.js'
import type { Requests } from './requests.js'

const SECTOR_BYTES = 512

export class ModelledDrive implements DriveTime {
  readonly #model: DieModel
  readonly #requests: Requests
  readonly #zoneCount: number

  constructor(profile: LatencyProfile, geometry: Geometry, requests: Requests) {
    const { zoneCount, zoneCapacitySectors } = geometry
    this.#model = new DieModel(profile, zoneCount, zoneCapacitySectors * SECTOR_BYTES)
    this.#requests = requests
    this.#zoneCount = zoneCount
  }

  doneMs(tag: number, nowMs: number): number {
    return this.#doneUs(tag, nowMs * 1000) / 1000
  }

  #doneUs(tag: number, nowUs: number): number {
    const requests = this.#requests
    const model = this.#model
    const zone = requests.zone(tag)
    const op = requests.op(tag)
    if (op === UBLK_IO_OP_FLUSH) return model.flush(nowUs)
    if (op === UBLK_IO_OP_ZONE_RESET_ALL) return this.#resetAll(nowUs)
    if (zone >= this.#zoneCount) return nowUs
    const offset = requests.offset(tag) * SECTOR_BYTES
    const bytes = requests.sectors(tag) * SECTOR_BYTES
    const isDurable = requests.isFua(tag)
    switch (op) {
      case UBLK_IO_OP_READ:
        return model.read(zone, offset, bytes, nowUs)
      case UBLK_IO_OP_WRITE:
        return model.write(zone, offset, bytes, isDurable, nowUs)
      case UBLK_IO_OP_ZONE_APPEND:
        return model.append(zone, bytes, isDurable, nowUs)
      case UBLK_IO_OP_ZONE_RESET:
        return model.reset(zone, nowUs)
      case UBLK_IO_OP_ZONE_FINISH:
        return model.finish(zone, nowUs)
      default:
        return nowUs
    }
  }

  #resetAll(nowUs: number): number {
    let doneUs = nowUs
    for (let zone = 0; zone < this.#zoneCount; zone++) {
      doneUs = Math.max(doneUs, this.#model.reset(zone, nowUs))
    }
    return doneUs
  }
}
