/**
 * Discards and write-zeroes: Linux splits neither at zone borders, so both may reach over zones.
 */
import { expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { BLOCK, makeTable, zoneText } from './tables.js'

const SIZE = 64
const { UBLK_IO_OP_WRITE: WRITE, UBLK_IO_OP_WRITE_ZEROES: ZEROES } = model

test('a discard is refused where bytes may not change, in whichever zone of it', () => {
  const table = makeTable()
  model.readOnlyZone(table, 3)
  model.readOnlyZone(table, 4)
  model.offlineZone(table, 4)
  const discard = (zone: number, offset: number, count: number) =>
    model.admitDiscard(table, zone, offset, count)
  expect(discard(3, 0, BLOCK)).toBe(-model.STATUS_ZONE_IS_READ_ONLY)
  expect(discard(4, 0, BLOCK)).toBe(-model.STATUS_ZONE_IS_OFFLINE)
  expect(discard(2, SIZE - BLOCK, BLOCK)).toBe(0)
  expect(discard(2, SIZE - BLOCK, 2 * BLOCK)).toBe(-model.STATUS_ZONE_IS_READ_ONLY)
  expect(discard(0, BLOCK, 3 * SIZE - BLOCK)).toBe(0)
  expect(discard(0, 0, 6 * SIZE)).toBe(-model.STATUS_ZONE_IS_READ_ONLY)
  expect(discard(5, 0, SIZE)).toBe(0)
})

test('a discard lies on the device, in whole blocks', () => {
  const table = makeTable()
  const discard = (zone: number, offset: number, count: number) =>
    model.admitDiscard(table, zone, offset, count)
  expect(discard(6, 0, BLOCK)).toBe(-model.STATUS_LBA_OUT_OF_RANGE)
  expect(discard(-1, 0, BLOCK)).toBe(-model.STATUS_LBA_OUT_OF_RANGE)
  expect(discard(5, BLOCK, SIZE)).toBe(-model.STATUS_LBA_OUT_OF_RANGE)
  expect(discard(1, 0, 0)).toBe(-model.STATUS_INVALID_FIELD)
  expect(discard(1, 4, BLOCK)).toBe(-model.STATUS_INVALID_FIELD)
  expect(discard(1, 0, BLOCK + 4)).toBe(-model.STATUS_INVALID_FIELD)
  expect(discard(1, -BLOCK, BLOCK)).toBe(-model.STATUS_INVALID_FIELD)
})

test('a discard changes no zone', () => {
  const table = makeTable()
  model.admitWrite(table, 0, WRITE, 1, 0, 2 * BLOCK)
  model.admitWrite(table, 1, WRITE, 2, 0, 48)
  expect(model.admitDiscard(table, 0, 0, 6 * SIZE)).toBe(0)
  const zones = [0, 1, 2, 3].map(zone => zoneText(table, zone))
  expect(zones).toEqual(['not-wp 0', 'implicit-open 16', 'full 48', 'empty 0'])
})

test('write-zeroes runs over conventional zones, and stops at sequential ones', () => {
  const table = makeTable({ conventionalCount: 3 })
  const write = (op: number, zone: number, offset: number, count: number) =>
    model.admitWrite(table, 0, op, zone, offset, count)
  expect(write(ZEROES, 0, BLOCK, SIZE)).toBe(0)
  expect(write(ZEROES, 0, 0, 3 * SIZE)).toBe(0)
  expect(write(ZEROES, 2, 0, SIZE)).toBe(0)
  expect(write(ZEROES, 2, BLOCK, SIZE)).toBe(-model.STATUS_ZONE_BOUNDARY_ERROR)
  expect(write(ZEROES, 0, BLOCK, 3 * SIZE)).toBe(-model.STATUS_ZONE_BOUNDARY_ERROR)
  // The kernel does split writes.
  expect(write(WRITE, 0, BLOCK, SIZE)).toBe(-model.STATUS_ZONE_BOUNDARY_ERROR)
  expect(write(ZEROES, 3, 0, BLOCK)).toBe(0)
  expect(zoneText(table, 3)).toBe('implicit-open 8')
})
