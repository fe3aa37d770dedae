/**
 * What a power cut leaves of a zone: every condition, write pointer and kind of write in flight, as a table that people can
 * read; and that limits, counters and the log are right afterwards. UPDATE=1 records the table again.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { BLOCK, makeTable, randomFrom, seedFromEnvironment, zoneText } from './tables.js'

const GOLDEN = fileURLToPath(new URL('power-loss.golden.txt', import.meta.url))
const ZONE = 1
const { UBLK_IO_OP_WRITE: WRITE } = model

type Table = model.ZoneTable

/** Writes that were acknowledged, then those in flight; the last of both may be acknowledged before the others. */
const FLIGHTS: Readonly<
  Record<string, { acknowledged: number; inFlight: number; isLastAcked?: boolean }>
> = {
  none: { acknowledged: 2, inFlight: 0 },
  'one, at the start': { acknowledged: 0, inFlight: 1 },
  'one, at the end': { acknowledged: 2, inFlight: 1 },
  'three, at the end': { acknowledged: 1, inFlight: 3 },
  'one, with another behind it': { acknowledged: 1, inFlight: 1, isLastAcked: true },
  'one, filling the zone': { acknowledged: 5, inFlight: 1 },
}

function write(table: Table, slot: number): void {
  const wp = model.wpOf(table.load(ZONE))
  expect(model.admitWrite(table, slot, WRITE, ZONE, wp, BLOCK)).toBe(0)
}

/** Two queues: one for what is acknowledged, one for what is in flight, which does not begin another batch. */
function fly(table: Table, name: string): void {
  const { acknowledged, inFlight, isLastAcked } = FLIGHTS[name]!
  table.beginBatch(0)
  table.beginBatch(1)
  for (let i = 0; i < acknowledged; i++) write(table, i)
  for (let i = 0; i < inFlight; i++) write(table, 8 + i)
  if (isLastAcked === true) write(table, acknowledged)
  table.beginBatch(0)
}

const AFTER: Readonly<Record<string, (table: Table) => number>> = {
  'as written': () => 0,
  opened: table => model.openZone(table, ZONE),
  closed: table => model.openZone(table, ZONE) || model.closeZone(table, ZONE),
  finished: table => model.finishZone(table, ZONE),
  'read-only': table => model.readOnlyZone(table, ZONE),
  offline: table => model.readOnlyZone(table, ZONE) || model.offlineZone(table, ZONE),
}

function rows(): string[] {
  const lines: string[] = []
  for (const [what, change] of Object.entries(AFTER)) {
    for (const flight of Object.keys(FLIGHTS)) {
      const table = makeTable({}, 2, 8)
      fly(table, flight)
      if (change(table) !== 0) continue
      const before = zoneText(table, ZONE)
      const { undone, holes, closed } = model.losePower(table)
      const after = `${before} → ${zoneText(table, ZONE)}`
      lines.push(
        `${`${what}; in flight: ${flight}`.padEnd(52)} ${after.padEnd(38)} undone ${undone}, holes ${holes}, closed ${closed}`,
      )
    }
  }
  return lines
}

test('conditions and write pointers after a power cut', () => {
  const text = `${rows().join('\n')}\n`
  if (process.env['UPDATE'] !== undefined) writeFileSync(GOLDEN, text)
  expect(text).toBe(readFileSync(GOLDEN, 'utf8'))
})

test('an open or closed zone that nothing was written to becomes empty', () => {
  const table = makeTable()
  expect(model.openZone(table, 1)).toBe(0)
  expect(model.openZone(table, 2)).toBe(0)
  expect(model.closeZone(table, 2)).toBe(0)
  model.losePower(table)
  expect([zoneText(table, 0), zoneText(table, 1), zoneText(table, 2)]).toEqual([
    'not-wp 0',
    'empty 0',
    'empty 0',
  ])
  expect([table.implicitOpen, table.explicitOpen, table.closed]).toEqual([0, 0, 0])
})

test('a zone that only a lost write had filled stays full when too many are active', () => {
  const table = makeTable({ maxOpen: 1, maxActive: 1 }, 2, 8)
  fly(table, 'one, filling the zone')
  expect(model.admitWrite(table, 0, WRITE, 2, 0, BLOCK)).toBe(0)
  table.beginBatch(0)
  expect(model.losePower(table)).toEqual({ undone: 0, holes: 1, closed: 1 })
  expect([zoneText(table, 1), zoneText(table, 2)]).toEqual(['full 48', 'closed 8'])
})

