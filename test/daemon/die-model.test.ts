/**
 * The die model against a simulation of events: random drives and requests, the same ends.
 *
 * The simulation knows no running state. It keeps every piece of work that any die was ever given, as a graph (what is before
 * it on its die, what has to leave the cache for it), and asks it backwards.
 */
import { describe, expect, it } from 'vitest'
import { DieModel, DONE_US, NOW_US } from '../../daemon/die-model.js'
import { ModelledDrive } from '../../daemon/drive-time.js'
import { LATENCY_PROFILES, type LatencyProfile } from '../../daemon/latency-profiles.js'
import { resolveOptions } from '../../daemon/options.js'
import { Requests } from '../../daemon/requests.js'
import {
  Geometry,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'

/** Work of one die: begins when what is before it on the die has ended, and when it is ready. */
interface Work {
  die: number
  busyUs: number
  ready: () => number
}

class Simulation {
  readonly #work: Work[] = []
  /** Programs of each zone, by the number of the unit; since its last reset, later ones win. */
  readonly #programs = new Map<string, number>()
  readonly #written: number[]

  constructor(
    readonly profile: LatencyProfile,
    zoneCount: number,
    readonly zoneBytes: number,
  ) {
    this.#written = new Array(zoneCount).fill(0)
  }

  /** When the i-th piece of work ends. */
  #endUs(i: number): number {
    const { die, busyUs, ready } = this.#work[i]!
    let before = -1
    for (let j = 0; j < i; j++) if (this.#work[j]!.die === die) before = j
    return Math.max(before < 0 ? 0 : this.#endUs(before), ready()) + busyUs
  }

  #add(zone: number, unit: number, busyUs: number, ready: () => number): number {
    const { dies, diesPerZone } = this.profile
    const die = ((zone * diesPerZone) % dies) + (unit % diesPerZone)
    return this.#work.push({ die, busyUs, ready }) - 1
  }

  read(zone: number, offset: number, bytes: number, nowUs: number): number {
    const { profile } = this
    const begin = nowUs + (bytes <= 4096 ? profile.controllerRead4kUs : profile.controllerReadUs)
    // Byte by byte would be the same: 512 at a time, gathered by page.
    const parts = new Map<number, number>()
    for (let at = offset; at < offset + bytes; at += 512) {
      const page = Math.floor(at / profile.pageBytes)
      parts.set(page, (parts.get(page) ?? 0) + 512)
    }
    const ends = [...parts].map(([page, part]) => {
      const unit = Math.floor((page * profile.pageBytes) / profile.programBytes)
      const nand = part <= 4096 ? profile.read4kUs : profile.readUs
      return this.#endUs(
        this.#add(zone, unit, nand + part / profile.channelBytesPerUs, () => begin),
      )
    })
    return Math.max(...ends) + bytes / profile.hostBytesPerUs
  }

  write(zone: number, offset: number, bytes: number, isDurable: boolean, nowUs: number): number {
    const { profile, zoneBytes } = this
    this.#written[zone] = offset + bytes
    const controller =
      profile.controllerWriteUs + Math.ceil(bytes / 4096) * profile.controllerWrite4kUs
    const arrived = nowUs + controller + bytes / profile.hostBytesPerUs
    const first = Math.floor(offset / profile.programBytes)
    const last = Math.floor((offset + bytes - 1) / profile.programBytes)
    let cached = arrived
    let programmed = arrived
    for (let unit = first; unit <= last; unit++) {
      const place = this.#programs.get(`${zone} ${unit % Math.max(1, profile.cacheUnits)}`)
      if (profile.cacheUnits > 0 && place !== undefined) {
        cached = Math.max(cached, this.#endUs(place))
      }
      const whole = Math.min((unit + 1) * profile.programBytes, zoneBytes)
      if (offset + bytes < whole) continue
      programmed = Math.max(programmed, this.#endUs(this.#addProgram(zone, unit, cached)))
    }
    return profile.isCached && !isDurable ? cached : Math.max(cached, programmed)
  }

  #addProgram(zone: number, unit: number, readyUs: number, isOfCache = true): number {
    const { programUs, programBytes, channelBytesPerUs, cacheUnits } = this.profile
    const busyUs = programUs + programBytes / channelBytesPerUs
    const index = this.#add(zone, unit, busyUs, () => readyUs)
    if (isOfCache) this.#programs.set(`${zone} ${unit % Math.max(1, cacheUnits)}`, index)
    return index
  }

  append(zone: number, bytes: number, isDurable: boolean, nowUs: number): number {
    return this.write(zone, this.#written[zone]!, bytes, isDurable, nowUs)
  }

  reset(zone: number, nowUs: number): number {
    this.#written[zone] = 0
    if (this.profile.eraseUs === 0) return nowUs
    const ends = Array.from({ length: this.profile.diesPerZone }, (_, i) =>
      this.#endUs(this.#add(zone, i, this.profile.eraseUs, () => nowUs)),
    )
    return Math.max(...ends)
  }

  finish(zone: number, nowUs: number): number {
    const written = this.#written[zone]!
    this.#written[zone] = this.zoneBytes
    const ends = [nowUs]
    for (let i = 0; written > 0 && i < this.profile.finishUnits; i++) {
      const at = written + i * this.profile.programBytes
      if (at >= this.zoneBytes) break
      const unit = Math.floor(at / this.profile.programBytes)
      ends.push(this.#endUs(this.#addProgram(zone, unit, nowUs, false)))
    }
    return Math.max(...ends)
  }

  flush(nowUs: number): number {
    return Math.max(nowUs, ...this.#work.map((_, i) => this.#endUs(i)))
  }
}

/** The model, asked as the simulation is. */
class AskedModel {
  readonly #model: DieModel

  constructor(profile: LatencyProfile, zoneCount: number, zoneBytes: number) {
    this.#model = new DieModel(profile, zoneCount, zoneBytes / 512)
  }

  #at(nowUs: number, ask: (model: DieModel) => void): number {
    this.#model.timesUs[NOW_US] = nowUs
    ask(this.#model)
    return this.#model.timesUs[DONE_US]!
  }

  read(zone: number, offset: number, bytes: number, nowUs: number): number {
    return this.#at(nowUs, model => model.read(zone, offset / 512, bytes / 512))
  }

  write(zone: number, offset: number, bytes: number, isDurable: boolean, nowUs: number): number {
    return this.#at(nowUs, model => model.write(zone, offset / 512, bytes / 512, isDurable))
  }

  append(zone: number, bytes: number, isDurable: boolean, nowUs: number): number {
    return this.#at(nowUs, model => model.append(zone, bytes / 512, isDurable))
  }

  reset(zone: number, nowUs: number): number {
    return this.#at(nowUs, model => model.reset(zone))
  }

  finish(zone: number, nowUs: number): number {
    return this.#at(nowUs, model => model.finish(zone))
  }

  flush(nowUs: number): number {
    return this.#at(nowUs, model => model.flush())
  }
}

function randomProfile(random: Prng): LatencyProfile {
  const diesPerZone = 1 + random.below(4)
  const pageBytes = 4096 * (1 + random.below(4))
  return {
    doc: '',
    source: '',
    dies: diesPerZone * (1 + random.below(3)),
    diesPerZone,
    pageBytes,
    programBytes: pageBytes * (1 + random.below(3)),
    read4kUs: 1 + random.below(50),
    readUs: 50 + random.below(50),
    programUs: 100 + random.below(900),
    eraseUs: random.pick([0, 1000]),
    channelBytesPerUs: random.pick([400, 1000, Number.POSITIVE_INFINITY]),
    hostBytesPerUs: random.pick([3000, Number.POSITIVE_INFINITY]),
    controllerRead4kUs: random.below(20),
    controllerReadUs: random.below(20),
    controllerWriteUs: random.below(5),
    controllerWrite4kUs: random.below(2),
    cacheUnits: random.pick([0, 1, 3]),
    isCached: random.chance(0.5),
    finishUnits: random.pick([0, 5]),
  }
}

const ZONES = 5
const ZONE_BYTES = 50 * 4096

describe('the die model', () => {
  it.each(
    Array.from({ length: 40 }, (_, i) => i + 1),
  )('is a simulation of events, seed %i', seed => {
    const random = new Prng(seed)
    const profile = randomProfile(random)
    const model = new AskedModel(profile, ZONES, ZONE_BYTES)
    const naive = new Simulation(profile, ZONES, ZONE_BYTES)
    const written = new Array<number>(ZONES).fill(0)
    let nowUs = 1000
    for (let step = 0; step < 120; step++) {
      nowUs += random.pick([0, 1, 30, 700])
      const zone = random.below(ZONES)
      const at = written[zone]!
      const room = (ZONE_BYTES - at) / 512
      const bytes = 512 * (1 + random.below(Math.min(64, Math.max(1, room))))
      const isDurable = random.chance(0.2)
      const what = random.below(10)
      const both = (ask: (drive: AskedModel | Simulation) => number): void => {
        expect(ask(model), `seed ${seed} step ${step}`).toBeCloseTo(ask(naive), 6)
      }
      if (what < 3) {
        const offset = 512 * random.below(ZONE_BYTES / 512 - 64)
        both(drive => drive.read(zone, offset, 512 * 40, nowUs))
      } else if (what < 6 && room > 0) {
        both(drive => drive.write(zone, at, bytes, isDurable, nowUs))
        written[zone] = at + bytes
      } else if (what < 8 && room > 0) {
        both(drive => drive.append(zone, bytes, isDurable, nowUs))
        written[zone] = at + bytes
      } else if (what === 8) {
        both(drive => drive.reset(zone, nowUs))
        written[zone] = 0
      } else if (random.chance(0.5)) {
        both(drive => drive.finish(zone, nowUs))
        written[zone] = ZONE_BYTES
      } else both(drive => drive.flush(nowUs))
    }
  })

  const zn540 = LATENCY_PROFILES['zn540']!

  it('a ZN540: a read of 4 KiB, and two of one die one after the other', () => {
    const model = new AskedModel(zn540, 4, 1 << 30)
    const oneUs = 20 + 50 + 4096 / 450 + 4096 / 3050
    expect(model.read(0, 0, 4096, 0)).toBeCloseTo(oneUs, 6)
    expect(model.read(0, 8192, 4096, 0)).toBeCloseTo(oneUs + 50 + 4096 / 450, 6)
    // The next unit is another die's.
    expect(model.read(0, 96 * 1024, 4096, 0)).toBeCloseTo(oneUs, 6)
  })

  it('a ZN540: writes go at the rate of the cache until it is full, then at that of the dies', () => {
    const model = new AskedModel(zn540, 4, 1 << 30)
    const unit = 96 * 1024
    const cachedUs = 5.6 + 24 * 0.6 + unit / 3050
    let nowUs = 0
    const tookUs: number[] = []
    for (let i = 0; i < 64; i++) {
      const doneUs = model.write(0, i * unit, unit, false, nowUs)
      tookUs.push(doneUs - nowUs)
      nowUs = doneUs
    }
    expect(tookUs.slice(0, 10).every(us => Math.abs(us - cachedUs) < 1e-6)).toBe(true)
    expect(tookUs[10]!).toBeGreaterThan(2 * cachedUs)
    // From then on each waits until the one ten before it is programmed.
    const programUs = 561 + unit / 450
    expect(nowUs).toBeCloseTo(4 * cachedUs + 6 * programUs, 6)
  })

  it('a prototype: a write waits for its program, and one zone is one die', () => {
    const profile = LATENCY_PROFILES['prototype']!
    const model = new AskedModel(profile, 4, 1 << 25)
    const unit = profile.programBytes
    const oneUs = unit / 3200 + unit / 800 + 1913.64
    expect(model.write(0, 0, unit, false, 0)).toBeCloseTo(oneUs, 6)
    expect(model.write(1, 0, unit, false, 0)).toBeCloseTo(oneUs, 6)
    expect(model.write(0, unit, unit, false, 0)).toBeCloseTo(2 * oneUs - unit / 3200, 6)
  })

  it('every profile can be: dies divide, units are whole pages, and the source is named', () => {
    for (const [name, profile] of Object.entries(LATENCY_PROFILES)) {
      expect(profile.dies % profile.diesPerZone, name).toBe(0)
      expect(profile.programBytes % profile.pageBytes, name).toBe(0)
      expect(profile.source, name).toMatch(/github\.com/)
      expect(new AskedModel(profile, 2, 1 << 25).read(0, 0, 4096, 0), name).toBeGreaterThan(20)
    }
  })
})

describe('from requests to times', () => {
  const geometry = Geometry.create({ zoneCount: 4, zoneSizeBytes: 1 << 22 })
  const confzns = LATENCY_PROFILES['confzns']!
  const setUp = (profile: LatencyProfile) => {
    const descriptors = new Uint32Array(6)
    const drive = new ModelledDrive(profile, geometry, new Requests(descriptors, geometry))
    const took = (op: number, zone: number, sectors: number, flags = 0): number => {
      descriptors.set([op | flags, sectors, zone * geometry.zoneSizeSectors, 0])
      const timeMs = Float64Array.of(5)
      drive.serve(0, timeMs)
      return timeMs[0]! - 5
    }
    return took
  }

  it('each kind takes its own, in milliseconds', () => {
    const took = setUp(confzns)
    expect(took(UBLK_IO_OP_READ, 0, 8)).toBeCloseTo(0.065 + 0.025 / 4, 6)
    expect(took(UBLK_IO_OP_ZONE_OPEN, 1, 0)).toBe(0)
    expect(took(UBLK_IO_OP_ZONE_FINISH, 1, 0)).toBe(0)
    expect(took(UBLK_IO_OP_WRITE, 1, 32)).toBeCloseTo(0.45 + 0.025, 6)
    expect(took(UBLK_IO_OP_ZONE_APPEND, 1, 32)).toBeCloseTo(0.45 + 0.025, 6)
    expect(took(UBLK_IO_OP_FLUSH, 0, 0)).toBeCloseTo(0.45 + 0.025, 6)
    // 16 pages over 8 planes, two of which are busy with one page.
    expect(took(UBLK_IO_OP_ZONE_FINISH, 1, 0)).toBeCloseTo(3 * (0.45 + 0.025), 6)
    expect(took(UBLK_IO_OP_ZONE_RESET, 2, 0)).toBeCloseTo(3, 6)
    expect(took(UBLK_IO_OP_ZONE_RESET_ALL, 0, 0)).toBeCloseTo(6, 6)
    expect(took(UBLK_IO_OP_READ, 4, 8)).toBe(0)
  })

  it('a write with FUA is programmed first, as far as it fills a unit', () => {
    const took = setUp(LATENCY_PROFILES['zn540']!)
    expect(took(UBLK_IO_OP_WRITE, 0, 192)).toBeLessThan(0.1)
    expect(took(UBLK_IO_OP_WRITE, 1, 192, 1 << 13)).toBeGreaterThan(0.561)
    expect(took(UBLK_IO_OP_WRITE, 2, 8, 1 << 13)).toBeLessThan(0.1)
  })

  it('needs one queue', () => {
    expect(resolveOptions({ latency: 'zn540' }).latency).toBe('zn540')
    expect(() => resolveOptions({ latency: 'zn540', queues: '2' })).toThrow(
      /--latency zn540 with --queues 2: .* need --queues 1/,
    )
    expect(() => resolveOptions({ latency: 'fast' })).toThrow(
      /--latency fast: expected one of none, zn540, prototype, confzns/,
    )
  })
})
