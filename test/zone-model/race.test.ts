/**
 * Two workers on one table: nothing is lost, nothing is given twice, no limit is ever passed.
 *
 * Without resets every extent that was admitted is known in the end, and they must tile each zone from its start to its
 * write pointer. With resets the sums must agree. Meanwhile this thread takes the lock again and again and counts.
 */
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_IMP_OPEN,
  conditionOf,
  Geometry,
  wpOf,
  ZoneTable,
} from '../../zone-model/index.js'
import { type Compiled, compile } from '../fakes/compiled.js'
import { seedFromEnvironment } from './tables.js'

const QUEUES = 2
const DEPTH = 32

let compiled: Compiled
beforeAll(() => {
  compiled = compile(['zone-model'])
})
afterAll(() => compiled.remove())

interface WorkerReport {
  extents: Int32Array
  sectors: number
  resets: number
  refused: Record<string, number>
  /** How often a zone that a reset holds was seen to change. */
  disturbed: number
}

/** Counts conditions while nobody can change one, and compares with the limits and the counters. */
function inspect(table: ZoneTable): void {
  table.lock()
  let implicit = 0
  let explicit = 0
  let closed = 0
  for (let zone = 0; zone < table.zoneCount; zone++) {
    const condition = conditionOf(table.load(zone))
    if (condition === BLK_ZONE_COND_IMP_OPEN) implicit++
    if (condition === BLK_ZONE_COND_EXP_OPEN) explicit++
    if (condition === BLK_ZONE_COND_CLOSED) closed++
  }
  const counters = [table.implicitOpen, table.explicitOpen, table.closed]
  table.unlock()
  expect(counters).toEqual([implicit, explicit, closed])
  expect(implicit + explicit).toBeLessThanOrEqual(table.maxOpen)
  expect(implicit + explicit + closed).toBeLessThanOrEqual(table.maxActive)
}

async function race(
  options: Parameters<typeof Geometry.create>[0],
  operations: number,
  mayReset: boolean,
) {
  const seed = seedFromEnvironment('race (the interleaving is not in the seed)')
  const geometry = Geometry.create(options)
  const bytes = ZoneTable.wordsNeeded(geometry, QUEUES, DEPTH) * 4
  const words = new Int32Array(new SharedArrayBuffer(bytes))
  ZoneTable.format(words, geometry, QUEUES, DEPTH)
  const table = new ZoneTable(words, geometry, QUEUES, DEPTH)
  const barrier = new Int32Array(new SharedArrayBuffer(12))
  const reports = Array.from({ length: QUEUES }, (_, worker) => {
    const workerData = {
      url: compiled.url('zone-model/index.js'),
      words,
      options,
      queues: QUEUES,
      depth: DEPTH,
      worker,
      operations,
      seed: seed + worker,
      mayReset,
      barrier,
    }
    const thread = new Worker(new URL('race-worker.mjs', import.meta.url), { workerData })
    return new Promise<WorkerReport>((resolve, reject) => {
      thread.once('message', resolve)
      thread.once('error', reject)
    })
  })
  let inspections = 0
  const all = Promise.all(reports)
  let isDone = false
  void all.then(
    () => {
      isDone = true
    },
    () => {
      isDone = true
    },
  )
  while (!isDone) {
    inspect(table)
    inspections++
    await new Promise(resolve => setImmediate(resolve))
  }
  inspect(table)
  expect(inspections).toBeGreaterThan(10)
  return { table, reports: await all }
}

const ROUNDS_MAX = 20

test('without resets, extents tile every zone', async () => {
  const options = { zoneCount: 12, zoneSizeBytes: 2 ** 30, maxOpen: 4, maxActive: 8 }
  const { table, reports } = await race(options, 600_000, false)
  const zones: [number, number][][] = Array.from({ length: table.zoneCount }, () => [])
  for (const { extents } of reports) {
    for (let index = 0; index < extents.length; index += 3) {
      zones[extents[index]!]!.push([extents[index + 1]!, extents[index + 2]!])
    }
  }
  for (const [zone, extents] of zones.entries()) {
    extents.sort(([a], [b]) => a - b)
    let end = 0
    for (const [offset, count] of extents) {
      if (offset !== end)
        expect.fail(`zone ${zone}: an extent begins at ${offset}, the last ended at ${end}`)
      end = offset + count
    }
    expect(wpOf(table.load(zone))).toBe(end)
  }
  for (const report of reports) {
    expect(report.extents.length / 3).toBeGreaterThan(100_000)
    // Both limits were met, so they were tested.
    expect(Object.keys(report.refused)).toContain(String(0x1bd))
  }
})

test('with resets, sums agree and limits hold', async () => {
  const options = {
    zoneCount: 8,
    zoneSizeBytes: 64 * 512,
    zoneCapacityBytes: 48 * 512,
    maxOpen: 3,
    maxActive: 5,
  }
  // On a busy machine the two may hardly meet: then once more, until a guess was wrong because the other had been faster.
  let hasMet = false
  for (let round = 0; round < ROUNDS_MAX && !hasMet; round++) {
    const { table, reports } = await race(options, 600_000, true)
    let written = 0
    for (let zone = 0; zone < table.zoneCount; zone++)
      written += table.statistics(zone).writtenSectors
    expect(written).toBe(reports[0]!.sectors + reports[1]!.sectors)
    expect(reports[0]!.disturbed + reports[1]!.disturbed).toBe(0)
    expect(reports[0]!.resets + reports[1]!.resets).toBeGreaterThan(1000)
    hasMet = reports.some(report => String(0x1bc) in report.refused)
  }
  expect(hasMet).toBe(true)
})
