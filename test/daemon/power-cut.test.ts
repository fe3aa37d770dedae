/**
 * Power cuts of a drive in memory: random writes, flushes and zone commands through the planner, then a cut.
 *
 * The model of the test knows, for each zone, what was written and how much of it had to be durable. Seeds are in the names.
 */
import { expect, it } from 'vitest'
import { FlushMarks, flushMarkBytes } from '../../daemon/flush-marks.js'
import { Planner } from '../../daemon/plan.js'
import { loseUnflushed } from '../../daemon/power-cut.js'
import { Requests } from '../../daemon/requests.js'
import { SharedState } from '../../daemon/shared-state.js'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_READONLY,
  conditionOf,
  Geometry,
  MemoryMedia,
  readOnlyZone,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
  wpOf,
} from '../../zone-model/index.js'
import { FakeQueue } from '../fakes/fake-queue.js'
import { Prng } from '../fakes/prng.js'

const DEPTH = 4
const ZONE_SECTORS = 256
const CAPACITY = 192
const BLOCK = 8
const FUA = 1 << 13

const geometry = Geometry.create({
  zoneCount: 8,
  zoneSizeBytes: ZONE_SECTORS * 512,
  zoneCapacityBytes: CAPACITY * 512,
  conventionalCount: 1,
  maxOpen: 3,
  maxActive: 4,
})

function setUp() {
  const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, DEPTH))
  SharedState.format(buffer, geometry, 1, DEPTH)
  const state = new SharedState(buffer, geometry, 1, DEPTH)
  const media = new MemoryMedia(geometry.totalBytes)
  const queue = new FakeQueue(DEPTH, media)
  const marks = new Int32Array(flushMarkBytes(geometry) / 4)
  const requests = new Requests(queue.descriptors, geometry)
  const holder = new FlushMarks(marks, state.table, requests)
  const planner = new Planner(queue, state, geometry, media, 0, DEPTH, { holder })
  /** One request; its result. */
  const ask = (op: number, zone: number, offset = 0, sectors = 0, byte = 0): number => {
    const startSector = zone * ZONE_SECTORS + offset
    queue.submit({ op, startSector, sectors, payload: new Uint8Array(sectors * 512).fill(byte) })
    queue.commit(planner.planTurn(queue.commitAndFetch(0)))
    return queue.completions.pop()!.result
  }
  const cut = (seed: number) => loseUnflushed(state.table, geometry, media, marks, seed)
  return { state, media, marks, ask, cut }
}

type Drive = ReturnType<typeof setUp>

/** What the drive was told, zone by zone: the byte that fills each block, and how much must survive. */
interface Told {
  blocks: number[]
  durable: number
}

function live({ ask, state }: Drive, random: Prng, steps: number): Told[] {
  const told: Told[] = Array.from({ length: 8 }, () => ({ blocks: [], durable: 0 }))
  for (let step = 0; step < steps; step++) {
    const zone = 1 + random.below(7)
    const one = told[zone]!
    const wp = one.blocks.length * BLOCK
    const what = random.below(20)
    if (what < 14 && wp < CAPACITY) {
      const blocks = 1 + random.below(Math.min(4, (CAPACITY - wp) / BLOCK))
      const isFua = random.chance(0.1)
      const op = random.pick([UBLK_IO_OP_WRITE, UBLK_IO_OP_ZONE_APPEND]) | (isFua ? FUA : 0)
      const isAppend = (op & 0xff) === UBLK_IO_OP_ZONE_APPEND
      const byte = 1 + random.below(255)
      if (ask(op, zone, isAppend ? 0 : wp, blocks * BLOCK, byte) < 0) continue
      one.blocks.push(...new Array<number>(blocks).fill(byte))
      if (isFua) one.durable = one.blocks.length
    } else if (what < 16) {
      expect(ask(UBLK_IO_OP_FLUSH, 0)).toBe(0)
      for (const each of told) each.durable = each.blocks.length
    } else if (what === 16 && ask(UBLK_IO_OP_ZONE_RESET, zone) === 0) {
      told[zone] = { blocks: [], durable: 0 }
    } else if (what === 17 && random.chance(0.2) && ask(UBLK_IO_OP_ZONE_RESET_ALL, 0) === 0) {
      for (const each of told) Object.assign(each, { blocks: [], durable: 0 })
    } else if (what === 18 && random.chance(0.3) && ask(UBLK_IO_OP_ZONE_FINISH, zone) === 0) {
      const zeros = new Array<number>(CAPACITY / BLOCK - one.blocks.length).fill(0)
      one.blocks.push(...zeros)
      one.durable = one.blocks.length
    }
    expect(wpOf(state.table.load(zone))).toBe(told[zone]!.blocks.length * BLOCK)
  }
  return told
}

/** The first byte of each block of a zone. */
function blocksOf({ media }: Drive, zone: number): number[] {
  const bytes = new Uint8Array(CAPACITY * 512)
  media.read(zone * ZONE_SECTORS * 512, bytes)
  return Array.from({ length: CAPACITY / BLOCK }, (_, block) => bytes[block * BLOCK * 512]!)
}

