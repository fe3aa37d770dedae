/**
 * A daemon that is killed over and over, on fake queues: nothing acknowledged is lost, nothing is applied twice, no hole stays.
 *
 * Several queues write and append to a few zones; at random moments the process dies (after planning, after the copies but
 * before the commits, after the commits), a new one recovers the table and is given the unanswered requests again, in another
 * order and so with other tags. Each payload is unique, so a block that stands twice or in the wrong place is seen.
 */
import { describe, expect, it } from 'vitest'
import { Planner } from '../../daemon/plan.js'
import { SharedState } from '../../daemon/shared-state.js'
import {
  Geometry,
  MemoryMedia,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_RESET,
  wpOf,
} from '../../zone-model/index.js'
import { FakeQueue, type FakeRequest } from '../fakes/fake-queue.js'
import { Prng } from '../fakes/prng.js'

const QUEUES = 2
const DEPTH = 4
const ZONE_SECTORS = 512
const ZONES = 6
const geometry = Geometry.create({
  zoneCount: ZONES,
  zoneSizeBytes: ZONE_SECTORS * 512,
  maxOpen: 3,
  maxActive: 0,
})

interface Extent {
  offset: number
  payload: Uint8Array
}

class World {
  readonly media = new MemoryMedia(geometry.totalBytes)
  readonly buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, QUEUES, DEPTH))
  state: SharedState
  queues: FakeQueue[] = []
  planners: Planner[] = []
  turns: number[] = new Array(QUEUES).fill(0)
  /** What has been acknowledged, by zone. */
  readonly acknowledged: Extent[][] = Array.from({ length: ZONES }, () => [])
  /** As the kernel does: one write in flight a zone, at its own idea of the write pointer. */
  readonly kernelWp = new Array<number>(ZONES).fill(0)
  readonly writing = new Array<boolean>(ZONES).fill(false)
  readonly outstanding = new Array<number>(ZONES).fill(0)
  #serial = 0
  deaths = 0
  answers = 0

  constructor(readonly prng: Prng) {
    SharedState.format(this.buffer, geometry, QUEUES, DEPTH)
    this.state = new SharedState(this.buffer, geometry, QUEUES, DEPTH)
    this.start([])
  }

  start(unanswered: FakeRequest[][]): void {
    const marks = new Int32Array(this.buffer)
    this.state = new SharedState(this.buffer, geometry, QUEUES, DEPTH)
    this.queues = []
    this.planners = []
    this.turns.fill(0)
    for (let q = 0; q < QUEUES; q++) {
      const queue = new FakeQueue(DEPTH, this.media)
      queue.onMark = parity => {
        marks[this.state.table.markByteOffset(q, parity) / 4] = 1
      }
      for (const request of unanswered[q] ?? []) queue.submit(request)
      this.queues.push(queue)
      this.planners.push(new Planner(queue, this.state, geometry, this.media, q, DEPTH))
    }
  }

  payload(sectors: number): Uint8Array {
    const bytes = new Uint8Array(sectors * 512)
    const words = new Uint32Array(bytes.buffer)
    this.#serial++
    for (let i = 0; i < words.length; i++) words[i] = (this.#serial << 12) | (i & 0xfff)
    return bytes
  }

  /** One more request from the file system above: even zones are written, odd ones appended to. */
  submit(): void {
    const zone = this.prng.below(ZONES)
    const sectors = 8 * (1 + this.prng.below(3))
    const queue = this.prng.pick(this.queues)
    if (this.outstanding[zone] === 0 && this.kernelWp[zone]! > ZONE_SECTORS - 64) {
      this.outstanding[zone]!++
      queue.submit({ op: UBLK_IO_OP_ZONE_RESET, startSector: zone * ZONE_SECTORS, sectors: 0 })
      this.writing[zone] = true
      return
    }
    if (this.writing[zone] || this.kernelWp[zone]! + sectors > ZONE_SECTORS) return
    const startSector = zone * ZONE_SECTORS
    const payload = this.payload(sectors)
    this.outstanding[zone]!++
    if (zone % 2 === 0) {
      this.writing[zone] = true
      const at = startSector + this.kernelWp[zone]!
      queue.submit({ op: UBLK_IO_OP_WRITE, startSector: at, sectors, payload })
    } else queue.submit({ op: UBLK_IO_OP_ZONE_APPEND, startSector, sectors, payload })
    this.kernelWp[zone]! += sectors
  }

  /** Take the answers of a queue as the kernel does. */
  take(queue: FakeQueue): void {
    for (const { request, result, lbaSector } of queue.completions.splice(0)) {
      const zone = Math.floor(request.startSector / ZONE_SECTORS)
      this.answers++
      this.outstanding[zone]!--
      expect(result, `op ${request.op} zone ${zone}`).toBeGreaterThanOrEqual(0)
      if (request.op === UBLK_IO_OP_ZONE_RESET) {
        this.acknowledged[zone] = []
        this.kernelWp[zone] = 0
        this.writing[zone] = false
        continue
      }
      const start = request.op === UBLK_IO_OP_WRITE ? request.startSector : lbaSector
      if (request.op === UBLK_IO_OP_WRITE) this.writing[zone] = false
      const offset = start - zone * ZONE_SECTORS
      for (const other of this.acknowledged[zone]!) {
        const apart =
          offset >= other.offset + other.payload.length / 512 ||
          offset + request.sectors <= other.offset
        expect(
          apart,
          `zone ${zone}: two acknowledged writes at ${offset} and ${other.offset}`,
        ).toBe(true)
      }
      this.acknowledged[zone]!.push({ offset, payload: request.payload! })
    }
  }

  step(): void {
    const q = this.prng.below(QUEUES)
    const queue = this.queues[q]!
    const ready = queue.commitAndFetch(this.turns[q]!)
    this.take(queue)
    this.turns[q] = this.planners[q]!.planTurn(ready)
  }

  /** SIGKILL: each queue's thread is somewhere in its turn. */
  die(): void {
    this.deaths++
    const unanswered = this.queues.map((queue, q) => {
      const where = this.prng.below(3)
      if (where === 1) queue.copyOnly(this.turns[q]!)
      if (where === 2) queue.commit(this.turns[q]!)
      this.take(queue)
      return this.prng.shuffle([...queue.inFlight()]).concat(queue.waiting())
    })
    this.start(unanswered)
    this.state.table.recover()
  }

  /** Everything answered; then every acknowledged block is where it was said to be, and nothing else is in the zones. */
  check(): void {
    for (let turns = 0; this.queues.some(queue => queue.pending > 0); turns++) {
      if (turns > 10_000) throw new Error('requests are not answered')
      this.step()
    }
    for (let zone = 0; zone < ZONES; zone++) {
      const extents = [...this.acknowledged[zone]!].sort((a, b) => a.offset - b.offset)
      let end = 0
      for (const { offset, payload } of extents) {
        expect(offset, `zone ${zone}: a hole before ${offset}`).toBe(end)
        const back = new Uint8Array(payload.length)
        this.media.read((zone * ZONE_SECTORS + offset) * 512, back)
        expect(Buffer.compare(back, payload), `zone ${zone}: bytes at ${offset}`).toBe(0)
        end += payload.length / 512
      }
      const word = this.state.table.load(zone)
      expect(wpOf(word), `zone ${zone}: write pointer`).toBe(end)
    }
  }
}

describe('SIGKILL at any moment', () => {
  it('loses nothing, applies nothing twice, leaves no hole', () => {
    const prng = Prng.fromEnvironment('crash')
    let deaths = 0
    let answers = 0
    for (let round = 0; round < 60; round++) {
      const world = new World(prng)
      for (let step = 0; step < 600; step++) {
        if (prng.chance(0.6)) world.submit()
        world.step()
        if (prng.chance(0.04)) world.die()
        // A second death before the first one's requests have all come back.
        if (prng.chance(0.01)) {
          world.die()
          world.step()
          world.die()
        }
      }
      world.check()
      deaths += world.deaths
      answers += world.answers
    }
    expect(deaths).toBeGreaterThan(1000)
    expect(answers).toBeGreaterThan(5000)
  })
})
