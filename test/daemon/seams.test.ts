/** What a gate and a holder can do to a turn: keep a tag, fail it, tear it, keep its commit; and none of it by default. */
import { beforeEach, describe, expect, it } from 'vitest'
import { COUNTER_FAULTS, COUNTER_REFUSED, COUNTER_REQUESTS } from '../../daemon/counters.js'
import { Planner } from '../../daemon/plan.js'
import {
  type Gate,
  type Holder,
  VERDICT_HELD,
  VERDICT_PLAN,
  VERDICT_TORN,
} from '../../daemon/seams.js'
import { SharedState } from '../../daemon/shared-state.js'
import { COMMAND_FLUSH, COMMAND_WORDS } from '../../ublk-native/index.js'
import {
  EIO,
  Geometry,
  MemoryMedia,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_RESET,
  wpOf,
} from '../../zone-model/index.js'
import { FakeQueue, type FakeRequest } from '../fakes/fake-queue.js'

const ZONE_SECTORS = 256
const DEPTH = 8
const geometry = Geometry.create({ zoneCount: 4, zoneSizeBytes: ZONE_SECTORS * 512 })

/** Told by the test what to say about each tag; asked about all. */
class ToldGate implements Gate {
  isActive = true
  asked: number[] = []
  say: (tag: number) => number = () => VERDICT_PLAN
  dueTags: number[] = []
  afterwards = VERDICT_PLAN
  ended = 0
  beginTurn = () => this.isActive
  arrive(tag: number): number {
    this.asked.push(tag)
    return this.say(tag)
  }
  due = () => this.dueTags.shift() ?? -1
  verdict = () => this.afterwards
  part = 8
  tornSectors = () => this.part
  tornResult = () => -EIO
  cause = () => 7
  endTurn(): void {
    this.ended++
  }
}

class ToldHolder implements Holder {
  kept: number[] = []
  free: number[] = []
  result = 0
  isKeeping = true
  keeps(tag: number): boolean {
    if (this.isKeeping) this.kept.push(tag)
    return this.isKeeping
  }
  durable: number[] = []
  wroteDurably(tag: number): void {
    this.durable.push(tag)
  }
  released = () => this.free.shift() ?? -1
  resultOf = () => this.result
}

let queue: FakeQueue
let state: SharedState
let gate: ToldGate
let holder: ToldHolder
let planner: Planner

beforeEach(() => {
  const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, DEPTH))
  SharedState.format(buffer, geometry, 1, DEPTH)
  state = new SharedState(buffer, geometry, 1, DEPTH)
  const media = new MemoryMedia(geometry.totalBytes)
  queue = new FakeQueue(DEPTH, media)
  gate = new ToldGate()
  holder = new ToldHolder()
  planner = new Planner(queue, state, geometry, media, 0, DEPTH, { gate, holder })
})

const request = (op: number, zone: number, offset = 0, sectors = 0): FakeRequest => ({
  op,
  startSector: zone * ZONE_SECTORS + offset,
  sectors,
  payload: new Uint8Array(sectors * 512).fill(zone + 1),
})
const write = (zone: number, offset: number, sectors: number) =>
  request(UBLK_IO_OP_WRITE, zone, offset, sectors)

/** One turn: deliver what waits, plan it, execute it. Returns the results of what was committed. */
function turn(...requests: FakeRequest[]): number[] {
  for (const one of requests) queue.submit(one)
  queue.commit(planner.planTurn(queue.commitAndFetch(0)))
  return queue.completions.splice(0).map(completion => completion.result)
}