it.each(Array.from({ length: 60 }, (_, i) => i + 1))('keeps what was flushed, seed %i', seed => {
  const random = new Prng(seed)
  const drive = setUp()
  const told = live(drive, random, 20 + random.below(150))
  const { table } = drive.state
  const wasFull = told.map(({ blocks }) => blocks.length * BLOCK === CAPACITY)
  const { zones, bytes } = drive.cut(seed)
  let lost = 0
  let active = 0
  let changed = 0
  for (let zone = 1; zone < 8; zone++) {
    const { blocks, durable } = told[zone]!
    const word = table.load(zone)
    const left = wpOf(word) / BLOCK
    expect(Number.isInteger(left)).toBe(true)
    expect(left).toBeGreaterThanOrEqual(durable)
    expect(left).toBeLessThanOrEqual(blocks.length)
    const zeros = new Array<number>(CAPACITY / BLOCK - left).fill(0)
    expect(blocksOf(drive, zone)).toEqual([...blocks.slice(0, left), ...zeros])
    const isFull = wasFull[zone] && left === blocks.length
    const expected =
      left === 0 ? BLK_ZONE_COND_EMPTY : isFull ? BLK_ZONE_COND_FULL : BLK_ZONE_COND_CLOSED
    expect(conditionOf(word)).toBe(expected)
    lost += (blocks.length - left) * BLOCK * 512
    if (left !== blocks.length) changed++
    if (conditionOf(word) === BLK_ZONE_COND_CLOSED) active++
    expect(drive.marks[zone]).toBe(wpOf(word))
  }
  expect({ zones, bytes }).toEqual({ zones: changed, bytes: lost })
  expect(active).toBeLessThanOrEqual(4)
  expect(table.closed).toBe(active)
  expect(table.implicitOpen + table.explicitOpen).toBe(0)
  // It goes on: every zone that is not full takes a write at its write pointer, as far as the limits go.
  for (let zone = 1; zone < 8; zone++) {
    if (conditionOf(table.load(zone)) !== BLK_ZONE_COND_CLOSED) continue
    const wp = wpOf(table.load(zone))
    expect(drive.ask(UBLK_IO_OP_WRITE, zone, wp, BLOCK, 9)).toBe(BLOCK * 512)
  }
})

it('the same seed takes the same, others take something else', () => {
  const outcome = (seed: number): string => {
    const drive = setUp()
    live(drive, new Prng(5), 120)
    drive.cut(seed)
    return Array.from({ length: 8 }, (_, zone) => wpOf(drive.state.table.load(zone))).join()
  }
  expect(outcome(1)).toBe(outcome(1))
  expect(new Set(Array.from({ length: 10 }, (_, seed) => outcome(seed))).size).toBeGreaterThan(3)
})

it('takes all or nothing too: over many seeds both ends come', () => {
  const left = new Set<number>()
  for (let seed = 0; seed < 200; seed++) {
    const drive = setUp()
    drive.ask(UBLK_IO_OP_WRITE, 1, 0, 2 * BLOCK, 1)
    drive.ask(UBLK_IO_OP_FLUSH, 0)
    drive.ask(UBLK_IO_OP_WRITE, 1, 2 * BLOCK, 3 * BLOCK, 2)
    drive.cut(seed)
    left.add(wpOf(drive.state.table.load(1)) / BLOCK)
  }
  expect([...left].sort()).toEqual([2, 3, 4, 5])
})

it.each([
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
])('what was flushed before a reset (op %i) keeps nothing of what comes after it', op => {
  const left = new Set<number>()
  for (let seed = 0; seed < 100; seed++) {
    const drive = setUp()
    drive.ask(UBLK_IO_OP_WRITE, 1, 0, 3 * BLOCK, 1)
    drive.ask(UBLK_IO_OP_FLUSH, 0)
    drive.ask(op, 1)
    drive.ask(UBLK_IO_OP_WRITE, 1, 0, 2 * BLOCK, 2)
    drive.cut(seed)
    left.add(wpOf(drive.state.table.load(1)) / BLOCK)
  }
  expect([...left].sort()).toEqual([0, 1, 2])
})

it('a read-only zone stays as it is', () => {
  const drive = setUp()
  drive.ask(UBLK_IO_OP_WRITE, 1, 0, 4 * BLOCK, 7)
  readOnlyZone(drive.state.table, 1)
  for (let seed = 0; seed < 5; seed++) drive.cut(seed)
  expect(conditionOf(drive.state.table.load(1))).toBe(BLK_ZONE_COND_READONLY)
  expect(blocksOf(drive, 1).slice(0, 5)).toEqual([7, 7, 7, 7, 0])
})

it('full zones stay full when there is no room for another active one', () => {
  let stayed = 0
  for (let seed = 0; seed < 20; seed++) {
    const drive = setUp()
    for (const zone of [1, 2, 3, 4, 5, 6]) {
      expect(drive.ask(UBLK_IO_OP_WRITE, zone, 0, CAPACITY, zone)).toBeGreaterThan(0)
    }
    drive.cut(seed)
    const { table } = drive.state
    const conditions = [1, 2, 3, 4, 5, 6].map(zone => conditionOf(table.load(zone)))
    expect(conditions.filter(one => one === BLK_ZONE_COND_CLOSED).length).toBeLessThanOrEqual(4)
    for (const [i, condition] of conditions.entries()) {
      if (condition === BLK_ZONE_COND_FULL) expect(blocksOf(drive, i + 1)).not.toContain(0)
    }
    if (conditions.includes(BLK_ZONE_COND_FULL)) stayed++
  }
  expect(stayed).toBeGreaterThan(0)
})
