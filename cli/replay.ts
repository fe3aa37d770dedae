/**
 * The requests of a trace, given to a device in their order.
 *
 * A request begins when everything that had ended before it in the recording has ended; requests of one zone follow each
 * other; what changes how many zones are open or active (and what reaches over zones) runs alone. Within these rules up to
 * `depth` requests are under way at once. At depth 1 the device sees exactly the order of the file.
 */
import type { DiskRequest, ZonedDisk } from '../daemon/client.js'
import { fillPayload } from './replay-payload.js'
import type { ReplayZones } from './replay-zones.js'
import type { DifferenceCounter, Outcome } from './trace-compare.js'
import type { TraceRequest } from './trace-file.js'

const SECTOR_BYTES = 512
const POISON = 0xa5

export interface ReplayOptions {
  depth: number
  /** How many times as fast as it was recorded; Infinity: as fast as it goes. */
  speed: number
  check: boolean
  seed: number
}

export interface ReplayClock {
  nowMs(): number
  /** Resolves false when the user wants an end. */
  wait(ms: number): Promise<boolean>
}

interface Running {
  readonly zone: number | null
  /** When it had ended in the recording, µs. */
  readonly endUs: number
  readonly isAlone: boolean
  readonly slot: number
  readonly over: Promise<void>
}

const ALONE: readonly string[] = ['open', 'close', 'finish', 'reset', 'reset-all']

export class Replay {
  readonly #disk: ZonedDisk
  readonly #zones: ReplayZones
  readonly #counter: DifferenceCounter
  readonly #options: ReplayOptions
  readonly #clock: ReplayClock
  readonly #traceZoneSectors: number
  readonly #memory: Uint8Array[]
  readonly #freeSlots: number[]
  readonly #running = new Set<Running>()
  readonly #beganMs: number
  #failure: unknown = null
  requests = 0
  skipped = 0
  checkedReads = 0

  /** `maxSectors` is the longest request of the trace; `traceZoneSize` its zone size, in bytes. */
  constructor(
    disk: ZonedDisk,
    zones: ReplayZones,
    counter: DifferenceCounter,
    options: ReplayOptions,
    clock: ReplayClock,
    trace: { maxSectors: number; zoneSize: number },
  ) {
    this.#disk = disk
    this.#zones = zones
    this.#counter = counter
    this.#options = options
    this.#clock = clock
    this.#traceZoneSectors = trace.zoneSize / SECTOR_BYTES
    const bytes = Math.max(1, trace.maxSectors) * SECTOR_BYTES
    this.#memory = Array.from({ length: options.depth }, () => disk.memory(bytes))
    this.#freeSlots = this.#memory.map((_, slot) => slot)
    this.#beganMs = clock.nowMs()
  }

  /** Resolves when the request has begun, false when the user wants an end. Rejects with what is no result but a defect. */
  async take(line: number, request: TraceRequest): Promise<boolean> {
    if (!this.#isAskable(request)) {
      this.skipped++
      return true
    }
    if (!(await this.#pace(request.t))) return false
    const zone = request.zone ?? null
    const asked = this.#toDisk(request)
    const isAlone = this.#isAlone(request, asked)
    await this.#until(
      running => isAlone || running.isAlone || running.endUs <= request.t || running.zone === zone,
    )
    while (this.#freeSlots.length === 0) await this.#oneOver()
    if (this.#failure !== null) throw this.#failure
    const slot = this.#freeSlots.pop()!
    // An append goes to where the write pointer is now, after everything before it in its zone.
    const placed = request.op === 'append' ? this.#atPointer(asked) : asked
    const over = this.#run(line, request, placed, slot).catch(error => {
      this.#failure ??= error
    })
    const running: Running = { zone, endUs: request.t + request.latencyUs, isAlone, slot, over }
    this.#running.add(running)
    void over.then(() => {
      this.#running.delete(running)
      this.#freeSlots.push(slot)
    })
    this.requests++
    return true
  }

  /** Resolves when nothing is under way any more. */
  async drain(): Promise<void> {
    await this.#until(() => true)
    if (this.#failure !== null) throw this.#failure
  }

  /** What a program cannot ask a block device for is left out: Linux appends to sequential zones alone. */
  #isAskable({ op, zone = 0 }: TraceRequest): boolean {
    if (op === 'append') return zone >= this.#disk.layout.conventional
    return !op.startsWith('op-')
  }

  async #pace(t: number): Promise<boolean> {
    const { speed } = this.#options
    if (speed === Number.POSITIVE_INFINITY) return true
    const aheadMs = this.#beganMs + t / 1000 / speed - this.#clock.nowMs()
    return aheadMs < 1 || (await this.#clock.wait(aheadMs))
  }

  async #until(conflicts: (running: Running) => boolean): Promise<void> {
    while ([...this.#running].some(conflicts)) await this.#oneOver()
  }

  #oneOver(): Promise<void> {
    return Promise.race([...this.#running].map(({ over }) => over))
  }

  #toDisk({ op, zone = 0, sector, sectors = 0, flags }: TraceRequest): DiskRequest {
    const isFua = flags === 'fua'
    if (sector !== undefined) return { op, sector, sectors, isFua }
    const size = this.#traceZoneSectors
    return { op, sector: zone * size, sectors: size, isFua }
  }

  #atPointer(asked: DiskRequest): DiskRequest {
    return { ...asked, op: 'write', sector: this.#zones.appendSector(asked.sector, asked.sectors) }
  }

  #isAlone({ op }: TraceRequest, { sector, sectors }: DiskRequest): boolean {
    if (ALONE.includes(op)) return true
    const size = this.#traceZoneSectors
    if (Math.floor(sector / size) !== Math.floor((sector + Math.max(sectors, 1) - 1) / size))
      return true
    const isWrite = op === 'write' || op === 'append' || op === 'write-zeroes'
    return isWrite && this.#zones.isTurningPoint(sector, sectors)
  }

  async #run(line: number, request: TraceRequest, asked: DiskRequest, slot: number): Promise<void> {
    const { op } = request
    const bytes = this.#memory[slot]!.subarray(0, asked.sectors * SECTOR_BYTES)
    if (asked.op === 'write') fillPayload(bytes, this.#options.seed, asked.sector)
    // What the last request left here must not pass for what the device gave.
    if (op === 'read') bytes.fill(POISON)
    const whole = op === 'reset-all' ? this.#allSequential() : asked
    const result = await this.#disk.submit(whole, bytes)
    const outcome: Outcome = { result, isRight: true }
    if (op === 'append' && result >= 0) outcome.lba = asked.sector
    if (op === 'read' && result >= 0 && this.#options.check) {
      this.checkedReads++
      outcome.isRight = this.#zones.isRight(asked.sector, bytes.subarray(0, result))
    }
    this.#zones.note(whole.op, whole.sector, whole.sectors, result)
    this.#counter.note(line, request, outcome)
  }

  #allSequential(): DiskRequest {
    const { zones, conventional, zoneSize } = this.#disk.layout
    const size = zoneSize / SECTOR_BYTES
    const sectors = (zones - conventional) * size
    return { op: 'reset', sector: conventional * size, sectors, isFua: false }
  }
}
