/**
 * The in-flight log case by case: what crash.test.ts finds by trying everything, told one story at a time.
 */
import { expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { BLOCK, makeTable, SMALL, zoneText } from './tables.js'

const { UBLK_IO_OP_WRITE: WRITE, UBLK_IO_OP_WRITE_ZEROES: WRITE_ZEROES } = model
const OPTIONS = { conventionalCount: 1 }

/** A table, and its memory to do what the kernel does: set a mark. */
function make(queues = 1, depth = 8, options: object = OPTIONS) {
  const geometry = model.Geometry.create({ ...SMALL, ...options })
  const words = new Int32Array(model.ZoneTable.wordsNeeded(geometry, queues, depth))
  model.ZoneTable.format(words, geometry, queues, depth)
  const attach = () => new model.ZoneTable(words, geometry, queues, depth)
  const mark = (table: model.ZoneTable, queue: number, parity: number) => {
    words[table.markByteOffset(queue, parity) / 4] = 1
  }
  return { words, geometry, attach, mark }
}

test('a write of an unmarked turn is recognised when it comes again, with whatever tag', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  expect(model.admitWrite(table, 0, WRITE, 1, 0, 16)).toBe(0)
  const after = attach()
  expect(after.recover()).toMatchObject({ outstanding: 1, outstandingAppends: 0, notTaken: 0 })
  after.beginBatch(0)
  expect(model.admitWrite(after, 5, WRITE, 1, 0, 16)).toBe(0)
  expect(zoneText(after, 1)).toBe('implicit-open 16')
  // It has been taken over: another one there is a mistake again.
  expect(model.admitWrite(after, 6, WRITE, 1, 0, 16)).toBe(-model.STATUS_ZONE_INVALID_WRITE)
})

test('write zeroes is recognised as a write, and never as an append', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  model.admitWrite(table, 0, WRITE_ZEROES, 1, 0, 8)
  const after = attach()
  after.recover()
  expect(model.admitAppend(after, 1, 1, 8)).toBe(8)
  expect(model.admitWrite(after, 0, WRITE_ZEROES, 1, 0, 8)).toBe(0)
  expect(after.log.outstanding).toBe(0)
})

test('an append takes over an outstanding one of its length only', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  expect(model.admitAppend(table, 0, 1, 8)).toBe(0)
  expect(model.admitAppend(table, 1, 1, 16)).toBe(8)
  expect(model.admitAppend(table, 2, 2, 8)).toBe(0)
  const after = attach()
  expect(after.recover()).toMatchObject({ outstanding: 3, outstandingAppends: 3 })
  after.beginBatch(0)
  expect(model.admitAppend(after, 0, 1, 16)).toBe(8)
  expect(model.admitAppend(after, 1, 1, 16)).toBe(24)
  expect(model.admitAppend(after, 2, 1, 8)).toBe(0)
  expect(model.admitWrite(after, 3, WRITE, 2, 0, 8)).toBe(-model.STATUS_ZONE_INVALID_WRITE)
  expect(model.admitAppend(after, 4, 2, 8)).toBe(0)
  expect(after.log.outstanding).toBe(0)
})

test('a marked turn, and an earlier one, leave nothing outstanding', () => {
  const { attach, mark } = make()
  const table = attach()
  table.beginBatch(0)
  model.admitAppend(table, 0, 1, 8)
  const parity = table.beginBatch(0)
  model.admitAppend(table, 1, 1, 8)
  mark(table, 0, parity)
  const after = attach()
  expect(after.recover().outstanding).toBe(0)
  expect(model.admitAppend(after, 0, 1, 8)).toBe(16)
})

test('each queue has turns and marks of its own', () => {
  const { attach, mark } = make(2, 5)
  const table = attach()
  const parities = [table.beginBatch(0), table.beginBatch(1)]
  model.admitAppend(table, 4, 1, 8)
  model.admitAppend(table, 5, 1, 8)
  mark(table, 0, parities[0]!)
  const offsets = [0, 1].flatMap(queue => [0, 1].map(parity => table.markByteOffset(queue, parity)))
  expect(new Set(offsets).size).toBe(4)
  expect(offsets.every(offset => offset % 8 === 0)).toBe(true)
  const after = attach()
  expect(after.recover().outstanding).toBe(1)
  expect(model.admitAppend(after, 0, 1, 8)).toBe(8)
})

