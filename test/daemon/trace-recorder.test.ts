/**
 * A planner that records, on a fake queue: what the ring holds is what the queue was asked and answered, in the order in which
 * it was decided, whatever batches and failed copies there are.
 */
import { beforeEach, expect, it } from 'vitest'
import { Planner } from '../../daemon/plan.js'
import { type Gate, VERDICT_TORN } from '../../daemon/seams.js'
import { SharedState } from '../../daemon/shared-state.js'
import { decodeEntries, type TraceEntry } from '../../daemon/trace-entries.js'
import type { RingSource } from '../../daemon/trace-recorder.js'
import { TraceRing, traceBase, traceBytes } from '../../daemon/trace-ring.js'
import { STAMP_BIT } from '../../ublk-native/index.js'
import {
  EIO,
  Geometry,
  MemoryMedia,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
} from '../../zone-model/index.js'
import { FakeQueue, type FakeRequest } from '../fakes/fake-queue.js'
import { Prng } from '../fakes/prng.js'

const DEPTH = 8
const ZONE_SECTORS = 256
const geometry = Geometry.create({
  zoneCount: 6,
  zoneSizeBytes: ZONE_SECTORS * 512,
  conventionalCount: 1,
  maxOpen: 2,
  maxActive: 3,
})
const BASE_US = 1000

let queue: FakeQueue
let state: SharedState
let planner: Planner
let traceMemory: SharedArrayBuffer
let ring: TraceRing
let opened: number
let closed: number
let turn: number
let nowUs: number
let media: MemoryMedia
let rings: RingSource

beforeEach(() => {
  const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, DEPTH))
  SharedState.format(buffer, geometry, 1, DEPTH)
  state = new SharedState(buffer, geometry, 1, DEPTH)
  media = new MemoryMedia(geometry.totalBytes)
  queue = new FakeQueue(DEPTH, media)
  nowUs = BASE_US
  queue.nowUs = () => {
    nowUs += 10
    return nowUs
  }
  traceMemory = new SharedArrayBuffer(traceBytes(1))
  traceBase(traceMemory)[0] = BASE_US
  ring = new TraceRing(traceMemory, 0)
  opened = 0
  closed = 0
  turn = 0
  rings = {
    open: () => {
      opened++
      return new TraceRing(traceMemory, 0)
    },
    close: () => {
      closed++
    },
  }
  planner = new Planner(queue, state, geometry, media, 0, DEPTH, {}, rings)
})

function kick(): void {
  turn = planner.planTurn(queue.commitAndFetch(turn))
}

function run(...requests: FakeRequest[]): void {
  for (const request of requests) queue.submit(request)
  for (let turns = 0; queue.pending > 0; turns++) {
    if (turns > 1000) throw new Error('requests are not answered')
    kick()
  }
}

const drained = (): TraceEntry[] => decodeEntries(Buffer.from(ring.drain()).toString('base64'))
const at = (zone: number, offset = 0) => zone * ZONE_SECTORS + offset
const write = (zone: number, offset: number, sectors = 8): FakeRequest => ({
  op: UBLK_IO_OP_WRITE,
  startSector: at(zone, offset),
  sectors,
})
const reset = (zone: number): FakeRequest => ({
  op: UBLK_IO_OP_ZONE_RESET,
  startSector: at(zone),
  sectors: 0,
})

function begin(): void {
  state.recording = 1
  kick()
}

it('asks for no times and opens nothing while nothing is recorded', () => {
  run(write(1, 0))
  kick()
  expect(turn & STAMP_BIT).toBe(0)
  expect([opened, ring.ready]).toEqual([0, 0])
})

it('records what comes after it took part, and not what came before', () => {
  run(write(1, 0))
  state.recording = 1
  expect(ring.recording).toBe(0)
  // The turn that finds the recording still has a request without a time.
  run(write(1, 8))
  expect(ring.recording).toBe(1)
  run(write(1, 16))
  kick()
  expect(drained()).toMatchObject([{ op: 'write', startSector: at(1, 16), result: 4096 }])
  state.recording = 0
  kick()
  run(write(1, 24))
  kick()
  expect(drained()).toEqual([])
  expect([opened, closed, ring.recording]).toEqual([1, 1, 0])
  expect(turn & STAMP_BIT).toBe(0)
})

it('what was under way when the recording ended is in it', () => {
  begin()
  queue.submit(write(1, 0))
  kick()
  state.recording = 0
  expect(ring.ready).toBe(0)
  kick()
  expect(drained()).toMatchObject([{ op: 'write', result: 4096 }])
})

