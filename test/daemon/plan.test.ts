/** The planner on a fake queue: what the kernel sends, what it gets back. */
import { beforeEach, describe, expect, it } from 'vitest'
import {
  COUNTER_FAILED,
  COUNTER_NO_SPACE,
  COUNTER_REFUSED,
  COUNTER_WRITES,
} from '../../daemon/counters.js'
import { Planner } from '../../daemon/plan.js'
import { serve } from '../../daemon/serve.js'
import { SharedState } from '../../daemon/shared-state.js'
import {
  admitAppend,
  BLK_ZONE_BYTES,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_IMP_OPEN,
  conditionOf,
  EINVAL,
  EIO,
  ENOSPC,
  EOPNOTSUPP,
  EOVERFLOW,
  ETOOMANYREFS,
  Geometry,
  MemoryMedia,
  readOnlyZone,
  resetZone,
  UBLK_IO_OP_DISCARD,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_REPORT_ZONES,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_WRITE_ZEROES,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_CLOSE,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
  wpOf,
} from '../../zone-model/index.js'
import { type Completion, FakeQueue, type FakeRequest } from '../fakes/fake-queue.js'

const ZONE_SECTORS = 256
const CAPACITY_SECTORS = 192
const DEPTH = 8
const geometry = Geometry.create({
  zoneCount: 8,
  zoneSizeBytes: ZONE_SECTORS * 512,
  zoneCapacityBytes: CAPACITY_SECTORS * 512,
  conventionalCount: 1,
  maxOpen: 2,
  maxActive: 3,
})

let queue: FakeQueue
let state: SharedState

beforeEach(() => {
  const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, DEPTH))
  SharedState.format(buffer, geometry, 1, DEPTH)
  state = new SharedState(buffer, geometry, 1, DEPTH)
  media = new MemoryMedia(geometry.totalBytes)
  queue = new FakeQueue(DEPTH, media)
  planner = new Planner(queue, state, geometry, media, 0, DEPTH)
})
let planner: Planner
let media: MemoryMedia

/** Serve until all requests are answered; their completions in order. */
function run(...requests: FakeRequest[]): Completion[] {
  for (const request of requests) queue.submit(request)
  let turn = 0
  for (let turns = 0; queue.pending > 0; turns++) {
    if (turns > 1000) throw new Error('requests are not answered')
    const ready = queue.commitAndFetch(turn)
    turn = planner.planTurn(ready)
  }
  return queue.completions.splice(0)
}

const at = (zone: number, offset = 0) => zone * ZONE_SECTORS + offset
const payload = (sectors: number, byte: number) => new Uint8Array(sectors * 512).fill(byte)
const write = (zone: number, offset: number, sectors: number, byte = 1): FakeRequest => ({
  op: UBLK_IO_OP_WRITE,
  startSector: at(zone, offset),
  sectors,
  payload: payload(sectors, byte),
})
const read = (zone: number, offset: number, sectors: number): FakeRequest => ({
  op: UBLK_IO_OP_READ,
  startSector: at(zone, offset),
  sectors,
})
const command = (op: number, zone: number): FakeRequest => ({
  op,
  startSector: at(zone),
  sectors: 0,
})
const results = (completions: Completion[]) => completions.map(completion => completion.result)

describe('data', () => {
  it('reads back what was written, and zeros past it', () => {
    const [written, back] = run(write(1, 0, 16, 7), read(1, 0, 32))
    expect(written!.result).toBe(16 * 512)
    expect(back!.data.subarray(0, 16 * 512).every(byte => byte === 7)).toBe(true)
    expect(back!.data.subarray(16 * 512).every(byte => byte === 0)).toBe(true)
  })

  it('appends tell where the bytes went, several in one turn', () => {
    const append = (byte: number): FakeRequest => ({
      op: UBLK_IO_OP_ZONE_APPEND,
      startSector: at(3),
      sectors: 8,
      payload: payload(8, byte),
    })
    const done = run(append(1), append(2), append(3))
    expect(done.map(completion => completion.lbaSector)).toEqual([at(3), at(3, 8), at(3, 16)])
    const back = run(read(3, 0, 24))[0]!
    expect([back.data[0], back.data[8 * 512], back.data[16 * 512]]).toEqual([1, 2, 3])
  })

  it('conventional zones are written anywhere, zeroed and discarded', () => {
    expect(results(run(write(0, 64, 8, 9), write(0, 8, 8, 8)))).toEqual([4096, 4096])
    const zeroes = { op: UBLK_IO_OP_WRITE_ZEROES, startSector: at(0, 64), sectors: 8 }
    const discard = { op: UBLK_IO_OP_DISCARD, startSector: at(0, 8), sectors: 8 }
    expect(results(run(zeroes, discard)).every(result => result >= 0)).toBe(true)
    const back = run(read(0, 0, 128))[0]!
    expect(back.data.every(byte => byte === 0)).toBe(true)
  })

  it('a discard of a read-only zone is refused, and its bytes stay', () => {
    run(write(2, 0, 8, 5))
    readOnlyZone(state.table, 2)
    const discard = { op: UBLK_IO_OP_DISCARD, startSector: at(1), sectors: 2 * ZONE_SECTORS }
    expect(results(run(discard))).toEqual([-EIO])
    expect(run(read(2, 0, 8))[0]!.data[0]).toBe(5)
  })

  it('write zeroes moves the write pointer of a sequential zone', () => {
    const zeroes = { op: UBLK_IO_OP_WRITE_ZEROES, startSector: at(2), sectors: 16 }
    expect(results(run(zeroes))[0]).toBeGreaterThanOrEqual(0)
    expect(wpOf(state.table.load(2))).toBe(16)
  })

  it('flush succeeds; what ublk does not know is EOPNOTSUPP; past the end is EINVAL', () => {
    expect(results(run({ op: UBLK_IO_OP_FLUSH, startSector: 0, sectors: 0 }))).toEqual([0])
    expect(results(run({ op: 99, startSector: 0, sectors: 8 }))).toEqual([-EOPNOTSUPP])
    expect(results(run(read(7, ZONE_SECTORS - 8, 16)))).toEqual([-EINVAL])
    expect(results(run({ ...read(0, 0, 8), startSector: 2 ** 40 }))).toEqual([-EINVAL])
  })
})