test('a mark of the turn before last does not count for this one', () => {
  const { attach, mark } = make()
  const table = attach()
  mark(table, 0, table.beginBatch(0))
  table.beginBatch(0)
  table.beginBatch(0)
  model.admitAppend(table, 0, 1, 8)
  expect(attach().recover().outstanding).toBe(1)
})

test('without reissue nothing is kept', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  model.admitAppend(table, 0, 1, 8)
  attach().recover()
  model.admitAppend(table, 0, 2, 8)
  const after = attach()
  expect(after.recover(false).outstanding).toBe(0)
  expect(model.admitAppend(after, 0, 1, 8)).toBe(8)
})

test('a write that was merged moves the write pointer on, and may fill the zone', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  model.admitWrite(table, 0, WRITE, 1, 0, 8)
  model.admitWrite(table, 1, WRITE, 1, 8, 8)
  const after = attach()
  expect(after.recover().outstanding).toBe(2)
  after.beginBatch(0)
  expect(model.admitWrite(after, 0, WRITE, 1, 0, 56)).toBe(-model.STATUS_ZONE_BOUNDARY_ERROR)
  expect(model.admitWrite(after, 0, WRITE, 1, 0, 48)).toBe(0)
  expect(zoneText(after, 1)).toBe('full 48')
  expect(after.log.outstanding).toBe(0)
  expect(after.statistics(1).writtenSectors).toBe(48)
})

test('a write that covers what was acknowledged, or only a part, is refused', () => {
  const { attach, mark } = make()
  const table = attach()
  mark(table, 0, table.beginBatch(0))
  table.beginBatch(0)
  model.admitWrite(table, 0, WRITE, 1, 0, 16)
  table.beginBatch(0)
  model.admitWrite(table, 0, WRITE, 1, 16, 16)
  const after = attach()
  expect(after.recover().outstanding).toBe(1)
  expect(model.admitWrite(after, 0, WRITE, 1, 0, 32)).toBe(-model.STATUS_ZONE_INVALID_WRITE)
  expect(model.admitWrite(after, 0, WRITE, 1, 16, 8)).toBe(-model.STATUS_ZONE_INVALID_WRITE)
  expect(model.admitWrite(after, 0, WRITE, 1, 16, 16)).toBe(0)
})

test('what filled a zone is recognised in the full zone; a broken zone refuses it', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  model.admitAppend(table, 0, 1, 48)
  model.admitWrite(table, 1, WRITE, 2, 0, 48)
  model.admitAppend(table, 2, 3, 48)
  const after = attach()
  after.recover()
  model.readOnlyZone(after, 3)
  expect(model.admitAppend(after, 0, 1, 48)).toBe(0)
  expect(model.admitWrite(after, 1, WRITE, 2, 0, 48)).toBe(0)
  expect(model.admitWrite(after, 1, WRITE, 2, 0, 48)).toBe(-model.STATUS_ZONE_IS_FULL)
  expect(model.admitAppend(after, 2, 3, 48)).toBe(-model.STATUS_ZONE_IS_READ_ONLY)
})

test('a reset forgets what was outstanding or reserved in its zone, and only there', () => {
  const { attach } = make()
  const table = attach()
  table.beginBatch(0)
  model.admitAppend(table, 0, 1, 8)
  model.admitAppend(table, 1, 2, 8)
  const after = attach()
  after.recover()
  model.admitAppend(after, 0, 3, 8)
  model.resetZone(after, 1, () => 0)
  model.resetZone(after, 3, () => 0)
  expect(after.log.outstanding).toBe(1)
  expect(after.log.outstandingAppends).toBe(1)
  expect(model.undoWrite(after, 0)).toBe(false)
  expect(model.admitAppend(after, 0, 1, 8)).toBe(0)
  expect(zoneText(after, 1)).toBe('implicit-open 8')
})

