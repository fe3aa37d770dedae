/**
 * Bytes written to the drive over bytes of keys and values, by cause, for a workload in which objects expire.
 *
 * A million objects of 16 + 128 bytes at 2 MB/s, with the reference mix of TTLs (space-mixes.ts) at a sixtieth of its times: half
 * of them expire within the run. The clock of ours is simulated, and it commits every simulated second, as it does by itself.
 * `10 % again`: one in ten replaces an object that was written shortly before, which costs a mark. `one TTL`: every object lives as
 * long as the others, as sessions and tokens do.
 *
 *   classic-level  batches of 10 simulated milliseconds; it knows no TTL, so keys are deleted when their time has come
 *   redis AOF      appendfsync everysec, its own rewrites; in real time, 20 s for the run and TTLs scaled to it
 *
 * `calls` is what the process gave to write calls (/proc/PID/io; of Redis without its replies), the same way for all; `device` is
 * what our store says that it wrote to the drive; the rest of ours is the drive's own table of write pointers.
 * The limit is 1: every byte has to be written once.
 *
 * Run: node dist/bench/store-writes.js [--objects 1000000] [--rounds 5] [--json]
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open, type StoreStats } from '../store/index.js'
import { MIXES } from './space-mixes.js'
import { KEY_BYTES, keyInto, keyOf, PAYLOAD_BYTES, scrambled, valueFor } from './store-data.js'
import {
  answer,
  type BenchOptions,
  benchOptions,
  childJob,
  inChild,
  machine,
  printHead,
  removeFolder,
  workFolder,
  writtenBytes,
} from './store-run.js'
import { isInstalled, notInstalled, startServer } from './store-servers.js'
import { median, printTable } from './table.js'

const SLOW_MB = 2
const FAST_MB = 20
const OBJECTS_A_STEP = 100
/** At `SLOW_MB`. */
const STEP_MS = (OBJECTS_A_STEP * PAYLOAD_BYTES) / (SLOW_MB * 1000)
const ONE_TTL_MS = 10_000
const COMMIT_MS = 1000
const TIME_SCALE = 60
const START_MS = 1_763_000_000_000
const RECENT = 100_000
const REDIS_MS = 20_000
const REDIS_REPLY_BYTES = 5
const GOAL = 1.05
const CAUSES = ['padding', 'header', 'index', 'mark', 'reinserted'] as const

interface Job {
  readonly peer: 'zns-slab' | 'classic-level'
  readonly objects: number
  /** One in so many objects replaces a recent one; 0: none. */
  readonly againEvery: number
  /** Of ours: megabytes of keys and values a second, and whether all have the same TTL. */
  readonly rateMb: number
  readonly isOneTtl: boolean
}

/** All over payload. */
interface Figure {
  readonly calls: number | null
  readonly device: number | null
  readonly causes: Readonly<Record<(typeof CAUSES)[number], number>> | null
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const { modes } = MIXES.find(({ name }) => name === 'reference')!

/** Milliseconds that the object lives, simulated. */
function ttlOf(turn: number): number {
  const draw = (seed: number): number => scrambled(turn, seed) / 2 ** 32
  let left = draw(11)
  let mode = modes[0]!
  for (const one of modes) {
    mode = one
    left -= one.share
    if (left < 0) break
  }
  return (mode.fromMs + (mode.toMs - mode.fromMs) * draw(12)) / TIME_SCALE
}

/** Which object is written at a turn: a new one, or one of the last RECENT. */
function numberAt(turn: number, againEvery: number): number {
  if (againEvery === 0 || turn % againEvery !== againEvery - 1) return turn
  return Math.max(0, turn - 1 - (scrambled(turn, 13) % RECENT))
}

function causesOf({ writes }: StoreStats): Figure['causes'] {
  const of = (bytes: number): number => bytes / writes.payloadBytes
  return {
    padding: of(writes.paddingBytes),
    header: of(writes.headerBytes),
    index: of(writes.indexBytes),
    mark: of(writes.markBytes),
    reinserted: of(writes.reinsertedBytes),
  }
}

async function ours(job: Job, folder: string): Promise<Figure> {
  const { objects, againEvery, rateMb, isOneTtl } = job
  const stepMs = (STEP_MS * SLOW_MB) / rateMb
  let nowMs = START_MS
  const bytes = Math.max(256 * 2 ** 20, objects * PAYLOAD_BYTES * 64)
  const store = await open({
    ...{ device: join(folder, 'drive'), deviceOptions: { bytes }, cacheBytes: 0 },
    now: () => nowMs,
  })
  const before = writtenBytes()
  const key = Buffer.alloc(KEY_BYTES)
  let committedMs = nowMs
  for (let turn = 0; turn < objects; turn++) {
    if (turn % OBJECTS_A_STEP === 0) nowMs += stepMs
    const number = numberAt(turn, againEvery)
    keyInto(key, number)
    // In the device's pace: a simulated clock leaves it no time of its own.
    await store.set(key, valueFor(number), { ttl: isOneTtl ? ONE_TTL_MS : ttlOf(turn) })
    if (nowMs - committedMs < COMMIT_MS) continue
    committedMs = nowMs
    store.tick(nowMs)
    await store.flush()
  }
  await store.flush()
  const stats = store.stats()
  const after = writtenBytes()
  await store.close()
  const payload = objects * PAYLOAD_BYTES
  return {
    calls: before === null || after === null ? null : (after.calls - before.calls) / payload,
    device: stats.writes.deviceBytes / payload,
    causes: causesOf(stats),
  }
}

type LevelStep = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string }

