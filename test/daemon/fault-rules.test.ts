/**
 * Rules of faults against a naive reading of them: random rules and requests, the same answers and the same counts.
 *
 * The naive one keeps plain objects and reads a rule as its documentation says it. Seeds are printed with what fails.
 */
import { describe, expect, it } from 'vitest'
import { type FaultInfo, type FaultOrder, FaultOrders } from '../../daemon/fault-orders.js'
import {
  FAULT_FILE_BYTES,
  FAULT_RULES_MAX,
  FaultRules,
  faultWords,
  mulberry32,
} from '../../daemon/fault-rules.js'
import { Requests } from '../../daemon/requests.js'
import { DESCRIPTOR_WORDS } from '../../ublk-native/index.js'
import {
  Geometry,
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
} from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'

const ZONES = 8
const ZONE_SECTORS = 256
const BLOCK_SECTORS = 8
const DEPTH = 4
const geometry = Geometry.create({ zoneCount: ZONES, zoneSizeBytes: ZONE_SECTORS * 512 })

const KIND: Record<number, string> = {
  [UBLK_IO_OP_READ]: 'read',
  [UBLK_IO_OP_WRITE]: 'write',
  [UBLK_IO_OP_WRITE_ZEROES]: 'write',
  [UBLK_IO_OP_ZONE_APPEND]: 'append',
  [UBLK_IO_OP_ZONE_RESET]: 'reset',
  [UBLK_IO_OP_ZONE_RESET_ALL]: 'reset',
  [UBLK_IO_OP_ZONE_OPEN]: 'open',
  [UBLK_IO_OP_ZONE_CLOSE]: 'close',
  [UBLK_IO_OP_ZONE_FINISH]: 'finish',
  [UBLK_IO_OP_FLUSH]: 'flush',
  [UBLK_IO_OP_DISCARD]: 'discard',
}
const OPS = [...Object.keys(KIND).map(Number), UBLK_IO_OP_REPORT_ZONES]

interface One {
  op: number
  zone: number
  offset: number
  sectors: number
}

interface Answer {
  delayMs: number
  errno: number
  cause: number
  tornSectors: number
}

const NOTHING: Answer = { delayMs: 0, errno: 0, cause: 0, tornSectors: -1 }
const ERRNO: Record<string, number> = { EIO: 5, ENOSPC: 28, ETIMEDOUT: 110 }

/** A rule as its documentation reads. */
class NaiveRule {
  matched = 0
  applied = 0
  #drawn = 0

  constructor(
    readonly id: number,
    readonly order: FaultOrder,
    readonly seed: number,
  ) {}

  get count(): number {
    return this.order.count ?? (this.order.nth === undefined ? Number.POSITIVE_INFINITY : 1)
  }