describe('zone commands', () => {
  it('open, close, finish, reset, reset all', () => {
    expect(results(run(command(UBLK_IO_OP_ZONE_OPEN, 1)))).toEqual([0])
    expect(conditionOf(state.table.load(1))).toBe(BLK_ZONE_COND_EXP_OPEN)
    expect(
      results(run(command(UBLK_IO_OP_ZONE_CLOSE, 1), command(UBLK_IO_OP_ZONE_FINISH, 1))),
    ).toEqual([0, 0])
    expect(conditionOf(state.table.load(1))).toBe(BLK_ZONE_COND_FULL)
    run(write(2, 0, 8, 5))
    expect(results(run(command(UBLK_IO_OP_ZONE_RESET, 1)))).toEqual([0])
    expect(results(run(command(UBLK_IO_OP_ZONE_RESET_ALL, 0)))).toEqual([0])
    expect(wpOf(state.table.load(2))).toBe(0)
    expect(run(read(2, 0, 8))[0]!.data.every(byte => byte === 0)).toBe(true)
  })

  it('limits and misuse have the errno of the NVMe driver, and are remembered', () => {
    run(command(UBLK_IO_OP_ZONE_OPEN, 1), command(UBLK_IO_OP_ZONE_OPEN, 2))
    expect(results(run(command(UBLK_IO_OP_ZONE_OPEN, 3)))).toEqual([-ETOOMANYREFS])
    run(write(1, 0, 8), write(2, 0, 8))
    run(command(UBLK_IO_OP_ZONE_CLOSE, 1), command(UBLK_IO_OP_ZONE_CLOSE, 2), write(3, 0, 8))
    expect(results(run(write(4, 0, 8)))).toEqual([-EOVERFLOW])
    expect(results(run(write(3, 64, 8)))).toEqual([-EIO])
    expect(results(run(command(UBLK_IO_OP_ZONE_RESET, 0)))).toEqual([-EIO])
    const remembered = state.refusals(0).last(10)
    expect(remembered.map(refusal => refusal.status)).toEqual([
      0x1be,
      0x1bd,
      0x1bc,
      expect.any(Number),
    ])
    expect(remembered[2]).toMatchObject({
      zone: 3,
      startSector: at(3, 64),
      sectors: 8,
      op: UBLK_IO_OP_WRITE,
    })
    expect(conditionOf(remembered[2]!.wordBefore)).toBe(BLK_ZONE_COND_IMP_OPEN)
    expect(state.counters(0)[COUNTER_REFUSED]).toBe(4)
  })

  it('a refused append names its zone, as the kernel wants even then', () => {
    run(command(UBLK_IO_OP_ZONE_FINISH, 5))
    const append = { op: UBLK_IO_OP_ZONE_APPEND, startSector: at(5), sectors: 8 }
    expect(run(append)[0]).toMatchObject({ result: -EIO, lbaSector: at(5) })
  })

  it('reports zones, and zeros the rest of the buffer', () => {
    run(write(1, 0, 16))
    queue.stage.fill(0xff)
    const report = { op: UBLK_IO_OP_REPORT_ZONES, startSector: at(1), sectors: 10 }
    const { data, result } = run(report)[0]!
    expect(result).toBe(10 * BLK_ZONE_BYTES)
    const view = new DataView(data.buffer)
    expect(Number(view.getBigUint64(16, true))).toBe(at(1, 16))
    expect(Number(view.getBigUint64(6 * BLK_ZONE_BYTES, true))).toBe(at(7))
    expect(data.subarray(7 * BLK_ZONE_BYTES).every(byte => byte === 0)).toBe(true)
  })
})