async function classicLevel({ objects }: Job, folder: string): Promise<Figure> {
  const packages = createRequire(new URL('../../bench/peers/package.json', import.meta.url))
  const db = new (packages('classic-level').ClassicLevel)(join(folder, 'level'), {
    valueEncoding: 'buffer',
  })
  await db.open()
  const before = writtenBytes()!
  /** Objects by the step at which they expire. */
  const ends = new Map<number, number[]>()
  for (let turn = 0; turn < objects; ) {
    const step = turn / OBJECTS_A_STEP
    const steps: LevelStep[] = (ends.get(step) ?? []).map(number => ({
      type: 'del',
      key: keyOf(number),
    }))
    ends.delete(step)
    for (let i = 0; i < OBJECTS_A_STEP; i++, turn++) {
      steps.push({ type: 'put', key: keyOf(turn), value: valueFor(turn) })
      const end = step + Math.ceil(ttlOf(turn) / STEP_MS)
      const there = ends.get(end)
      if (there === undefined) ends.set(end, [turn])
      else there.push(turn)
    }
    await db.batch(steps)
  }
  await db.close()
  const calls = (writtenBytes()!.calls - before.calls) / (objects * PAYLOAD_BYTES)
  return { calls, device: null, causes: null }
}

async function redis(objects: number): Promise<Figure> {
  const folder = workFolder('disk')
  const server = (await startServer('redis-server', folder, [
    '--appendonly',
    'yes',
    '--appendfsync',
    'everysec',
  ]))!
  try {
    const before = writtenBytes(server.pid)!
    const start = Date.now()
    const scale = REDIS_MS / ((objects / OBJECTS_A_STEP) * STEP_MS)
    const ttl = (turn: number): number => Math.max(1, Math.ceil(ttlOf(turn) * scale))
    const part = Math.ceil(objects / 200)
    for (let from = 0; from < objects; from += part) {
      await pause(start + (REDIS_MS * from) / objects - Date.now())
      await server.setAll(from, Math.min(from + part, objects), ttl)
    }
    // The last second of the file, and a rewrite that is under way.
    await pause(3000)
    const written = writtenBytes(server.pid)!.calls - before.calls - objects * REDIS_REPLY_BYTES
    return { calls: written / (objects * PAYLOAD_BYTES), device: null, causes: null }
  } finally {
    await server.kill()
    removeFolder(folder)
  }
}

async function child(job: Job): Promise<void> {
  const folder = workFolder('disk')
  try {
    answer(await (job.peer === 'zns-slab' ? ours(job, folder) : classicLevel(job, folder)))
  } finally {
    removeFolder(folder)
  }
}

function middle(figures: readonly Figure[]): Figure {
  const of = (read: (figure: Figure) => number): number => median(figures.map(read))
  const { calls, device, causes } = figures[0]!
  return {
    calls: calls === null ? null : of(figure => figure.calls!),
    device: device === null ? null : of(figure => figure.device!),
    causes:
      causes === null
        ? null
        : (Object.fromEntries(
            CAUSES.map(cause => [cause, of(figure => figure.causes![cause])]),
          ) as Figure['causes']),
  }
}

function print(figures: ReadonlyMap<string, Figure>): void {
  const three = (value: number | null | undefined): string => value?.toFixed(3) ?? '-'
  printTable(
    ['over payload', 'calls', 'device', ...CAUSES, `goal ${GOAL}`],
    [...figures].map(([name, { calls, device, causes }]) => [
      ...[name, three(calls), three(device), ...CAUSES.map(cause => three(causes?.[cause]))],
      device === null ? '-' : device <= GOAL ? 'met' : 'missed',
    ]),
  )
  console.log('limit: 1, every byte once')
}

async function run(options: BenchOptions): Promise<void> {
  const script = fileURLToPath(import.meta.url)
  const { objects, rounds } = options
  const slow: Job = { peer: 'zns-slab', objects, againEvery: 0, rateMb: SLOW_MB, isOneTtl: false }
  const jobs: Readonly<Record<string, Job>> = {
    'zns-slab': slow,
    'zns-slab, 10 % again': { ...slow, againEvery: 10 },
    [`zns-slab, ${FAST_MB} MB/s`]: { ...slow, rateMb: FAST_MB },
    'zns-slab, one TTL': { ...slow, isOneTtl: true },
    [`zns-slab, one TTL, ${FAST_MB} MB/s`]: { ...slow, isOneTtl: true, rateMb: FAST_MB },
    'classic-level': { ...slow, peer: 'classic-level' },
  }
  const figures = new Map<string, Figure>()
  const missing: string[] = []
  for (const [name, job] of Object.entries(jobs)) {
    const all: Figure[] = []
    try {
      for (let round = 0; round < rounds; round++) all.push(await inChild<Figure>(script, job))
      figures.set(name, middle(all))
    } catch (error) {
      if (job.peer === 'zns-slab') throw error
      missing.push(
        `${name}: not measured: ${(error as Error).message}; npm ci --prefix bench/peers installs it`,
      )
    }
  }
  // Once: in real time.
  if (isInstalled('redis-server')) figures.set('redis AOF, 1 run', await redis(objects))
  else missing.push(`${notInstalled('redis-server')}; measured elsewhere: 2.1`)
  if (options.json) {
    const peers = Object.fromEntries(figures)
    console.log(
      JSON.stringify({ bench: 'store-writes', ...options, machine: machine(), peers, missing }),
    )
    return
  }
  printHead(`Bytes written: ${objects} objects of 16 + 128 bytes that expire`, options)
  print(figures)
  for (const line of missing) console.log(line)
}

const job = childJob<Job>()
if (job === undefined) await run(benchOptions(1_000_000))
else await child(job)
