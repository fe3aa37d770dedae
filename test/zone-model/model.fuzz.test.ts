/**
 * A million and more random operations against the naive model, the whole state compared after every one. A failure
 * prints the seed; SEED=n runs the same operations again, and the message says which one it was.
 */
import { expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { NaiveDrive, type NaiveZone } from './naive.js'
import { makeTable, randomFrom, SMALL, seedFromEnvironment } from './tables.js'

const OPERATIONS = 300_000
const SLOTS = 16
const LAYOUTS = [
  { maxOpen: 0, maxActive: 0 },
  { maxOpen: 2, maxActive: 0 },
  { maxOpen: 0, maxActive: 3 },
  { maxOpen: 2, maxActive: 3 },
  {
    maxOpen: 3,
    maxActive: 4,
    zoneCapacityBytes: 64 * 512,
    conventionalCount: 0,
    maxAppendBytes: 8 * 512,
  },
]

const CODES: Record<NaiveZone['condition'], number> = {
  nwp: 0,
  empty: 1,
  imp: 2,
  exp: 3,
  closed: 4,
  ro: 13,
  full: 14,
  off: 15,
}

function compare(table: model.ZoneTable, naive: NaiveDrive, what: () => string): void {
  for (let zone = 0; zone < table.zoneCount; zone++) {
    const word = table.load(zone)
    const expected = naive.zones[zone]!
    const isSame =
      model.conditionOf(word) === CODES[expected.condition] && model.wpOf(word) === expected.wp
    if (isSame) continue
    expect.fail(
      `${what()}: zone ${zone} is ${model.conditionOf(word)}/${model.wpOf(word)}, not ${JSON.stringify(expected)}`,
    )
  }
  const isCounted =
    table.implicitOpen === naive.count('imp') &&
    table.explicitOpen === naive.count('exp') &&
    table.closed === naive.count('closed')
  if (!isCounted) expect.fail(`${what()}: counters`)
}

/** One random operation on both; gives both results and what it was. */
function step(table: model.ZoneTable, naive: NaiveDrive, random: (below: number) => number) {
  const zone = random(table.zoneCount + (random(50) === 0 ? 1 : 0))
  const slot = random(SLOTS)
  const count = random(20) === 0 ? random(80) : (1 + random(3)) * 8
  const wp = naive.zones[zone]?.wp ?? 0
  const offset = random(4) === 0 ? random(8) * 8 + (random(10) === 0 ? 4 : 0) : wp
  const kind = random(100)
  if (kind < 30) {
    const real = model.admitWrite(table, slot, model.UBLK_IO_OP_WRITE, zone, offset, count)
    return {
      name: `write ${zone} ${offset} ${count}`,
      real,
      naive: naive.write(slot, zone, offset, count),
    }
  }
  if (kind < 50) {
    const real = model.admitAppend(table, slot, zone, count)
    return { name: `append ${zone} ${count}`, real, naive: naive.write(slot, zone, 'wp', count) }
  }
  if (kind < 60) {
    const real = Number(model.undoWrite(table, slot))
    return { name: `undo ${slot}`, real, naive: Number(naive.undo(slot)) }
  }
  if (kind < 62) {
    const real = model.admitDiscard(table, zone, offset, count)
    const expected = naive.discard(zone, offset, count)
    return { name: `discard ${zone} ${offset} ${count}`, real, naive: expected }
  }
  if (kind < 64) {
    const real = model.admitRead(table, zone, offset, count)
    return { name: `read ${zone} ${offset} ${count}`, real, naive: naive.read(zone, offset, count) }
  }
  return { ...manage(table, naive, zone, kind) }
}

function manage(table: model.ZoneTable, naive: NaiveDrive, zone: number, kind: number) {
  const one = (name: string, real: number, expected: number) => ({
    name: `${name} ${zone}`,
    real,
    naive: expected,
  })
  if (kind < 71) return one('open', model.openZone(table, zone), naive.open(zone))
  if (kind < 78) return one('close', model.closeZone(table, zone), naive.close(zone))
  if (kind < 82) return one('finish', model.finishZone(table, zone), naive.finish(zone))
  if (kind < 92)
    return one(
      'reset',
      model.resetZone(table, zone, () => 0),
      naive.reset(zone),
    )
  if (kind < 93) return one('read-only', model.readOnlyZone(table, zone), naive.readOnly(zone))
  if (kind < 94) return one('offline', model.offlineZone(table, zone), naive.offline(zone))
  if (kind < 95) return one('open all', model.openAll(table), naive.openAll())
  if (kind < 96) {
    return one(
      'close all',
      model.closeAll(table),
      naive.all(['imp', 'exp'], z => naive.close(z)),
    )
  }
  if (kind < 97) {
    const expected = naive.all(['imp', 'exp', 'closed'], z => naive.finish(z))
    return one('finish all', model.finishAll(table), expected)
  }
  if (kind < 98) {
    const expected = naive.all(['imp', 'exp', 'closed', 'full'], z => naive.reset(z))
    return one(
      'reset all',
      model.resetAll(table, () => 0),
      expected,
    )
  }
  table.beginBatch(0)
  naive.commit()
  return one('begin batch', 0, 0)
}

/** Zones that broke would soon be all: now and then they are replaced by empty ones, in both. */
function replaceBroken(table: model.ZoneTable, naive: NaiveDrive): void {
  for (let zone = 0; zone < table.zoneCount; zone++) {
    if (!['ro', 'off'].includes(naive.zones[zone]!.condition)) continue
    table.publish(zone, model.packWord(model.BLK_ZONE_COND_EMPTY, 0))
    naive.replace(zone)
  }
}

test.each(LAYOUTS)('random operations against the naive model, %j', layout => {
  const seed = seedFromEnvironment(`fuzz ${JSON.stringify(layout)}`)
  const random = randomFrom(seed)
  const table = makeTable(layout, 1, SLOTS)
  const options = { ...SMALL, ...layout }
  const naive = new NaiveDrive(
    options.zoneCount,
    options.conventionalCount ?? 0,
    64,
    (options.zoneCapacityBytes ?? 0) / 512,
    8,
    options.maxOpen,
    options.maxActive,
    (options.maxAppendBytes ?? 0) / 512,
  )
  const seen = new Map<string, number>()
  for (let index = 0; index < OPERATIONS; index++) {
    const done = step(table, naive, random)
    const what = () => `SEED=${seed}, operation ${index} (${done.name})`
    if (done.real !== done.naive) expect.fail(`${what()}: gave ${done.real}, not ${done.naive}`)
    compare(table, naive, what)
    const key = `${done.name.split(' ')[0]} ${done.real < 0 ? -done.real : 'ok'}`
    seen.set(key, (seen.get(key) ?? 0) + 1)
    if (index % 500 === 499) {
      table.beginBatch(0)
      naive.commit()
      replaceBroken(table, naive)
    }
  }
  // The walk must have been everywhere, or it has proved little.
  const wanted = [0, 0x2, 0x80, 0x1b8, 0x1b9, 0x1ba, 0x1bb, 0x1bc].map(
    status => `write ${status || 'ok'}`,
  )
  wanted.push(...['ok', 0x2, 0x80, 0x1ba, 0x1bb].map(status => `discard ${status}`))
  if (layout.maxActive) wanted.push('write 445')
  if (layout.maxOpen) wanted.push('open 446', 'append 446')
  expect(wanted.filter(key => !seen.has(key))).toEqual([])
})
