/**
 * What one operation of the store's DRAM cache takes: keys of 16 bytes, values of 128, a cache that fits the processor's (1 MiB) and
 * one that does not (256 MiB). Rounds of 100,000 operations in CPU time; the best and the median round. The time of the loop that
 * makes keys and hashes is measured in the same run and taken off; `loop` is that time.
 *
 * Run: node dist/bench/cache-time.js [--json]
 */
import { RecordCache } from '../store/record-cache.js'
import { median, printTable } from './table.js'

const ROUNDS = 41
const OPERATIONS = 100_000
const KEY_BYTES = 16
const VALUE_BYTES = 128
const MEAN_RECORD_BYTES = 176
const MIB = 2 ** 20

const key = new Uint8Array(KEY_BYTES)
const value = new Uint8Array(VALUE_BYTES)
const target = new Uint8Array(VALUE_BYTES)
/** Doubles and sums that must not become garbage. */
const sums = new Float64Array(1)

const placeOf = (id: number) => Math.imul(id + 1, 0x9e3779b1) >>> 14
const tagOf = (id: number) => Math.imul(id ^ 0x5bd1e995, 0x85ebca6b) >>> 14

function setKey(id: number): void {
  key[0] = id
  key[1] = id >>> 8
  key[2] = id >>> 16
  key[3] = id >>> 24
}

/** `first`: of the ids; `range`: how many there are. */
type Work = (cache: RecordCache, first: number, range: number, count: number) => void

const works: Readonly<Record<string, Work>> = {
  loop(_cache, first, range, count) {
    for (let i = 0; i < count; i++) {
      const id = first + ((Math.imul(i, 0x9e3779b1) >>> 0) % range)
      setKey(id)
      sums[0] = sums[0]! + placeOf(id) + tagOf(id)
    }
  },
  find(cache, first, range, count) {
    for (let i = 0; i < count; i++) {
      const id = first + ((Math.imul(i, 0x9e3779b1) >>> 0) % range)
      setKey(id)
      sums[0] = sums[0]! + cache.find(key, KEY_BYTES, placeOf(id), tagOf(id))
    }
  },
  'find, copy'(cache, first, range, count) {
    for (let i = 0; i < count; i++) {
      const id = first + ((Math.imul(i, 0x9e3779b1) >>> 0) % range)
      setKey(id)
      const handle = cache.find(key, KEY_BYTES, placeOf(id), tagOf(id))
      if (handle >= 0) cache.copyValue(handle, target, 0)
    }
  },
  insert(cache, first, range, count) {
    for (let i = 0; i < count; i++) {
      const id = first + (i % range)
      setKey(id)
      cache.insert(key, KEY_BYTES, placeOf(id), tagOf(id), value, 0, VALUE_BYTES, i)
    }
  },
}

/** Nanoseconds an operation of each round. */
function rounds(work: Work, cache: RecordCache, firstOf: (round: number) => number, range: number) {
  const each: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage()
    work(cache, firstOf(round), range, OPERATIONS)
    const { user, system } = process.cpuUsage(start)
    each.push(((user + system) * 1000) / OPERATIONS)
  }
  return each
}

function measure(capacityBytes: number) {
  const cache = new RecordCache({ capacityBytes, meanRecordBytes: MEAN_RECORD_BYTES })
  const records = Math.floor(cache.stats.objectsMax * 0.9)
  works['insert']!(cache, 0, records, records)
  const fresh = (round: number) => records + (round + 1) * OPERATIONS
  const list: [string, Work, (round: number) => number][] = [
    ['loop', works['loop']!, () => 0],
    ['find, hit', works['find']!, () => 0],
    ['find, hit, copy', works['find, copy']!, () => 0],
    ['find, miss', works['find']!, round => 2 ** 29 + fresh(round)],
    ['insert, replaces', works['insert']!, () => 0],
    ['insert, evicts', works['insert']!, fresh],
  ]
  const range = (name: string) => (name === 'insert, evicts' ? OPERATIONS : records)
  let loop = { best: 0, median: 0 }
  return list.map(([name, work, firstOf]) => {
    // Twice: the first is what makes V8 compile it.
    rounds(work, cache, round => firstOf(round) + 2 ** 25, range(name))
    if (name !== 'insert, evicts') works['insert']!(cache, 0, records, records)
    const each = rounds(work, cache, firstOf, range(name))
    const best = Math.min(...each) - loop.best
    const middle = median(each) - loop.median
    if (name === 'loop') loop = { best, median: middle }
    return { capacityBytes, records, operation: name, bestNs: best, medianNs: middle }
  })
}

const results = [MIB, 256 * MIB].flatMap(measure)
if (process.argv.includes('--json')) console.log(JSON.stringify({ bench: 'cache-time', results }))
else {
  printTable(
    ['cache', 'records', 'operation', 'best', 'median'],
    results.map(one => [
      `${one.capacityBytes / MIB} MiB`,
      String(one.records),
      one.operation,
      `${one.bestNs.toFixed(0)} ns`,
      `${one.medianNs.toFixed(0)} ns`,
    ]),
  )
}
