/**
 * Hit ratios of the store's DRAM cache on real traces, beside simulated LRU, FIFO, SIEVE, ARC and S3-FIFO (cache-policies.ts).
 *
 * Every policy sees the same objects, sizes and capacity: the bytes of a record (header and key of 8 bytes counted), and the bytes
 * that our cache has for records, at 1, 3 and 10 % of the footprint (the sum of all objects of the trace). Traces without sizes get
 * values of 128 bytes. What our cache needs beside its records (table, ghost, slack of segments) is the column `beside`.
 * `goal`: our hit ratio within 0.01 of the simulated S3-FIFO.
 *
 * Run: node dist/bench/cache.js [--json] [FILE|DIRECTORY]     (default: $ZSLAB_TRACES)
 */
import { planCache } from '../store/cache-plan.js'
import { RecordCache } from '../store/record-cache.js'
import { recordGranules } from '../store/record-memory.js'
import { POLICIES, type Policy } from './cache-policies.js'
import { objectsOf, type Trace, tracesAt } from './cache-traces.js'
import { printTable } from './table.js'

const SHARES = [0.01, 0.03, 0.1]
const VALUE_BYTES = 128
const KEY_BYTES = 8
const GOAL = 0.01

const mix = (value: number, factor: number): number => {
  const hash = Math.imul(value ^ (value >>> 16), factor)
  return Math.imul(hash ^ (hash >>> 13), 0x297a2d39) ^ (hash >>> 15)
}

/** Our cache, as a store uses it: what is not found is read and put in. */
class Ours implements Policy {
  readonly cache: RecordCache
  readonly #valueBytes: Float64Array
  readonly #key = new Uint8Array(KEY_BYTES)
  readonly #value: Uint8Array

  constructor(valueBytes: Float64Array, meanRecordBytes: number, recordBytes: number) {
    this.cache = cacheOf(recordBytes, meanRecordBytes)
    this.#valueBytes = valueBytes
    this.#value = new Uint8Array(valueBytes.reduce((a, b) => Math.max(a, b), 0))
  }

  request(id: number): boolean {
    const key = this.#key
    for (let i = 0; i < 4; i++) key[i] = id >>> (i * 8)
    const place = mix(id, 0x7feb352d) >>> 14
    const tag = mix(id + 0x51ed2701, 0x846ca68b) >>> 14
    if (this.cache.find(key, KEY_BYTES, place, tag) >= 0) return true
    this.cache.insert(key, KEY_BYTES, place, tag, this.#value, 0, this.#valueBytes[id]!, 0)
    return false
  }
}

/** A cache with exactly so many bytes for records, and no more beside them than it needs. */
function cacheOf(recordBytes: number, meanRecordBytes: number): RecordCache {
  for (let capacityBytes = Math.ceil(recordBytes + 262144); ; capacityBytes += 1024) {
    const options = { capacityBytes, meanRecordBytes, recordBytesMax: recordBytes }
    if (planCache(options).recordBytes === recordBytes) return new RecordCache(options)
  }
}

function ratioOf(policy: Policy, requests: Uint32Array): number {
  let hits = 0
  for (let i = 0; i < requests.length; i++) if (policy.request(requests[i]!)) hits++
  return hits / requests.length
}

function measure(trace: Trace, share: number) {
  const objects = objectsOf(trace)
  const valueBytes = trace.sizes ?? new Float64Array(objects).fill(VALUE_BYTES)
  const sizes = valueBytes.map(bytes => recordGranules(KEY_BYTES, bytes) * 8)
  const footprint = sizes.reduce((a, b) => a + b, 0)
  const capacity = Math.floor((footprint * share) / 8) * 8
  // A cache keeps small objects rather than large ones: there is room for more records than the mean of all would need.
  const divisor = trace.sizes === null ? 1 : 2
  const mean = Math.min(Math.max(Math.floor(footprint / objects / divisor), 40), 65536)
  const ratios: Record<string, number> = {}
  for (const [name, Simulator] of Object.entries(POLICIES))
    ratios[name] = ratioOf(new Simulator(sizes, capacity), trace.requests)
  const ours = new Ours(valueBytes, mean, capacity)
  const ratio = ratioOf(ours, trace.requests)
  const { memoryBytes, displaced, ghostsLost } = ours.cache.stats
  const { records, table, ghost, segments } = memoryBytes
  return {
    trace: trace.name,
    requests: trace.requests.length,
    objects,
    share,
    capacityBytes: capacity,
    ratios,
    ours: ratio,
    off: ratio - ratios['S3-FIFO']!,
    besideBytes: records + table + ghost + segments - capacity,
    displaced,
    ghostsLost,
  }
}

const isJson = process.argv.includes('--json')
const path = process.argv.slice(2).find(arg => !arg.startsWith('--')) ?? process.env['ZSLAB_TRACES']
if (path === undefined) {
  console.error(
    'say where the traces are: node dist/bench/cache.js FILE|DIRECTORY, or ZSLAB_TRACES',
  )
  process.exit(2)
}
const results = []
for (const trace of tracesAt(path)) for (const share of SHARES) results.push(measure(trace, share))
if (results.length === 0) {
  console.error(`no trace of a known name in ${path}: see bench/cache-traces.ts`)
  process.exit(1)
}
const goalMissed = results.filter(({ off }) => Math.abs(off) > GOAL).length
if (isJson) console.log(JSON.stringify({ bench: 'cache', goal: GOAL, goalMissed, results }))
else {
  const fixed = (value: number) => value.toFixed(4)
  const names = Object.keys(POLICIES)
  printTable(
    ['trace', 'requests', 'objects', 'share', ...names, 'ours', 'ours - S3-FIFO', 'beside'],
    results.map(one => [
      ...[one.trace, String(one.requests), String(one.objects), `${one.share * 100} %`],
      ...names.map(name => fixed(one.ratios[name]!)),
      ...[fixed(one.ours), `${one.off < 0 ? '' : '+'}${fixed(one.off)}`],
      `${((one.besideBytes / one.capacityBytes) * 100).toFixed(1)} %`,
    ]),
  )
  console.log(
    `hit ratios; goal: within ${GOAL} of S3-FIFO: ${goalMissed} of ${results.length} missed`,
  )
}