describe('a gate', () => {
  it('keeps a request, and gives it back in a turn without any that came', () => {
    gate.say = tag => (tag === 0 ? VERDICT_HELD : VERDICT_PLAN)
    expect(turn(write(1, 0, 16), request(UBLK_IO_OP_READ, 0, 0, 8))).toEqual([8 * 512])
    expect(wpOf(state.table.load(1))).toBe(0)
    expect(turn()).toEqual([])
    gate.dueTags = [0]
    expect(turn()).toEqual([16 * 512])
    expect(wpOf(state.table.load(1))).toBe(16)
    expect(gate.asked).toEqual([0, 1])
    expect(gate.ended).toBe(3)
    expect(state.counters(0)[COUNTER_REQUESTS]).toBe(2)
  })

  it('fails a request at once or after it was held, and is remembered with its fault', () => {
    gate.say = tag => (tag === 0 ? -EIO : VERDICT_HELD)
    expect(turn(write(1, 0, 16), write(2, 0, 16))).toEqual([-EIO])
    gate.dueTags = [1]
    gate.afterwards = -28
    expect(turn()).toEqual([-28])
    expect([wpOf(state.table.load(1)), wpOf(state.table.load(2))]).toEqual([0, 0])
    const remembered = state.refusals(0).last(9)
    expect(remembered.map(({ zone, status, fault }) => [zone, status, fault])).toEqual([
      [1, EIO, 7],
      [2, 28, 7],
    ])
    expect(state.counters(0)[COUNTER_FAULTS]).toBe(2)
    expect(state.counters(0)[COUNTER_REFUSED]).toBe(0)
  })

  it('a failed append names its zone', () => {
    gate.say = () => -EIO
    queue.submit(request(UBLK_IO_OP_ZONE_APPEND, 3, 0, 8))
    queue.commit(planner.planTurn(queue.commitAndFetch(0)))
    expect(queue.completions[0]).toMatchObject({ result: -EIO, lbaSector: 3 * ZONE_SECTORS })
  })

  it.each([UBLK_IO_OP_WRITE, UBLK_IO_OP_ZONE_APPEND])('tears op %i', op => {
    gate.say = () => VERDICT_TORN
    expect(turn(request(op, 2, 0, 16))).toEqual([-EIO])
    expect(wpOf(state.table.load(2))).toBe(8)
    gate.say = () => VERDICT_PLAN
    expect(turn(write(2, 8, 8))).toEqual([8 * 512])
    queue.submit(request(UBLK_IO_OP_READ, 2, 0, 24))
    queue.commit(planner.planTurn(queue.commitAndFetch(0)))
    const { data } = queue.completions[0]!
    expect(data.findIndex(byte => byte !== 3)).toBe(16 * 512)
  })

  it('a write that is torn before its first block only fails', () => {
    gate.say = () => VERDICT_TORN
    gate.part = 0
    expect(turn(write(2, 0, 16))).toEqual([-EIO])
    expect(wpOf(state.table.load(2))).toBe(0)
    expect(state.counters(0)[COUNTER_FAULTS]).toBe(1)
    expect(state.counters(0)[COUNTER_REFUSED]).toBe(0)
  })

  it('a torn write at the wrong place is refused by its rule', () => {
    gate.say = () => VERDICT_TORN
    expect(turn(write(2, 64, 16))).toEqual([-EIO])
    expect(wpOf(state.table.load(2))).toBe(0)
    expect(state.counters(0)[COUNTER_REFUSED]).toBe(1)
  })

  it('a reset that was held comes before the writes of its turn', () => {
    holder.isKeeping = false
    turn(write(1, 0, 16))
    gate.say = tag => (tag === 0 ? VERDICT_HELD : VERDICT_PLAN)
    expect(turn(request(UBLK_IO_OP_ZONE_RESET, 1))).toEqual([])
    gate.dueTags = [0]
    gate.say = () => VERDICT_PLAN
    expect(turn(write(1, 16, 8))).toEqual([0, -EIO])
  })

  it('a copy that failed passes by the gate', () => {
    queue.failNextWrites = 1
    queue.submit(write(1, 0, 8))
    const ready = queue.commitAndFetch(planner.planTurn(queue.commitAndFetch(0)))
    gate.say = () => VERDICT_HELD
    queue.commit(planner.planTurn(ready))
    expect(queue.completions.map(({ result }) => result)).toEqual([-EIO])
  })

  it('with nothing to say is not asked', () => {
    gate.isActive = false
    gate.say = () => -EIO
    expect(turn(write(1, 0, 8))).toEqual([8 * 512])
    expect(gate.asked).toEqual([])
  })
})

describe('a holder', () => {
  it('keeps the commit of a flush and of a zone command until it says so', () => {
    gate.isActive = false
    turn(write(1, 0, 16))
    expect(turn(request(UBLK_IO_OP_FLUSH, 0), request(UBLK_IO_OP_ZONE_RESET, 1))).toEqual([])
    expect(wpOf(state.table.load(1))).toBe(0)
    expect(holder.kept.toSorted()).toEqual([0, 1])
    expect(turn()).toEqual([])
    holder.free = [1]
    expect(turn()).toEqual([0])
    holder.free = [0]
    holder.result = -EIO
    expect(turn()).toEqual([-EIO])
  })

  it('is not asked about a write, nor about what was refused', () => {
    turn(write(1, 0, 16), write(1, 64, 16), request(UBLK_IO_OP_ZONE_RESET, 99))
    expect(holder.kept).toEqual([])
  })

  it('is told of a write with FUA that was planned', () => {
    const fua = (one: FakeRequest): FakeRequest => ({ ...one, op: one.op | (1 << 13) })
    turn(fua(write(1, 0, 16)), fua(write(1, 64, 8)), write(1, 16, 8))
    expect(holder.durable).toEqual([0])
    turn(fua(request(UBLK_IO_OP_ZONE_APPEND, 2, 0, 8)))
    expect(holder.durable).toHaveLength(2)
  })

  it('lets pass what it does not want', () => {
    holder.isKeeping = false
    expect(turn(request(UBLK_IO_OP_FLUSH, 0))).toEqual([0])
  })
})

it('the commands of a turn stand with their results until the next', () => {
  holder.isKeeping = false
  queue.submit(request(UBLK_IO_OP_FLUSH, 0))
  planner.planTurn(queue.commitAndFetch(0))
  expect(planner.commands.count).toBe(1)
  expect(planner.commands.words[0]).toBe(COMMAND_FLUSH)
  expect(planner.commands.words.length).toBe(DEPTH * COMMAND_WORDS)
})
