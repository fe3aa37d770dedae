/** The ring of recorded requests: what goes in comes out the same, in order, and what finds no room is counted. */
import { expect, it } from 'vitest'
import { decodeEntries, type TraceEntry } from '../../daemon/trace-entries.js'
import { TraceRing, traceBase, traceBytes } from '../../daemon/trace-ring.js'
import { UBLK_IO_OP_WRITE, UBLK_IO_OP_ZONE_APPEND } from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'

const FUA = 1 << 13
const BASE_US = 5e9 + 0.25

function memory(queues: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(traceBytes(queues))
  traceBase(buffer)[0] = BASE_US
  return buffer
}

const drained = (ring: TraceRing): TraceEntry[] =>
  decodeEntries(Buffer.from(ring.drain()).toString('base64'))

/** Push a random request; what must be read. */
function pushRandom(prng: Prng, ring: TraceRing, t: number): TraceEntry {
  const isAppend = prng.chance(0.5)
  const isFua = prng.chance(0.3)
  const high = prng.below(4)
  const low = prng.next()
  const result = prng.chance(0.2) ? -prng.below(200) - 1 : prng.below(2 ** 31)
  const lbaLow = isAppend ? prng.next() : 0
  const sectors = prng.next()
  const latencyUs = prng.below(2 ** 31)
  const op = isAppend ? UBLK_IO_OP_ZONE_APPEND : UBLK_IO_OP_WRITE
  const flags = isFua ? FUA : 1 << 9
  ring.push(op | flags, sectors, low, high, result, lbaLow, BASE_US + t, latencyUs)
  return {
    t,
    op: isAppend ? 'append' : 'write',
    startSector: high * 2 ** 32 + low,
    sectors,
    isFua,
    result,
    lba: high * 2 ** 32 + lbaLow,
    latencyUs,
  }
}

it('is a queue of bounded length, whatever is pushed and read', () => {
  const prng = Prng.fromEnvironment('trace ring')
  const SIZE = 8
  const buffer = memory(3)
  const ring = new TraceRing(buffer, 1, SIZE)
  const reader = new TraceRing(buffer, 1, SIZE)
  let model: TraceEntry[] = []
  let pushed: TraceEntry[] = []
  let lost = 0
  for (let step = 0; step < 5000; step++) {
    if (prng.chance(0.7)) {
      const entry = pushRandom(prng, ring, step * 10.5)
      if (model.length + pushed.length < SIZE) pushed.push(entry)
      else lost++
    } else if (prng.chance(0.6)) {
      ring.publish()
      model.push(...pushed)
      pushed = []
    } else {
      expect(reader.ready).toBe(model.length)
      expect(drained(reader)).toEqual(model)
      model = []
    }
    expect(reader.lost).toBe(lost)
  }
  expect(lost).toBeGreaterThan(100)
})

it('goes on where counts go round at 2^32', () => {
  const buffer = memory(1)
  const words = new Int32Array(buffer, 64)
  words[0] = 0x7ffffffd
  words[16] = 0x7ffffffd
  const ring = new TraceRing(buffer, 0, 4)
  const prng = new Prng(7)
  const entries = [1, 2, 3, 4].map(t => pushRandom(prng, ring, t))
  pushRandom(prng, ring, 5)
  ring.publish()
  expect(drained(new TraceRing(buffer, 0, 4))).toEqual(entries)
  expect(ring.lost).toBe(1)
})

it('rings of queues are apart', () => {
  const buffer = memory(2)
  const rings = [new TraceRing(buffer, 0), new TraceRing(buffer, 1)] as const
  const prng = new Prng(8)
  const last = pushRandom(prng, rings[1], 3)
  rings[1].publish()
  rings[1].take(9)
  rings[1].beginTurn(BASE_US + 7999)
  expect([rings[0].ready, rings[0].recording, rings[0].turnUs]).toEqual([0, 0, 0])
  expect([rings[1].ready, rings[1].recording, rings[1].turnUs]).toEqual([1, 9, 7000])
  expect(drained(rings[1])).toEqual([last])
})
