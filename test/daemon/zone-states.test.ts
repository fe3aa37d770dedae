/** Which pages of a zone the tierer may take: those that no write is touching. */
import { expect, it } from 'vitest'
import { zoneStates } from '../../daemon/zone-states.js'
import { admitAppend, finishZone, Geometry, resetZone, ZoneTable } from '../../zone-model/index.js'

function make(blockSizeBytes: number): { table: ZoneTable; geometry: Geometry } {
  const geometry = Geometry.create({ zoneCount: 4, zoneSizeBytes: 65536, blockSizeBytes })
  const words = new Int32Array(ZoneTable.wordsNeeded(geometry, 2, 4))
  ZoneTable.format(words, geometry, 2, 4)
  return { table: new ZoneTable(words, geometry, 2, 4), geometry }
}

it('with blocks of 512 bytes: not the page of a write in flight, nor what lies behind it', () => {
  const { table, geometry } = make(512)
  const zone = zoneStates(table, geometry)
  expect(zone(1)).toMatchObject({ isFull: false, writtenPages: 0, settledPages: 0, changes: 0 })
  expect(admitAppend(table, 0, 1, 20)).toBe(0)
  expect(zone(1)).toMatchObject({ writtenPages: 2, settledPages: 0, changes: 1 })
  table.beginBatch(0)
  expect(zone(1)).toMatchObject({ writtenPages: 2, settledPages: 2 })
  // On two queues, in another zone too.
  expect(admitAppend(table, 4, 1, 40)).toBe(20)
  expect(admitAppend(table, 1, 1, 60)).toBe(60)
  expect(admitAppend(table, 2, 3, 8)).toBe(0)
  table.beginBatch(1)
  expect(zone(1)).toMatchObject({ writtenPages: 15, settledPages: 7 })
  finishZone(table, 1)
  expect(zone(1)).toMatchObject({ isFull: true, writtenPages: 16, settledPages: 7 })
  table.beginBatch(0)
  expect(zone(1).settledPages).toBe(16)
  const { changes } = zone(1)
  resetZone(table, 1, () => 0)
  expect(zone(1)).toMatchObject({ isFull: false, settledPages: 0, changes: changes + 1 })
})

it('whole pages are there at once: what is in flight does not matter', () => {
  const { table, geometry } = make(4096)
  admitAppend(table, 0, 1, 80)
  expect(zoneStates(table, geometry)(1)).toMatchObject({ writtenPages: 10, settledPages: 10 })
})
