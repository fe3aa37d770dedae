/**
 * Reports to the byte, statuses and their errno, names, and the memory media against a flat array.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { makeTable } from './tables.js'

/** A struct blk_zone, read with the BigInts that the code under test does without. */
function parse(bytes: Uint8Array, index: number) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + index * 64, 64)
  const numbers = [0, 8, 16, 32].map(at => view.getBigUint64(at, true))
  const [start, length, wp, capacity] = numbers
  return { start, length, wp, capacity, type: view.getUint8(24), condition: view.getUint8(25) }
}

test('struct blk_zone, little-endian, beyond 2^32 sectors', () => {
  const size = 2 ** 26
  const table = makeTable({
    zoneCount: 200,
    zoneSizeBytes: size * 512,
    zoneCapacityBytes: size * 256,
    maxAppendBytes: 2 ** 20,
  })
  model.admitWrite(table, 0, model.UBLK_IO_OP_WRITE, 199, 0, 2 ** 20)
  model.finishZone(table, 198)
  const out = new Uint8Array(3 + 64 * 4).fill(0xaa).subarray(3)
  expect(model.fillReport(table, 197, 100, out)).toBe(3)
  const big = BigInt(size)
  const zone = { length: big, capacity: big / 2n, type: 2 }
  expect(parse(out, 0)).toEqual({ ...zone, start: 197n * big, wp: 197n * big, condition: 1 })
  expect(parse(out, 1)).toEqual({ ...zone, start: 198n * big, wp: 199n * big, condition: 14 })
  expect(parse(out, 2)).toEqual({
    ...zone,
    start: 199n * big,
    wp: 199n * big + 2n ** 20n,
    condition: 2,
  })
  // Reserved bytes are zero, and what follows the last entry is untouched.
  for (const at of [
    26,
    27,
    28,
    29,
    30,
    31,
    ...Array.from({ length: 24 }, (_, index) => 40 + index),
  ]) {
    expect(out[at]).toBe(0)
  }
  expect(out.subarray(192).every(byte => byte === 0xaa)).toBe(true)
})

test('a report ends with its room, its count, or the last zone; conventional zones first', () => {
  const table = makeTable()
  const out = new Uint8Array(64 * 6)
  expect(model.fillReport(table, 0, 2, out)).toBe(2)
  expect(parse(out, 0)).toEqual({
    start: 0n,
    length: 64n,
    wp: 64n,
    capacity: 64n,
    type: 1,
    condition: 0,
  })
  expect(parse(out, 1).capacity).toBe(48n)
  expect(model.fillReport(table, 0, 100, out.subarray(0, 130))).toBe(2)
  expect(model.fillReport(table, 5, 100, out)).toBe(1)
  expect(model.fillReport(table, 6, 100, out)).toBe(0)
  model.openZone(table, 3)
  expect(model.fillReport(table, 0, 100, out, model.BLK_ZONE_COND_EXP_OPEN)).toBe(1)
  expect(parse(out, 0).start).toBe(192n)
})

test('statistics count what was written, not what was skipped by a finish or taken back', () => {
  const table = makeTable()
  const statistics = () => Object.values(table.statistics(1))
  const write = (offset: number, count: number) =>
    model.admitWrite(table, 0, model.UBLK_IO_OP_WRITE, 1, offset, count)
  write(0, 16)
  expect(statistics()).toEqual([0, 0, 1, 16])
  model.finishZone(table, 1)
  expect(statistics()).toEqual([0, 1, 1, 16])
  model.resetZone(table, 1, () => 0)
  model.resetZone(table, 1, () => 0)
  expect(statistics()).toEqual([1, 1, 1, 16])
  write(0, 40)
  write(40, 8)
  model.undoWrite(table, 0)
  expect(statistics()).toEqual([1, 1, 2, 56])
  model.resetAll(table, () => 0)
  model.finishZone(table, 1)
  model.admitAppend(table, 0, 2, 8)
  expect(statistics()).toEqual([2, 2, 2, 56])
})

