/**
 * A reset holds its zone, and nothing else, while the bytes are thrown away.
 *
 * What other workers would do meanwhile is done here from within the discard: with a lock that is held it would wait for
 * ever, and these tables do not wait, they throw. One test has a real second thread.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { type Compiled, compile } from '../fakes/compiled.js'
import { BLOCK, SMALL, zoneText } from './tables.js'

const { UBLK_IO_OP_WRITE: WRITE } = model

function strictTable(options: Partial<model.GeometryOptions> = {}): model.ZoneTable {
  const geometry = model.Geometry.create({ ...SMALL, ...options })
  const words = new Int32Array(model.ZoneTable.wordsNeeded(geometry, 2, 16))
  model.ZoneTable.format(words, geometry, 2, 16)
  return new model.ZoneTable(words, geometry, 2, 16, () => {
    throw new Error('waits')
  })
}

const counters = (table: model.ZoneTable): number[] => [
  table.implicitOpen,
  table.explicitOpen,
  table.closed,
]

describe('while a reset discards', () => {
  test('other zones change as ever', () => {
    const table = strictTable()
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    let calls = 0
    const result = model.resetZone(table, 1, zone => {
      calls++
      expect(zone).toBe(1)
      expect(model.openZone(table, 2)).toBe(0)
      expect(model.closeZone(table, 2)).toBe(0)
      expect(model.admitAppend(table, 1, 2, BLOCK)).toBe(0)
      expect(model.admitWrite(table, 2, WRITE, 3, 0, 48)).toBe(0)
      expect(model.finishZone(table, 4)).toBe(0)
      expect(model.readOnlyZone(table, 5)).toBe(0)
      expect(model.undoWrite(table, 1)).toBe(true)
      expect(model.resetZone(table, 4, () => 0)).toBe(0)
      return 0
    })
    expect(result).toBe(0)
    expect(calls).toBe(1)
    const zones = [1, 2, 3, 4, 5].map(zone => zoneText(table, zone))
    expect(zones).toEqual(['empty 0', 'implicit-open 0', 'full 48', 'empty 0', 'read-only 0'])
    expect(counters(table)).toEqual([1, 0, 0])
  })

  test.each<[string, (table: model.ZoneTable) => unknown]>([
    ['open', table => model.openZone(table, 1)],
    ['finish', table => model.finishZone(table, 1)],
    ['reset', table => model.resetZone(table, 1, () => 0)],
    ['reset all', table => model.resetAll(table, () => 0)],
    ['close all', table => model.closeAll(table)],
    ['write', table => model.admitWrite(table, 1, WRITE, 1, BLOCK, BLOCK)],
    ['append', table => model.admitAppend(table, 1, 1, BLOCK)],
    ['undo', table => model.undoWrite(table, 0)],
  ])('%s of that zone waits, without the lock', (_, wanted) => {
    const table = strictTable()
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    model.resetZone(table, 1, () => {
      expect(() => wanted(table)).toThrow('waits')
      expect(zoneText(table, 1)).toBe('implicit-open 8')
      expect(model.openZone(table, 2)).toBe(0)
      return 0
    })
    expect(zoneText(table, 1)).toBe('empty 0')
    expect(counters(table)).toEqual([0, 1, 0])
  })

  test('another implicitly open zone is closed to make room, not the held one', () => {
    const table = strictTable({ maxOpen: 2 })
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    model.admitWrite(table, 1, WRITE, 2, 0, BLOCK)
    model.resetZone(table, 1, () => {
      expect(model.admitWrite(table, 2, WRITE, 3, 0, BLOCK)).toBe(0)
      return 0
    })
    const zones = [1, 2, 3].map(zone => zoneText(table, zone))
    expect(zones).toEqual(['empty 0', 'closed 8', 'implicit-open 8'])
    expect(counters(table)).toEqual([1, 0, 1])
  })

  test('who needs the room of the held zone waits, and holds nothing', () => {
    const table = strictTable({ maxOpen: 1 })
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    model.resetZone(table, 1, () => {
      expect(() => model.admitWrite(table, 1, WRITE, 2, 0, BLOCK)).toThrow('waits')
      expect(() => model.openZone(table, 2)).toThrow('waits')
      expect(model.finishZone(table, 2)).toBe(0)
      return 0
    })
    expect(model.openZone(table, 3)).toBe(0)
    expect(counters(table)).toEqual([0, 1, 0])
  })

  test('the zone counts until it is empty', () => {
    const table = strictTable({ maxActive: 1 })
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    model.resetZone(table, 1, () => {
      expect(model.openZone(table, 2)).toBe(-model.STATUS_TOO_MANY_ACTIVE)
      return 0
    })
    expect(model.openZone(table, 2)).toBe(0)
  })

  test('a discard that fails leaves the zone as it was', () => {
    const table = strictTable()
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    const result = model.resetZone(table, 1, () => {
      expect(model.openZone(table, 2)).toBe(0)
      return -model.EIO
    })
    expect(result).toBe(-model.statusOfMediaErrno(model.EIO))
    expect(zoneText(table, 1)).toBe('implicit-open 8')
    expect(counters(table)).toEqual([1, 1, 0])
    expect(model.admitWrite(table, 1, WRITE, 1, BLOCK, BLOCK)).toBe(0)
  })

  test('a process that is killed there recovers', () => {
    const table = strictTable()
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    const killed = () =>
      model.resetZone(table, 1, () => {
        model.openZone(table, 2)
        throw new Error('SIGKILL')
      })
    expect(killed).toThrow('SIGKILL')
    expect(table.recover()).toMatchObject({ busyZones: 1 })
    expect(zoneText(table, 1)).toBe('implicit-open 8')
    expect(counters(table)).toEqual([1, 1, 0])
    expect(model.resetZone(table, 1, () => 0)).toBe(0)
    expect(zoneText(table, 1)).toBe('empty 0')
  })
})

test('reset all leaves out a zone that breaks meanwhile, and goes on', () => {
  const table = strictTable()
  for (const zone of [1, 2, 3]) model.admitWrite(table, zone, WRITE, zone, 0, BLOCK)
  const discarded: number[] = []
  const result = model.resetAll(table, zone => {
    discarded.push(zone)
    if (zone === 1) model.readOnlyZone(table, 2)
    return 0
  })
  expect(result).toBe(0)
  expect(discarded).toEqual([1, 3])
  expect(zoneText(table, 2)).toBe('read-only 8')
})

describe('another thread', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile(['zone-model'])
  })
  afterAll(() => compiled.remove())

  /** Resets zone 1, says when it discards, and does so until step is 1. Then it gives the result. */
  const WORKER = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { url, words, options, step } = workerData
    import(url).then(model => {
      const table = new model.ZoneTable(words, model.Geometry.create(options), 2, 16)
      parentPort.postMessage(model.resetZone(table, 1, () => {
        parentPort.postMessage('discarding')
        Atomics.wait(step, 0, 0)
        return 0
      }))
    })`

  test('waits for the held zone alone, and gets it', async () => {
    const geometry = model.Geometry.create(SMALL)
    const bytes = model.ZoneTable.wordsNeeded(geometry, 2, 16) * 4
    const words = new Int32Array(new SharedArrayBuffer(bytes))
    model.ZoneTable.format(words, geometry, 2, 16)
    const step = new Int32Array(new SharedArrayBuffer(4))
    let pauses = 0
    const table = new model.ZoneTable(words, geometry, 2, 16, () => {
      // The first wait for the zone lets the other thread end.
      pauses++
      Atomics.store(step, 0, 1)
      Atomics.notify(step, 0)
    })
    model.admitWrite(table, 0, WRITE, 1, 0, BLOCK)
    const workerData = { url: compiled.url('zone-model/index.js'), words, options: SMALL, step }
    const worker = new Worker(WORKER, { eval: true, workerData })
    expect(await once(worker, 'message')).toEqual(['discarding'])
    const ended = once(worker, 'message')
    expect(model.openZone(table, 2)).toBe(0)
    expect(pauses).toBe(0)
    expect(model.admitWrite(table, 1, WRITE, 1, 0, BLOCK)).toBe(0)
    expect(pauses).toBeGreaterThan(0)
    expect(await ended).toEqual([0])
    expect(zoneText(table, 1)).toBe('implicit-open 8')
    expect(table.statistics(1)).toMatchObject({ resets: 1, writes: 2 })
    await worker.terminate()
  })
})
