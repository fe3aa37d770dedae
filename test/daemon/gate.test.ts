/** Requests that wait: in which order they come back, when the queue is woken, and what became of them. */
import { describe, expect, it } from 'vitest'
import { FaultOrders } from '../../daemon/fault-orders.js'
import { FAULT_FILE_BYTES, FaultRules, faultWords } from '../../daemon/fault-rules.js'
import { type DriveTime, RequestGate } from '../../daemon/gate.js'
import { HeldTags } from '../../daemon/held-tags.js'
import { Planner } from '../../daemon/plan.js'
import { Requests } from '../../daemon/requests.js'
import { SharedState } from '../../daemon/shared-state.js'
import {
  EIO,
  Geometry,
  MemoryMedia,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  wpOf,
} from '../../zone-model/index.js'
import { FakeQueue } from '../fakes/fake-queue.js'
import { Prng } from '../fakes/prng.js'

describe('held tags', () => {
  it.each(Array.from({ length: 30 }, (_, i) => i + 1))('as a sorted list would, seed %i', seed => {
    const source = new Prng(seed)
    const random = () => source.next() / 2 ** 32
    const depth = 1 + Math.floor(random() * 40)
    const held = new HeldTags(depth)
    let naive: { tag: number; due: number; came: number }[] = []
    let came = 0
    for (let step = 0; step < 500; step++) {
      const free = Array.from({ length: depth }, (_, tag) => tag).filter(
        tag => !naive.some(one => one.tag === tag),
      )
      if (free.length > 0 && random() < 0.6) {
        const tag = free[Math.floor(random() * free.length)]!
        const due = Math.floor(random() * 10)
        held.dueMs[tag] = due
        held.push(tag)
        naive.push({ tag, due, came: came++ })
      } else {
        const now = Math.floor(random() * 10)
        naive.sort((a, b) => a.due - b.due || a.came - b.came)
        const first = naive[0]
        const expected = first !== undefined && first.due <= now ? first.tag : -1
        expect(held.pop(Float64Array.of(now)), `seed ${seed} step ${step}`).toBe(expected)
        naive = naive.filter(one => one.tag !== expected)
      }
      expect(held.count).toBe(naive.length)
      if (held.count === 0) expect(held.first).toBe(-1)
      else expect(held.dueMs[held.first]).toBe(Math.min(...naive.map(one => one.due)))
    }
  })
})

const ZONE_SECTORS = 256
const DEPTH = 8
const geometry = Geometry.create({ zoneCount: 4, zoneSizeBytes: ZONE_SECTORS * 512 })

function setUp(drive: DriveTime | null = null) {
  const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, DEPTH))
  SharedState.format(buffer, geometry, 1, DEPTH)
  const state = new SharedState(buffer, geometry, 1, DEPTH)
  const media = new MemoryMedia(geometry.totalBytes)
  const queue = new FakeQueue(DEPTH, media)
  const words = faultWords(new SharedArrayBuffer(FAULT_FILE_BYTES))
  const rules = new FaultRules(words, new Requests(queue.descriptors, geometry), 8)
  const time = { nowMs: 1000 }
  const gate = new RequestGate(rules, drive, queue, DEPTH, nowMs => {
    nowMs[0] = time.nowMs
  })
  const planner = new Planner(queue, state, geometry, media, 0, DEPTH, { gate })
  const turn = (): number[] => {
    queue.wakeUs = 0
    queue.commit(planner.planTurn(queue.commitAndFetch(0)))
    return queue.completions.splice(0).map(({ result }) => result)
  }
  const submit = (op: number, zone: number, offset: number, sectors = 8) =>
    queue.submit({ op, startSector: zone * ZONE_SECTORS + offset, sectors })
  return { state, queue, time, turn, submit, orders: new FaultOrders(words, 4) }
}

describe('delays', () => {
  it('hold a request until its time, and the queue is woken for the first', () => {
    const { orders, queue, submit, time, turn } = setUp()
    orders.add({ op: 'read', delayMs: 50 }, 1)
    orders.add({ op: 'read', first: 2, last: 2, delayMs: 25 }, 1)
    submit(UBLK_IO_OP_READ, 2, 0, 16)
    submit(UBLK_IO_OP_READ, 1, 0, 8)
    submit(UBLK_IO_OP_WRITE, 3, 0, 24)
    expect(turn()).toEqual([24 * 512])
    expect(queue.wakeUs).toBe(50_000)
    time.nowMs += 49.5
    expect(turn()).toEqual([])
    expect(queue.wakeUs).toBe(500)
    time.nowMs += 0.5
    expect(turn()).toEqual([8 * 512])
    expect(queue.wakeUs).toBe(25_000)
    time.nowMs += 30
    expect(turn()).toEqual([16 * 512])
    expect(queue.wakeUs).toBe(0)
  })

  it('go on when the rule that gave them is cleared', () => {
    const { orders, submit, time, turn } = setUp()
    orders.add({ op: 'write', delayMs: 10 }, 1)
    submit(UBLK_IO_OP_WRITE, 1, 0)
    expect(turn()).toEqual([])
    orders.clear()
    submit(UBLK_IO_OP_WRITE, 2, 0)
    expect(turn()).toEqual([8 * 512])
    time.nowMs += 10
    expect(turn()).toEqual([8 * 512])
  })

  it('come before the failure that was ordered with them, torn or not', () => {
    const { orders, state, submit, time, turn } = setUp()
    orders.add({ op: 'write', first: 1, last: 1, delayMs: 10, errno: 'ENOSPC' }, 1)
    // Seed 3 stores 5 of 8 blocks.
    orders.add({ op: 'write', first: 2, last: 2, delayMs: 10, torn: true, seed: 3 }, 1)
    submit(UBLK_IO_OP_WRITE, 1, 0)
    submit(UBLK_IO_OP_WRITE, 2, 0, 64)
    expect(turn()).toEqual([])
    expect([1, 2].map(zone => wpOf(state.table.load(zone)))).toEqual([0, 0])
    time.nowMs += 10
    expect(turn()).toEqual([-28, -EIO])
    const [untouched, torn] = [1, 2].map(zone => wpOf(state.table.load(zone)))
    expect(untouched).toBe(0)
    expect(torn).toBeGreaterThan(0)
    expect(torn).toBeLessThan(64)
    expect(
      state
        .refusals(0)
        .last(9)
        .map(({ fault }) => fault),
    ).toEqual([1, 2])
  })

  it('are added to the time of the drive', () => {
    const asked: number[] = []
    const drive: DriveTime = {
      serve(_tag, timeMs) {
        asked.push(timeMs[0]!)
        timeMs[0]! += 7
      },
    }
    const { orders, queue, submit, time, turn } = setUp(drive)
    submit(UBLK_IO_OP_READ, 1, 0)
    expect(turn()).toEqual([])
    expect(queue.wakeUs).toBe(7000)
    time.nowMs += 7
    expect(turn()).toEqual([4096])
    orders.add({ op: 'read', delayMs: 100 }, 1)
    submit(UBLK_IO_OP_READ, 1, 0)
    turn()
    expect(asked).toEqual([1000, 1107])
    expect(queue.wakeUs).toBe(107_000)
  })
})