describe('failures', () => {
  it('a write whose copy failed does not move the write pointer, and the next one fits', () => {
    run(write(1, 0, 8, 1))
    queue.failNextWrites = 1
    expect(results(run(write(1, 8, 8, 2)))).toEqual([-EIO])
    expect(wpOf(state.table.load(1))).toBe(8)
    expect(state.counters(0)[COUNTER_FAILED]).toBe(1)
    expect(results(run(write(1, 8, 8, 3)))).toEqual([4096])
    expect(run(read(1, 8, 8))[0]!.data[0]).toBe(3)
  })

  it('of failed writes, those without memory for their bytes are counted apart', () => {
    queue.failNextWrites = 1
    queue.failResult = -ENOSPC
    expect(results(run(write(1, 0, 8)))).toEqual([-ENOSPC])
    queue.failNextWrites = 1
    queue.failResult = -EIO
    run(write(1, 0, 8))
    expect(state.counters(0)[COUNTER_NO_SPACE]).toBe(1)
    expect(state.counters(0)[COUNTER_FAILED]).toBe(2)
  })

  it('a write that would have filled the zone leaves it open when its copy failed', () => {
    run(write(1, 0, CAPACITY_SECTORS - 8))
    queue.failNextWrites = 1
    expect(results(run(write(1, CAPACITY_SECTORS - 8, 8)))).toEqual([-EIO])
    expect(conditionOf(state.table.load(1))).toBe(BLK_ZONE_COND_IMP_OPEN)
    expect(results(run(write(1, CAPACITY_SECTORS - 8, 8)))).toEqual([4096])
    expect(conditionOf(state.table.load(1))).toBe(BLK_ZONE_COND_FULL)
  })

  it('two appends whose copies failed are both taken back', () => {
    const append = { op: UBLK_IO_OP_ZONE_APPEND, startSector: at(3), sectors: 8 }
    queue.failNextWrites = 2
    expect(results(run({ ...append, payload: payload(8, 1) }, append))).toEqual([-EIO, -EIO])
    expect(wpOf(state.table.load(3))).toBe(0)
  })

  it('a failed write never throws away what another has been told is there', () => {
    const append = (byte: number): FakeRequest => ({
      op: UBLK_IO_OP_ZONE_APPEND,
      startSector: at(3),
      sectors: 8,
      payload: payload(8, byte),
    })
    queue.failNextWrites = 1
    queue.batchMax = 1
    queue.submit(append(1))
    planner.planTurn(queue.commitAndFetch(0))
    // Between the admission and the failed copy, another queue resets the zone, and writes it anew.
    resetZone(state.table, 3, () => 0)
    media.write(at(3) * 512, payload(8, 2))
    expect(admitAppend(state.table, 1, 3, 8)).toBe(0)
    planner.planTurn(queue.commitAndFetch(1))
    const back = new Uint8Array(8 * 512)
    media.read(at(3) * 512, back)
    expect(back.every(byte => byte === 2)).toBe(true)
  })

  it('a reset of the same turn comes before a write', () => {
    run(write(2, 0, 8, 1))
    const reset = command(UBLK_IO_OP_ZONE_RESET, 2)
    const zeroes = { op: UBLK_IO_OP_WRITE_ZEROES, startSector: at(2), sectors: 8 }
    // Commands stand in the order in which they were decided.
    expect(results(run(write(2, 8, 8, 2), reset))).toEqual([0, -EIO])
    expect(results(run(zeroes))[0]).toBeGreaterThanOrEqual(0)
    expect(run(read(2, 0, 16))[0]!.data.every(byte => byte === 0)).toBe(true)
  })

  it('every tag is committed exactly once, whatever comes', () => {
    const requests: FakeRequest[] = []
    for (let op = 0; op < 32; op++) {
      for (const startSector of [0, 8, at(1), at(7, 248), at(8), 2 ** 33]) {
        requests.push({ op, startSector, sectors: 8, payload: payload(8, op) })
      }
    }
    expect(run(...requests).length).toBe(requests.length)
    expect(state.counters(0)[COUNTER_WRITES]).toBeGreaterThan(0)
  })
})

describe('serve', () => {
  const ignore = () => {}

  it('ends with −ENODEV when the device stops, with 0 when asked', () => {
    queue.stopped = true
    expect(serve(queue, planner, state, ignore)).toBe(-19)
    queue.stopped = false
    state.stopRequested = true
    expect(serve(queue, planner, state, ignore)).toBe(0)
  })

  it('batches while several requests come at once, and stops after 64 turns of one', () => {
    const told: string[] = []
    let turns = 0
    const fetch = queue.commitAndFetch.bind(queue)
    queue.commitAndFetch = turn => {
      turns++
      return fetch(turn)
    }
    for (let i = 0; i < 3 * DEPTH; i++) queue.submit(read(1, 0, 8))
    queue.stopped = true
    const schedule = (isBatch: boolean) => {
      told.push(`${isBatch} after ${turns}`)
      if (isBatch) queue.batchMax = 1
      else for (let i = 0; i < 2; i++) queue.submit(read(1, 0, 8))
    }
    for (let i = 0; i < 200; i++) queue.submit(read(1, 0, 8))
    serve(queue, planner, state, schedule)
    expect(told).toEqual(['true after 1', 'false after 65'])
  })
})