test('a lock and a zone that a dead process held are given back, and counters counted again', () => {
  const { attach, words } = make(1, 8, { conventionalCount: 0, maxOpen: 3, maxActive: 4 })
  const table = attach()
  table.beginBatch(0)
  model.openZone(table, 0)
  model.admitAppend(table, 0, 1, 8)
  model.openZone(table, 2)
  model.closeZone(table, 2)
  table.lock()
  table.take(1)
  table.countCondition(model.BLK_ZONE_COND_EXP_OPEN, 7)
  const after = new model.ZoneTable(words, table.geometry, 1, 8, () => expect.fail('waits'))
  expect(after.recover()).toMatchObject({ busyZones: 1 })
  expect([after.implicitOpen, after.explicitOpen, after.closed]).toEqual([1, 1, 1])
  expect(model.openZone(after, 3)).toBe(0)
})

test('outstanding writes that nobody came for make room for new ones, appends last', () => {
  const depth = 2
  const { attach } = make(1, depth, { zoneCount: 17, conventionalCount: 0 })
  let table = attach()
  let evicted = 0
  for (let crash = 0; crash < 6; crash++) {
    table.beginBatch(0)
    for (let tag = 0; tag < depth; tag++) {
      const zone = crash * depth + tag
      if (crash === 0 && tag === 0) model.admitAppend(table, tag, zone, 8)
      else model.admitWrite(table, tag, WRITE, zone, 0, 8)
    }
    table = attach()
    evicted += table.recover().evicted
  }
  expect(evicted).toBe(12 - 2 * depth)
  expect(table.log.outstanding).toBe(2 * depth)
  expect(table.log.outstandingAppends).toBe(1)
  // The newest are there, and the append of the first crash.
  expect(model.admitWrite(table, 0, WRITE, 11, 0, 8)).toBe(0)
  expect(model.admitAppend(table, 1, 0, 8)).toBe(0)
})

test('when batch numbers start again, nothing old is taken for new', () => {
  const { attach, words } = make()
  const table = attach()
  const batchIndex = table.markByteOffset(0, 0) / 4 - 2
  table.beginBatch(0)
  model.admitAppend(table, 3, 1, 8)
  expect(words[batchIndex]).toBe(1)
  words[batchIndex] = 0x0fffffff
  expect(table.beginBatch(0)).toBe(0)
  expect(words[batchIndex]).toBe(0)
  table.beginBatch(0)
  expect(words[batchIndex]).toBe(1)
  expect(attach().recover().outstanding).toBe(0)
})

test('undo takes back the last reservation, and only of the current turn', () => {
  const table = makeTable({ maxOpen: 2, maxActive: 3 })
  table.beginBatch(0)
  model.admitAppend(table, 0, 1, BLOCK)
  model.admitAppend(table, 1, 1, BLOCK)
  expect(model.undoWrite(table, 0)).toBe(false)
  expect(zoneText(table, 1)).toBe('implicit-open 16')
  expect(model.undoWrite(table, 1)).toBe(true)
  expect(zoneText(table, 1)).toBe('implicit-open 8')
  expect(model.undoWrite(table, 1)).toBe(false)
  model.admitAppend(table, 2, 1, BLOCK)
  table.beginBatch(0)
  expect(model.undoWrite(table, 2)).toBe(false)
  expect(table.statistics(1)).toMatchObject({ writes: 2, writtenSectors: 2 * BLOCK })
})

test('undo of what filled a zone makes it active again as far as the limits allow', () => {
  const full = (limits: object) => {
    const table = makeTable(limits)
    model.openZone(table, 1)
    model.admitWrite(table, 0, WRITE, 1, 0, 40)
    model.admitWrite(table, 1, WRITE, 1, 40, 8)
    expect(zoneText(table, 1)).toBe('full 48')
    return table
  }
  const free = full({})
  expect(model.undoWrite(free, 1)).toBe(true)
  expect(zoneText(free, 1)).toBe('explicit-open 40')
  const noOpen = full({ maxOpen: 1, maxActive: 2 })
  model.openZone(noOpen, 2)
  expect(model.undoWrite(noOpen, 1)).toBe(true)
  expect(zoneText(noOpen, 1)).toBe('closed 40')
  const noActive = full({ maxOpen: 1, maxActive: 1 })
  model.openZone(noActive, 2)
  expect(model.undoWrite(noActive, 1)).toBe(false)
  expect(zoneText(noActive, 1)).toBe('full 48')
})

