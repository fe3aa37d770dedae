/**
 * How many decisions a second the data path makes on one core.
 *
 * One decision is what a queue worker asks of zone-model for one request: a write at the write pointer, an append or a
 * read, in turns of 32 over 8 open zones (14 writes, 6 appends, 12 reads), each turn with its `beginBatch`. Zones that are
 * nearly full are reset in between, which is counted in the time. Medians of 7 rounds, in CPU time of the
 * process (V8's own threads included), so that a machine that is busy with something else distorts them little.
 *
 * Run: node dist/bench/decision.js [--json]
 */

import os from 'node:os'
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import {
  admitAppend,
  admitRead,
  admitWrite,
  Geometry,
  resetZone,
  UBLK_IO_OP_WRITE,
  ZoneTable,
} from '../zone-model/index.js'

const ROUNDS = 7
const DECISIONS_PER_ROUND = 10_000_000
const ZONES = 8
const TURN = 32
const COUNT_SECTORS = 8
const GOAL_PER_SECOND = 20_000_000

/** Per tag of a turn: 0 write, 1 append, 2 read. */
const MIX = new Uint8Array(TURN).map((_, tag) => (tag % 5 < 2 ? 0 : tag % 5 === 2 ? 1 : 2))
const discard = () => 0

/** The write pointers that the driver of the bench expects: it must not ask the table what it is about to be asked. */
const wps = new Int32Array(ZONES)

function turn(table: ZoneTable, seed: number): number {
  let refused = 0
  table.beginBatch(0)
  for (let tag = 0; tag < TURN; tag++) {
    const zone = (seed + tag) & (ZONES - 1)
    const wp = wps[zone]!
    const kind = MIX[tag]!
    if (kind === 0) {
      if (admitWrite(table, tag, UBLK_IO_OP_WRITE, zone, wp, COUNT_SECTORS) !== 0) refused++
      wps[zone] = wp + COUNT_SECTORS
    } else if (kind === 1) {
      if (admitAppend(table, tag, zone, COUNT_SECTORS) !== wp) refused++
      wps[zone] = wp + COUNT_SECTORS
    } else if (admitRead(table, zone, (tag * COUNT_SECTORS) & 0xfff, COUNT_SECTORS) !== 0) {
      refused++
    }
  }
  return refused
}

function round(table: ZoneTable, decisions: number): number {
  const resetAt = table.capacitySectors - TURN * COUNT_SECTORS
  let refused = 0
  for (let done = 0; done < decisions; done += TURN) {
    refused += turn(table, done >>> 5)
    for (let zone = 0; zone < ZONES; zone++) {
      if (wps[zone]! < resetAt) continue
      resetZone(table, zone, discard)
      wps[zone] = 0
    }
  }
  return refused
}

/** Measures and gives decisions a second: the median round, the slowest and the fastest; when the rounds began and ended. */
export function measureDecisions() {
  const geometry = Geometry.create({
    zoneCount: 64,
    zoneSizeBytes: 64 * 1024 * 1024,
    maxOpen: 14,
    maxActive: 14,
  })
  const words = new Int32Array(new SharedArrayBuffer(ZoneTable.wordsNeeded(geometry, 1, 128) * 4))
  ZoneTable.format(words, geometry, 1, 128)
  const table = new ZoneTable(words, geometry, 1, 128)
  wps.fill(0)
  round(table, DECISIONS_PER_ROUND / 5)
  const rates: number[] = []
  const beginMs = performance.now()
  for (let index = 0; index < ROUNDS; index++) {
    const start = process.cpuUsage()
    const refused = round(table, DECISIONS_PER_ROUND)
    const { user, system } = process.cpuUsage(start)
    const seconds = (user + system) / 1e6
    if (refused !== 0)
      throw new Error(`${refused} decisions came out wrong: the figure means nothing`)
    rates.push(DECISIONS_PER_ROUND / seconds)
  }
  const endMs = performance.now()
  rates.sort((a, b) => a - b)
  return { median: rates[ROUNDS >> 1]!, min: rates[0]!, max: rates[ROUNDS - 1]!, beginMs, endMs }
}

const collectedMs: number[] = []
const observer = new PerformanceObserver(list => {
  for (const entry of list.getEntries()) collectedMs.push(entry.startTime)
})
observer.observe({ entryTypes: ['gc'] })
const rate = measureDecisions()
// The observer is told between two turns of the event loop.
await setTimeout(10)
observer.disconnect()
/** Of the rounds: not of what made the table. */
const collections = collectedMs.filter(at => at >= rate.beginMs && at <= rate.endMs).length
const result = {
  bench: 'decision',
  decisionsPerSecond: Math.round(rate.median),
  nanosecondsEach: Number((1e9 / rate.median).toFixed(1)),
  slowestRound: Math.round(rate.min),
  fastestRound: Math.round(rate.max),
  rounds: ROUNDS,
  garbageCollections: collections,
  goalPerSecond: GOAL_PER_SECOND,
  cpu: os.cpus()[0]?.model ?? 'unknown',
  node: process.version,
}
if (process.argv.includes('--json')) console.log(JSON.stringify(result))
else {
  const millions = (value: number) => `${(value / 1e6).toFixed(1)} M/s`
  console.log(
    `decision path: ${millions(rate.median)} (${result.nanosecondsEach} ns each; ` +
      `${millions(rate.min)} to ${millions(rate.max)} over ${ROUNDS} rounds, CPU time; goal ${millions(GOAL_PER_SECOND)}); ` +
      `${collections} garbage collections in ${millions(ROUNDS * DECISIONS_PER_ROUND).replace('/s', '')} decisions`,
  )
}