test('locks, busy zones and the log are given back; statistics stay', () => {
  const table = makeTable({}, 2, 8)
  fly(table, 'three, at the end')
  model.resetZone(table, 2, () => 0)
  const writes = table.statistics(ZONE).writes
  table.lock()
  table.tryTake(3, table.load(3))
  model.losePower(table)
  expect(model.openZone(table, 3)).toBe(0)
  expect(table.log.outstanding).toBe(0)
  for (let slot = 0; slot < 16; slot++) expect(table.log.isReserved(slot)).toBe(false)
  expect(table.statistics(ZONE)).toMatchObject({ writes: writes - 3, writtenSectors: BLOCK })
})

test('a copy that is made while nobody writes is the table, and losing power twice changes nothing more', () => {
  const random = randomFrom(seedFromEnvironment('power loss'))
  const geometry = model.Geometry.create({ zoneCount: 8, zoneSizeBytes: 32768, maxActive: 4 })
  const words = new Int32Array(
    new SharedArrayBuffer(model.ZoneTable.wordsNeeded(geometry, 2, 8) * 4),
  )
  model.ZoneTable.format(words, geometry, 2, 8)
  const table = new model.ZoneTable(words, geometry, 2, 8)
  const copy = new Int32Array(words.length)
  const copier = new model.TableCopier(words, geometry, 2, 8, () => expect.fail('waits'))
  for (let step = 0; step < 500; step++) {
    const zone = random(8)
    if (random(6) === 0) table.beginBatch(random(2))
    if (random(20) === 0) model.resetZone(table, zone, () => 0)
    model.admitAppend(table, random(16), zone, 8)
    copier.copy(copy)
    expect(copier.settle(copy)).toBe(true)
    expect(copy).toEqual(new Int32Array(words))
    const cut = new model.ZoneTable(copy, geometry, 2, 8)
    model.losePower(cut)
    const once = copy.slice()
    expect(model.losePower(cut)).toEqual({ undone: 0, holes: 0, closed: 0 })
    expect(copy.subarray(64)).toEqual(once.subarray(64))
    expect(cut.closed).toBeLessThanOrEqual(4)
  }
})

test('a write that is taken back while the rest is copied makes it be copied again', () => {
  const geometry = model.Geometry.create({ zoneCount: 4, zoneSizeBytes: 32768 })
  const words = new Int32Array(
    new SharedArrayBuffer(model.ZoneTable.wordsNeeded(geometry, 1, 4) * 4),
  )
  model.ZoneTable.format(words, geometry, 1, 4)
  const table = new model.ZoneTable(words, geometry, 1, 4)
  expect(model.admitAppend(table, 0, 2, 8)).toBe(0)
  const copy = new Int32Array(words.length)
  const copier = new model.TableCopier(words, geometry, 1, 4, () => expect.fail('waits'))
  copier.copy(copy)
  expect(model.undoWrite(table, 0)).toBe(true)
  // The same word again, so that nothing but the count tells.
  expect(model.admitAppend(table, 1, 2, 8)).toBe(0)
  expect(copier.settle(copy)).toBe(false)
  copier.copy(copy)
  expect(copier.settle(copy)).toBe(true)
})

test('a zone that is reset while the rest is copied is empty in the copy', () => {
  const geometry = model.Geometry.create({ zoneCount: 4, zoneSizeBytes: 32768 })
  const words = new Int32Array(
    new SharedArrayBuffer(model.ZoneTable.wordsNeeded(geometry, 1, 4) * 4),
  )
  model.ZoneTable.format(words, geometry, 1, 4)
  const table = new model.ZoneTable(words, geometry, 1, 4)
  for (const zone of [0, 1]) expect(model.admitAppend(table, zone, zone, 8)).toBe(0)
  const copy = new Int32Array(words.length)
  const copier = new model.TableCopier(words, geometry, 1, 4, () => expect.fail('waits'))
  copier.copy(copy)
  model.resetZone(table, 1, () => 0)
  expect(model.admitAppend(table, 2, 1, 16)).toBe(0)
  expect(copier.settle(copy)).toBe(true)
  const cut = new model.ZoneTable(copy, geometry, 1, 4)
  expect([zoneText(cut, 0), zoneText(cut, 1)]).toEqual(['implicit-open 8', 'empty 0'])
})