test('undo discards only what is still its own, while nobody else can have the zone', () => {
  const table = makeTable({}, 2, 8)
  const discarded: number[][] = []
  const discard = (zone: number, offset: number, count: number) => {
    expect(table.tryTake(zone, table.load(zone) & ~(1 << 27))).toBe(false)
    discarded.push([zone, offset, count])
    return 0
  }
  model.admitWrite(table, 0, model.UBLK_IO_OP_WRITE, 1, 0, 16)
  model.admitAppend(table, 1, 1, 8)
  expect(model.undoWrite(table, 1, discard)).toBe(true)
  // Another queue resets the zone and writes it again: those bytes are somebody else's.
  model.resetZone(table, 1, () => 0)
  model.admitWrite(table, 8, model.UBLK_IO_OP_WRITE, 1, 0, 16)
  expect(model.undoWrite(table, 0, discard)).toBe(false)
  expect(discarded).toEqual([[1, 16, 8]])
  expect(zoneText(table, 1)).toBe('implicit-open 16')
})

test('undo looks again once it has the zone', () => {
  const { words, geometry, attach } = make()
  const other = attach()
  model.admitAppend(other, 0, 1, BLOCK)
  other.lock()
  const table = new model.ZoneTable(words, geometry, 1, 8, () => {
    // While this one waits for the lock, the zone is reset and written again.
    other.unlock()
    model.resetZone(other, 1, () => 0)
    model.admitAppend(other, 1, 1, BLOCK)
  })
  const discard = () => expect.fail('these bytes are of another write')
  expect(model.undoWrite(table, 0, discard)).toBe(false)
  expect(zoneText(table, 1)).toBe('implicit-open 8')
})

test('undo leaves the write pointer where the bytes cannot be discarded', () => {
  const table = makeTable()
  model.admitAppend(table, 0, 1, BLOCK)
  expect(model.undoWrite(table, 0, () => -model.EIO)).toBe(false)
  expect(zoneText(table, 1)).toBe('implicit-open 8')
  expect(model.undoWrite(table, 0, () => 0)).toBe(false)
})

test('a table is refused by who wants another one', () => {
  const { words, geometry } = make(2, 8)
  const attach = (options: object, queues: number, depth: number) => () =>
    new model.ZoneTable(words, model.Geometry.create({ ...SMALL, ...options }), queues, depth)
  const code = expect.objectContaining({ code: 'ZONE_ERR_TABLE' })
  expect(attach(OPTIONS, 1, 8)).toThrow(code)
  expect(attach(OPTIONS, 2, 4)).toThrow(/depth is 8, not 4/)
  expect(attach({ ...OPTIONS, maxOpen: 3 }, 2, 8)).toThrow(/max open is 0, not 3/)
  expect(attach({ ...OPTIONS, zoneCount: 500 }, 2, 8)).toThrow(/map it larger/)
  expect(attach(OPTIONS, 2, 8)).not.toThrow()
  const needed = model.ZoneTable.wordsNeeded(geometry, 2, 8)
  expect(() => new model.ZoneTable(new Int32Array(needed), geometry, 2, 8)).toThrow(
    /magic number is 0/,
  )
  const odd = new Int32Array(new ArrayBuffer(needed * 4 + 4), 4)
  expect(() => model.ZoneTable.format(odd, geometry, 2, 8)).toThrow(/multiple of 8/)
})

test('who waits for a lock relaxes', () => {
  const { words, geometry, attach } = make()
  const holder = attach()
  holder.lock()
  let relaxed = 0
  const waiter = new model.ZoneTable(words, geometry, 1, 8, () => {
    relaxed++
    holder.unlock()
  })
  expect(model.openZone(waiter, 1)).toBe(0)
  expect(relaxed).toBe(1)
})
