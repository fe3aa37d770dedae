// One of the workers that race on one table; started by race.test.ts, with compiled zone-model in workerData.url.
import { parentPort, workerData } from 'node:worker_threads'

const model = await import(workerData.url)
const geometry = model.Geometry.create(workerData.options)
const { ZoneTable } = model
const table = new ZoneTable(workerData.words, geometry, workerData.queues, workerData.depth)
const { worker, operations, seed, mayReset, barrier } = workerData

let state = seed | 0
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  return (state >>> 8) % below
}

const extents = []
let sectors = 0
let resets = 0
const refused = {}
let disturbed = 0
/** Takes as long as it takes the other worker to want the zone, and sees that nobody touches it. */
function discard(zone) {
  const word = table.load(zone)
  for (let spins = 0; spins < 200; spins++) if (table.loadAgain(zone) !== word) disturbed++
  return 0
}

function note(zone, offset, count) {
  sectors += count
  if (!mayReset) extents.push(zone, offset, count)
}

function step(tag) {
  const zone = random(geometry.zoneCount)
  const slot = worker * workerData.depth + tag
  const kind = random(100)
  const count = (1 + random(2)) * 8
  let result = 0
  if (kind < 55) {
    result = model.admitAppend(table, slot, zone, count)
    if (result >= 0) note(zone, result, count)
  } else if (kind < 85) {
    // A guess that is wrong whenever the other worker has been faster: then it must be refused.
    const offset = model.wpOf(table.load(zone))
    result = model.admitWrite(table, slot, 1, zone, offset, count)
    if (result === 0) note(zone, offset, count)
  } else if (kind < 90) result = model.openZone(table, zone)
  else if (kind < 96) result = model.closeZone(table, zone)
  else if (mayReset && kind < 99) {
    const word = table.load(zone)
    if (model.conditionOf(word) === model.BLK_ZONE_COND_FULL) {
      result = model.resetZone(table, zone, () => {
        resets++
        return discard(zone)
      })
    }
  } else if (mayReset && random(20) === 0) result = model.resetAll(table, discard)
  if (result < 0) refused[-result] = (refused[-result] ?? 0) + 1
}

Atomics.add(barrier, 0, 1)
while (Atomics.load(barrier, 0) < workerData.queues) Atomics.wait(barrier, 1, 0, 1)
for (let done = 0; done < operations; ) {
  table.beginBatch(worker)
  for (let tag = 0; tag < workerData.depth; tag++, done++) step(tag)
}
Atomics.add(barrier, 2, 1)
parentPort.postMessage({ extents: Int32Array.from(extents), sectors, resets, refused, disturbed })
