/**
 * `zslab store bench`: how fast this store is on this target, by one caller that never has two operations under way.
 *
 * Rates are of operations that nobody times; every other batch is timed one by one, for the percentiles, which have the cost
 * of the clock in them. The store gets a clock that can be put forward, so that expiry needs no waiting: for that
 * reason it takes an empty store only, and leaves an empty one. Ctrl-C ends it early: what was measured until then is told.
 */
import { setImmediate } from 'node:timers/promises'
import type { Store } from '../store/index.js'
import type { Io } from './io.js'
import { Latencies } from './latencies.js'
import { EXIT_FAILED, ExitCode, FailedError, printResult } from './output.js'
import { ProgressLine } from './progress.js'
import { formatNs, formatRough, formatTime } from './quantities.js'
import { setAtOnce } from './store-fill.js'
import type { StoreRun } from './store-objects.js'
import { MADE_KEY_BYTES, MadeObjects, madeKey, mixed } from './store-objects-made.js'
import { withStore } from './store-target.js'
import { formatCount, formatSize, formatTable, left, plural, right } from './table.js'

const BATCH = 1000
const TTL_MS = 3_600_000
const WARM_UP = 20_000
const NS = 1e6

interface Measured {
  readonly operation: string
  readonly operations: number
  readonly perSecond: number
  readonly p50Ns: number
  readonly p99Ns: number
  readonly p999Ns: number
  readonly maxNs: number
}

type Operation = (number: number) => void | Promise<void>

interface Watch {
  readonly io: Io
  readonly progress: ProgressLine
  /** Somebody pressed Ctrl-C. */
  isInterrupted: boolean
}

/** Runs `count` operations in batches, every other one timed. Null when it was interrupted. */
async function measure(
  watch: Watch,
  name: string,
  count: number,
  operation: Operation,
): Promise<Measured | null> {
  const { io, progress } = watch
  const latencies = new Latencies()
  progress.begin()
  let untimed = 0
  let untimedMs = 0
  for (let from = 0; from < count; from += BATCH) {
    await setImmediate()
    if (watch.isInterrupted) return null
    const end = Math.min(count, from + BATCH)
    const isTimed = (from / BATCH) % 2 === 1 || count <= BATCH
    const beganMs = io.nowMs()
    for (let each = from; each < end; each++) {
      const startMs = isTimed ? io.nowMs() : 0
      const waits = operation(each)
      if (waits !== undefined) await waits
      if (isTimed) latencies.note((io.nowMs() - startMs) * NS)
    }
    if (!isTimed || count <= BATCH) {
      untimed += end - from
      untimedMs += io.nowMs() - beganMs
    }
    progress.share(name, end, count, 'operations')
  }
  return {
    operation: name,
    operations: count,
    perSecond: (untimed / untimedMs) * 1000,
    p50Ns: latencies.percentile(0.5),
    p99Ns: latencies.percentile(0.99),
    p999Ns: latencies.percentile(0.999),
    maxNs: latencies.max,
  }
}

interface BenchResult {
  readonly target: string
  readonly objects: number
  readonly valueBytes: number
  readonly isInterrupted: boolean
  readonly rows: readonly Measured[]
  /** A call of the clock, which is in every percentile. */
  readonly clockNs: number
  readonly expiry: {
    readonly objects: number
    readonly zones: number
    /** From their last deadline until every zone is free again. */
    readonly ms: number
  }
}

function clockCost(io: Io): number {
  const beganMs = io.nowMs()
  for (let each = 0; each < 100_000; each++) io.nowMs()
  return ((io.nowMs() - beganMs) * NS) / 100_000
}

/** Ends everything that is in the store by putting its clock forward. */
async function expire(io: Io, store: Store, nowMs: () => number): Promise<BenchResult['expiry']> {
  // Marks of what was overwritten are written before their zones expire, not after.
  await store.flush()
  const objects = store.size
  const zones = store.zones().length
  const beganMs = io.nowMs()
  store.tick(nowMs())
  // Resolves when the resets are done.
  await store.flush()
  return { objects, zones, ms: io.nowMs() - beganMs }
}

