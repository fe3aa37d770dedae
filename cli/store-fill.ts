/**
 * `zslab store fill`: writes many objects, and says what they cost. Ctrl-C ends it between two objects; what was written
 * stays.
 */
import { setImmediate } from 'node:timers/promises'
import type { Store, StoreStats } from '../store/index.js'
import type { Io } from './io.js'
import { EXIT_FAILED, ExitCode, printResult } from './output.js'
import { ProgressLine } from './progress.js'
import { formatRough, formatTime } from './quantities.js'
import type { StoreRun } from './store-objects.js'
import { MadeObjects, madeKey } from './store-objects-made.js'
import type { TtlShare } from './store-options.js'
import { dropFields, memoryFields, writeFields, zonesField } from './store-stats.js'
import { withStore } from './store-target.js'
import { formatCount, formatFields, formatSize } from './table.js'

/** Written at once, before whoever else waits gets a turn. */
const BATCH = 512

interface Filled {
  readonly objects: number
  readonly isInterrupted: boolean
  readonly seconds: number
  /** Of zones in use, whole. */
  readonly heldBytes: number
  readonly liveBytes: number
  readonly stats: StoreStats
}

/** One object without waiting if that can be; false: it has to wait. */
export function setAtOnce(store: Store, key: string, value: Uint8Array, ttl?: number): boolean {
  try {
    store.setSync(key, value, ttl)
    return true
  } catch (error) {
    if ((error as { code?: string }).code === 'STORE_ERR_BUSY') return false
    throw error
  }
}

async function setBatch(
  store: Store,
  made: MadeObjects,
  from: number,
  end: number,
  isSync: boolean,
): Promise<void> {
  if (isSync) {
    const numbers = Array.from({ length: end - from }, (_, at) => from + at)
    const sets = numbers.map(each =>
      store.set(madeKey(each), made.value(each), { ttl: made.ttl(each) }),
    )
    await Promise.all(sets)
    return
  }
  for (let each = from; each < end; each++) {
    const key = madeKey(each)
    // The last one waits for those before it, if the device is behind.
    const isDone = each < end - 1 && setAtOnce(store, key, made.value(each), made.ttl(each))
    if (!isDone) await store.set(key, made.value(each), { ttl: made.ttl(each) })
  }
}

async function write(io: Io, store: Store, run: StoreRun): Promise<Filled> {
  const { values } = run
  const objects = values['objects'] as number
  const made = new MadeObjects(values['size'] as number, values['ttlMix'] as readonly TtlShare[])
  const isSync = values['durability'] === 'sync'
  const interruption = io.interruption()
  let isInterrupted = false
  void interruption.done.then(signalled => {
    isInterrupted = signalled
  })
  const progress = new ProgressLine(io)
  const beganMs = io.nowMs()
  let done = 0
  try {
    while (done < objects) {
      await setImmediate()
      if (isInterrupted) break
      const end = Math.min(objects, done + BATCH)
      await setBatch(store, made, done, end, isSync)
      done = end
      progress.share('filling', done, objects, 'objects')
    }
    await store.flush()
  } finally {
    interruption.cancel()
    progress.clear()
  }
  const seconds = (io.nowMs() - beganMs) / 1000
  const zones = store.zones()
  const heldBytes = zones.reduce((sum, { pages }) => sum + pages * 4096, 0)
  const stats = store.stats()
  return { objects: done, isInterrupted, seconds, heldBytes, liveBytes: stats.liveBytes, stats }
}

function formatFilled(filled: Filled, asked: number): string {
  const { objects, isInterrupted, seconds, heldBytes, liveBytes, stats } = filled
  const took = `in ${formatTime(seconds * 1000)}, ${formatRough(objects / Math.max(seconds, 0.001))}/s`
  const over = liveBytes === 0 ? '' : `, ${(heldBytes / liveBytes).toFixed(3)} × live`
  const head = isInterrupted
    ? `interrupted: ${formatCount(objects)} of ${formatCount(asked)}`
    : formatCount(objects)
  return formatFields([
    ['objects written', `${head} ${took}`],
    ['objects there', formatCount(stats.objects)],
    ...writeFields(stats.writes),
    ...memoryFields(stats),
    ['space live', formatSize(liveBytes)],
    ['space held', `${formatSize(heldBytes)}${over}`],
    zonesField(stats),
    ...dropFields(stats),
  ])
}

export async function fill(run: StoreRun): Promise<void> {
  const { io, target, values, common } = run
  const opening = { mayMake: true, mayBeMemory: true }
  const filled = await withStore(io, target, values, opening, store => write(io, store, run))
  const text = () => formatFilled(filled, values['objects'] as number)
  printResult(io, common.json === true, filled, text)
  if (filled.isInterrupted) throw new ExitCode(EXIT_FAILED)
}