test('statistics go on past 2^32 sectors', () => {
  const table = makeTable({
    zoneSizeBytes: 32 * 2 ** 30,
    zoneCapacityBytes: 32 * 2 ** 30,
    maxAppendBytes: 4096,
  })
  for (let round = 0; round < 70; round++) {
    model.admitWrite(table, 0, model.UBLK_IO_OP_WRITE, 1, 0, 2 ** 26)
    model.resetZone(table, 1, () => 0)
  }
  expect(table.statistics(1)).toMatchObject({
    resets: 70,
    writes: 70,
    writtenSectors: 70 * 2 ** 26,
  })
})

test('a zone that is being changed is reported as it was', () => {
  const table = makeTable()
  model.admitAppend(table, 0, 1, 8)
  table.take(1)
  expect(model.reportZones(table, { firstZone: 1, zoneCount: 1 })[0]).toMatchObject({
    condition: 'implicit-open',
    wpSector: 72,
  })
})

test('every status becomes an errno that blk_errors[] knows', () => {
  expect(model.errnoOfStatus(0)).toBe(0)
  expect(model.errnoOfStatus(0x1bd)).toBe(75)
  expect(model.errnoOfStatus(0x1be)).toBe(109)
  for (const status of [0x2, 0x80, 0x1b8, 0x1b9, 0x1ba, 0x1bb, 0x1bc, 0x1bf, 0x280]) {
    expect(model.errnoOfStatus(status)).toBe(5)
  }
  expect(model.errnoOfStatus(model.statusOfMediaErrno(-28))).toBe(28)
})

test('every status is explained, unknown ones too', () => {
  const codes = Object.entries(model).filter(
    ([name, value]) => name.startsWith('STATUS_') && typeof value === 'number',
  )
  expect(codes.length).toBeGreaterThan(11)
  for (const [name, status] of codes) {
    const { name: title, rule, hint } = model.explainStatus(status as number)
    expect([name, title.length > 3, rule.length > 20, hint.length > 10]).toEqual([
      name,
      true,
      true,
      true,
    ])
  }
  expect(model.explainStatus(0x1be).name).toBe('Too Many Open Zones')
  expect(model.explainStatus(model.statusOfMediaErrno(28)).name).toBe('Media Error ENOSPC')
  expect(model.explainStatus(0x123).name).toBe('Status 123h')
})

test('names of conditions go both ways, names of errnos as in Node', () => {
  for (const name of model.CONDITION_NAME_LIST) {
    expect(model.conditionName(model.conditionOfName(name)!)).toBe(name)
  }
  expect(model.CONDITION_NAME_LIST).toHaveLength(8)
  expect(model.conditionOfName('open')).toBeUndefined()
  expect(model.conditionName(7)).toBe('reserved-7')
  expect([model.errnoName(-109), model.errnoName(5), model.errnoName(999)]).toEqual([
    'ETOOMANYREFS',
    'EIO',
    'ERRNO_999',
  ])
})

test('memory media against one flat array', () => {
  const bytes = 1024 * 1024
  const operation = fc.record({
    kind: fc.constantFrom('write', 'zeros', 'discard', 'read'),
    at: fc.integer({ min: 0, max: bytes }),
    length: fc.integer({ min: 0, max: 600_000 }),
    fill: fc.integer({ min: 1, max: 255 }),
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), operations => {
      const media = new model.MemoryMedia(bytes)
      const flat = new Uint8Array(bytes)
      for (const { kind, at, length, fill } of operations) {
        const isOutside = at + length > bytes
        const buffer = new Uint8Array(length).fill(kind === 'zeros' ? 0 : fill)
        let result = 0
        if (kind === 'read') result = media.read(at, buffer)
        else if (kind === 'discard') result = media.discard(at, length)
        else result = media.write(at, buffer)
        if (isOutside) {
          expect(result).toBe(-model.EINVAL)
          continue
        }
        expect(result).toBe(kind === 'discard' ? 0 : length)
        if (kind === 'read') expect(Buffer.compare(buffer, flat.subarray(at, at + length))).toBe(0)
        else if (kind === 'discard') flat.fill(0, at, at + length)
        else flat.set(buffer, at)
      }
      const all = new Uint8Array(bytes)
      media.read(0, all)
      expect(Buffer.compare(all, flat)).toBe(0)
    }),
    { numRuns: 200 },
  )
})