async function run(
  io: Io,
  store: Store,
  { values, target }: StoreRun,
  skew: { ms: number },
): Promise<BenchResult> {
  if (store.size > 0 || store.zones().length > 0) {
    const what = `${target}: the store has ${formatCount(store.size)} objects, and a bench needs an empty one`
    const next = 'name another target, or add --format, which erases everything on it'
    throw new FailedError('CLI_ERR_NOT_EMPTY', `${what}: ${next}`)
  }
  const objects = values['objects'] as number
  const valueBytes = values['size'] as number
  const made = new MadeObjects(valueBytes, [{ ttlMs: TTL_MS, share: 1 }])
  const keys = Array.from({ length: objects }, (_, number) => madeKey(number))
  const into = new Uint8Array(valueBytes)
  const set: Operation = number => {
    const key = keys[number]!
    const value = made.value(number)
    if (setAtOnce(store, key, value, TTL_MS)) return undefined
    return store.set(key, value, { ttl: TTL_MS }).then(() => {})
  }
  const get: Operation = number => {
    const found = store.getInto(keys[mixed(number) % objects]!, into)
    return typeof found === 'number' ? undefined : found.then(() => {})
  }
  const missing: Operation = n => {
    const found = store.getInto(`m${keys[n]!.slice(1)}`, into)
    return typeof found === 'number' ? undefined : found.then(() => {})
  }
  const flushAndGet: Operation = n => (n === 0 ? store.flush().then(() => get(n)) : get(n))
  const steps: readonly (readonly [string, Operation])[] = [
    ['set, new', set],
    ['set, again', n => set(mixed(n) % objects)],
    ['get', flushAndGet],
    ['get, missing', missing],
  ]
  const interruption = io.interruption()
  const watch: Watch = { io, progress: new ProgressLine(io), isInterrupted: false }
  void interruption.done.then(signalled => {
    watch.isInterrupted = signalled
  })
  try {
    // The compiler has seen everything before anything is measured.
    for (let each = 0; each < WARM_UP; each++) await set(each % objects)
    for (let each = 0; each < WARM_UP; each++) await get(each)
    const rows: Measured[] = []
    for (const [name, operation] of steps) {
      const row = await measure(watch, name, objects, operation)
      if (row === null) break
      rows.push(row)
    }
    skew.ms += TTL_MS + 1000
    const expiry = await expire(io, store, () => Date.now() + skew.ms)
    const { isInterrupted } = watch
    return { target, objects, valueBytes, isInterrupted, rows, clockNs: clockCost(io), expiry }
  } finally {
    interruption.cancel()
    watch.progress.clear()
  }
}

export function formatBench(result: BenchResult): string {
  const { objects, valueBytes, isInterrupted, rows, clockNs, expiry } = result
  const columns = [
    ...[left('OPERATION'), right('RATE/S'), right('P50'), right('P99'), right('P99.9')],
    right('LONGEST'),
  ]
  const lines = rows.map(row => [
    row.operation,
    formatRough(row.perSecond),
    ...[row.p50Ns, row.p99Ns, row.p999Ns, row.maxNs].map(formatNs),
  ])
  const head = isInterrupted ? 'interrupted: ' : ''
  const what = `${head}${formatCount(objects)} objects, keys of ${MADE_KEY_BYTES} B, values of ${formatSize(valueBytes)}, one operation at a time`
  const ended = `${formatCount(expiry.objects)} objects in ${plural(expiry.zones, 'zone')} expired and gone in ${formatTime(expiry.ms)}`
  const clock = `each percentile has a call of the clock in it, ${formatNs(clockNs)}`
  return `${what}\n${formatTable(columns, lines)}${ended}\n${clock}\n`
}

export async function bench(storeRun: StoreRun): Promise<void> {
  const { io, target, values, common } = storeRun
  const skew = { ms: 0 }
  const opening = {
    ...{ mayMake: true, mayBeMemory: true },
    extra: { now: () => Date.now() + skew.ms },
  }
  const result = await withStore(io, target, values, opening, store =>
    run(io, store, storeRun, skew),
  )
  printResult(io, common.json === true, result, () => formatBench(result))
  if (result.isInterrupted) throw new ExitCode(EXIT_FAILED)
}