  #draw(): number {
    this.#drawn++
    return mulberry32((this.seed + Math.imul(this.#drawn, 0x6d2b79f5)) | 0) / 2 ** 32
  }

  #matches(one: One): boolean {
    const kind = KIND[one.op]
    const { op, first, last } = this.order
    if (kind === undefined || (op !== 'any' && op !== kind)) return false
    if (first === undefined || last === undefined) return true
    if (one.op === UBLK_IO_OP_ZONE_RESET_ALL) return true
    if (one.op === UBLK_IO_OP_FLUSH) return false
    for (let sector = one.offset; ; sector += BLOCK_SECTORS) {
      const zone = one.zone + Math.floor(sector / ZONE_SECTORS)
      if (zone >= first && zone <= last) return true
      if (sector + BLOCK_SECTORS >= one.offset + one.sectors) return false
    }
  }

  /** Adds to the answer; whether it fails the request. */
  apply(one: One, answer: Answer): boolean {
    if (this.applied === this.count || !this.#matches(one)) return false
    this.matched++
    const { nth, probability, errno, delayMs = 0, torn } = this.order
    if (nth !== undefined && this.matched % nth !== 0) return false
    if (probability !== undefined && probability < 1 && this.#draw() >= probability) return false
    this.applied++
    answer.delayMs += delayMs
    if (errno === undefined && torn !== true) return false
    answer.errno = ERRNO[errno ?? 'EIO']!
    answer.cause = this.id
    if (torn === true) {
      const canTear = one.op === UBLK_IO_OP_WRITE || one.op === UBLK_IO_OP_ZONE_APPEND
      const blocks = one.sectors / BLOCK_SECTORS
      answer.tornSectors = canTear ? Math.floor(this.#draw() * blocks) * BLOCK_SECTORS : 0
    }
    return true
  }
}

function setUp() {
  const words = faultWords(new SharedArrayBuffer(FAULT_FILE_BYTES))
  const descriptors = new Uint32Array(DEPTH * DESCRIPTOR_WORDS)
  const requests = new Requests(descriptors, geometry)
  const worker = () => new FaultRules(words, requests, BLOCK_SECTORS)
  const judge = (rules: FaultRules, one: One): Answer => {
    const start = one.zone * ZONE_SECTORS + one.offset
    descriptors.set([one.op, one.sectors, start, 0], 0)
    if (!rules.look()) return { ...NOTHING }
    rules.judge(0)
    const { delayMs, errno, cause, tornSectors } = rules
    return { delayMs, errno, cause, tornSectors }
  }
  return { orders: new FaultOrders(words, ZONES), worker, judge }
}

const write = (zone: number, sectors = 8): One => ({
  op: UBLK_IO_OP_WRITE,
  zone,
  offset: 0,
  sectors,
})

describe('random rules and requests', () => {
  const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1)
  it.each(SEEDS)('seed %i', seed => {
    const source = new Prng(seed)
    const random = () => source.next() / 2 ** 32
    const below = (n: number) => Math.floor(random() * n)
    const pick = <T>(all: readonly T[]): T => all[below(all.length)]!
    const { orders, worker, judge } = setUp()
    // Two queues: they count together.
    const workers = [worker(), worker()]
    let naive: NaiveRule[] = []
    const addOne = () => {
      const order: FaultOrder = {
        op: pick(['read', 'write', 'append', 'reset', 'flush', 'discard', 'any']),
      }
      if (order.op !== 'flush' && random() < 0.5) {
        order.first = below(ZONES)
        order.last = order.first + below(ZONES - order.first)
      }
      const when = below(4)
      if (when === 0) order.nth = 1 + below(5)
      if (when === 1) order.probability = pick([0.1, 0.5, 0.9, 1])
      if (random() < 0.4) order.count = 1 + below(4)
      if (random() < 0.6) order.errno = pick(Object.keys(ERRNO))
      if (random() < 0.4) order.delayMs = 1 + below(100)
      if ((order.op === 'write' || order.op === 'append') && random() < 0.5) order.torn = true
      if (order.errno === undefined && order.delayMs === undefined && !order.torn)
        order.errno = 'EIO'
      if (random() < 0.5) order.seed = below(2 ** 32)
      const info = orders.add(order, below(2 ** 32))
      if (order.seed !== undefined) expect(info.seed).toBe(order.seed)
      naive.push(new NaiveRule(info.id, order, info.seed))
    }
    for (let step = 0; step < 400; step++) {
      if (naive.length < 6 && random() < 0.05) addOne()
      if (naive.length > 0 && random() < 0.02) {
        const gone = pick(naive)
        expect(orders.clear(gone.id)).toEqual([gone.id])
        naive = naive.filter(rule => rule !== gone)
      }
      const op = pick(OPS)
      const isCommand = op >= UBLK_IO_OP_ZONE_OPEN && op !== UBLK_IO_OP_ZONE_APPEND
      const zone = below(ZONES)
      const offset = isCommand ? 0 : below(31) * BLOCK_SECTORS
      const most = op === UBLK_IO_OP_DISCARD ? (ZONES - zone) * 32 : 32
      const blocks = 1 + below(most - offset / BLOCK_SECTORS)
      const sectors = isCommand || op === UBLK_IO_OP_FLUSH ? 0 : blocks * BLOCK_SECTORS
      const one = { op, zone, offset, sectors }
      const expected = { ...NOTHING }
      for (const rule of naive) if (rule.apply(one, expected)) break
      expect(judge(pick(workers), one), `seed ${seed} step ${step}`).toEqual(expected)
    }
    const counts = (all: readonly { id: number; matched: number; applied: number }[]) =>
      all.map(({ id, matched, applied }) => ({ id, matched, applied }))
    expect(counts(orders.list())).toEqual(counts(naive))
  })
})

describe('orders', () => {
  it('without rules a turn is told that there are none', () => {
    const { worker, orders } = setUp()
    const rules = worker()
    expect(rules.look()).toBe(false)
    orders.add({ op: 'any', errno: 'EIO' }, 1)
    expect(rules.look()).toBe(true)
    orders.clear()
    expect(rules.look()).toBe(false)
  })

  it('nth is once, with a count it is every nth', () => {
    const { worker, orders, judge } = setUp()
    const rules = worker()
    orders.add({ op: 'write', nth: 3, errno: 'EIO' }, 1)
    const failed = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => from + i).filter(
        () => judge(rules, write(1)).errno !== 0,
      )
    expect(failed(1, 13)).toEqual([3])
    orders.clear()
    orders.add({ op: 'write', nth: 3, count: 2, errno: 'EIO' }, 1)
    expect(failed(1, 13)).toEqual([3, 6])
    expect(orders.list()).toMatchObject([{ matched: 6, applied: 2, count: 2, spent: true }])
  })

  it('a seed decides which, and other seeds decide otherwise', () => {
    const fates = (seed: number): string => {
      const { worker, orders, judge } = setUp()
      const rules = worker()
      orders.add({ op: 'write', probability: 0.3, torn: true, seed }, 0)
      return Array.from({ length: 60 }, () => judge(rules, write(1, 64)).tornSectors).join()
    }
    expect(fates(7)).toBe(fates(7))
    expect(fates(7)).not.toBe(fates(8))
    const torn = fates(7)
      .split(',')
      .map(Number)
      .filter(sectors => sectors >= 0)
    expect(torn.length).toBeGreaterThan(5)
    expect(torn.length).toBeLessThan(40)
    expect(torn.every(sectors => sectors % BLOCK_SECTORS === 0 && sectors < 64)).toBe(true)
  })

  it.each<[FaultOrder, RegExp]>([
    [{ op: 'write' }, /give --errno, --delay or --torn/],
    [{ op: 'write', nth: 2 }, /give --errno, --delay or --torn/],
    [{ op: 'read', torn: true }, /--torn with --op read/],
    [{ op: 'any', torn: true }, /--torn with --op any/],
    [{ op: 'write', nth: 2, probability: 0.5, errno: 'EIO' }, /--nth 2 with --probability 0\.5/],
    [{ op: 'write', first: 3, last: 8, errno: 'EIO' }, /--zone 3-8: .* from 0 to 7/],
    [{ op: 'flush', first: 3, last: 3, errno: 'EIO' }, /leave --zone out/],
  ])('refuses %j', (order, message) => {
    const { orders } = setUp()
    expect(() => orders.add(order, 1)).toThrow(message)
    expect(orders.list()).toEqual([])
  })

  it('are listed as they were given', () => {
    const { orders } = setUp()
    const given: FaultOrder = { op: 'append', first: 2, last: 5, probability: 0.25, count: 9 }
    const info = orders.add(
      { ...given, errno: 'ENOSPC', delayMs: 5, torn: true, seed: 2 ** 32 - 1 },
      0,
    )
    const expected: FaultInfo = {
      id: 1,
      op: 'append',
      zones: { first: 2, last: 5 },
      nth: null,
      probability: 0.25,
      count: 9,
      errno: 'ENOSPC',
      delayMs: 5,
      torn: true,
      seed: 2 ** 32 - 1,
      matched: 0,
      applied: 0,
      spent: false,
    }
    expect(info).toEqual(expected)
    expect(orders.list()).toEqual([expected])
  })

  it('ids are never given twice, and 64 are the most', () => {
    const { orders, worker, judge } = setUp()
    for (let id = 1; id <= FAULT_RULES_MAX; id++) {
      expect(orders.add({ op: 'read', delayMs: 1 }, 1).id).toBe(id)
    }
    expect(() => orders.add({ op: 'read', delayMs: 1 }, 1)).toThrow(/64 faults are the most/)
    expect(orders.clear(3)).toEqual([3])
    expect(() => orders.clear(3)).toThrow(/there is no fault 3: 1, 2, 4/)
    expect(orders.add({ op: 'write', errno: 'EIO' }, 1).id).toBe(65)
    expect(orders.list().map(({ id }) => id)).toEqual([
      1,
      2,
      ...Array.from({ length: 62 }, (_, i) => i + 4),
    ])
    expect(judge(worker(), write(0)).cause).toBe(65)
    expect(orders.clear()).toHaveLength(64)
  })
})