it('another recording at once begins anew', () => {
  begin()
  state.recording = 2
  kick()
  expect([opened, closed, ring.recording]).toEqual([2, 1, 2])
})

it('times are those of delivery, latencies end with the execution', () => {
  begin()
  queue.submit(write(1, 0))
  kick()
  const delivered = nowUs
  kick()
  expect(drained()).toMatchObject([{ t: delivered - BASE_US, latencyUs: 10 }])
  expect(ring.turnUs).toBe(0)
  nowUs += 5000
  kick()
  expect(ring.turnUs).toBe(5000)
})

it('a write whose copy failed is one request, recorded when it is over', () => {
  begin()
  queue.failNextWrites = 1
  queue.submit(write(1, 0))
  kick()
  const delivered = nowUs
  kick()
  expect(ring.ready).toBe(0)
  kick()
  expect(drained()).toMatchObject([
    { op: 'write', result: -EIO, t: delivered - BASE_US, latencyUs: 30 },
  ])
})

it('a torn write is over when its part is stored: it does not come back', () => {
  const gate: Gate = {
    beginTurn: () => true,
    arrive: () => VERDICT_TORN,
    due: () => -1,
    verdict: () => VERDICT_TORN,
    tornSectors: () => 8,
    tornResult: () => -EIO,
    cause: () => 1,
    endTurn: () => {},
  }
  planner = new Planner(queue, state, geometry, media, 0, DEPTH, { gate }, rings)
  begin()
  queue.submit(write(1, 0, 16))
  kick()
  kick()
  expect(drained()).toMatchObject([{ op: 'write', sectors: 16, result: -EIO }])
  expect(queue.completions.map(({ result }) => result)).toEqual([-EIO])
})

it('resets of a turn come first, as they were executed', () => {
  run(write(1, 0))
  begin()
  run(write(2, 0), reset(1), write(1, 0))
  kick()
  expect(drained().map(({ op, startSector }) => [op, startSector])).toEqual([
    ['reset', at(1)],
    ['write', at(2)],
    ['write', at(1)],
  ])
})

it('one entry a request, with the result and place that the kernel was told', () => {
  const prng = Prng.fromEnvironment('trace recorder')
  begin()
  const ops = [
    ...[UBLK_IO_OP_WRITE, UBLK_IO_OP_WRITE, UBLK_IO_OP_ZONE_APPEND, UBLK_IO_OP_READ],
    ...[UBLK_IO_OP_ZONE_RESET, UBLK_IO_OP_ZONE_FINISH, UBLK_IO_OP_ZONE_OPEN, UBLK_IO_OP_FLUSH],
  ]
  const NAMES = ['read', 'write', 'flush']
  for (let round = 0; round < 400; round++) {
    queue.batchMax = 1 + prng.below(DEPTH)
    queue.failNextWrites = prng.chance(0.2) ? 1 + prng.below(3) : 0
    const count = 1 + prng.below(12)
    for (let i = 0; i < count; i++) {
      const op = prng.pick(ops)
      const isPlain = op === UBLK_IO_OP_WRITE || op === UBLK_IO_OP_READ
      const isData = isPlain || op === UBLK_IO_OP_ZONE_APPEND
      const zone = prng.below(6)
      const offset = isPlain ? 8 * prng.below(4) : 0
      queue.submit({ op, startSector: at(zone, offset), sectors: isData ? 8 : 0 })
    }
    queue.completions.length = 0
    run()
    kick()
    const entries = drained()
    const key = (op: string, start: number, result: number, lba: number) =>
      `${op} ${start} ${result} ${op === 'append' && result >= 0 ? lba : ''}`
    const name = (op: number) =>
      NAMES[op] ?? { 10: 'open', 12: 'finish', 13: 'append', 15: 'reset' }[op]!
    expect(
      entries.map(({ op, startSector, result, lba }) => key(op, startSector, result, lba)).sort(),
    ).toEqual(
      queue.completions
        .map(({ request, result, lbaSector }) =>
          key(name(request.op), request.startSector, result, lbaSector),
        )
        .sort(),
    )
    // Of one queue and one turn, times are equal; they never go back but for what came back.
    expect(entries.every(({ latencyUs }) => latencyUs > 0)).toBe(true)
  }
  expect(ring.lost).toBe(0)
})
