/**
 * What a set, a get and an expiry cost in one thread, beside what a program would use instead (store-peers.ts).
 *
 * A million objects (store-data.ts) with a time to live, keys prepared before as strings, gets in random order and into the
 * caller's buffer. Each round of each peer is a process of its own on one core; the peers take turns, so that a slow moment of
 * the machine hits all.
 *
 *   set        the first writing of every key       again   writing all of them once more, in random order
 *   get        reading all, in random order         expire  half of the objects at once: time over objects
 *
 * Times are nanoseconds of processor time an operation (all threads of the process, collections of garbage included), and of wall
 * time behind the slash. Percentiles are of wall time with a clock read around each operation (what that costs is printed).
 * The limit: one dependent miss of the caches, which a lookup among a million objects cannot do without.
 *
 * Run: node dist/bench/store-speed.js [--objects 1000000] [--rounds 5] [--json]
 */
import { fileURLToPath } from 'node:url'
import {
  type Cost,
  costOf,
  inOrder,
  keyStrings,
  missCost,
  percentiles,
  shuffled,
  VALUE_BYTES,
  valueFor,
} from './store-data.js'
import { PEER_BATCH, type Peer, peerSorts, targetBytes } from './store-peers.js'
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
} from './store-run.js'
import { median, printTable } from './table.js'

const GOAL_GET_NS = 300
const GOAL_SET_NS = 400
const TTL_MS = 3_600_000
const SHORT_TTL_MS = 60_000
const WARM_UP = 20_000
const TIMED = 200_000
const LIMIT = 'limit'

interface Job {
  readonly peer: string
  readonly objects: number
}

interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

type Step = 'set' | 'again' | 'get' | 'expire'
interface Round {
  readonly costs: Readonly<Record<Step, Cost | null>>
  readonly getLatency: Latency
  readonly setLatency: Latency
}

interface Missing {
  readonly missing: string
}

interface Limit {
  readonly miss: Cost
  readonly clock: Latency
}

function setSome(peer: Peer, keys: readonly string[], from: number, to: number, ttl: number): void {
  for (let i = from; i < to; i++) peer.set(keys[i]!, valueFor(i), ttl)
}

async function setAll(peer: Peer, keys: readonly string[], ttl: number): Promise<void> {
  for (let from = 0; from < keys.length; from += PEER_BATCH) {
    setSome(peer, keys, from, Math.min(from + PEER_BATCH, keys.length), ttl)
    if (peer.flush !== undefined) await peer.flush()
  }
}

function getAll(peer: Peer, keys: readonly string[]): void {
  const target = targetBytes()
  let found = 0
  for (let i = 0; i < keys.length; i++) found += peer.getInto(keys[i]!, target)
  if (found !== keys.length * VALUE_BYTES)
    throw new Error(`${found} bytes of ${keys.length} objects`)
}

/** That the peer holds what was set: of each key the value it was set with. */
function check(peer: Peer, keys: readonly string[]): void {
  const target = targetBytes()
  for (let i = 0; i < keys.length; i += 997) {
    const length = peer.getInto(keys[i]!, target)
    if (length !== VALUE_BYTES || valueFor(i).compare(target, 0, VALUE_BYTES) !== 0) {
      throw new Error(`object ${i} is not what was set`)
    }
  }
}

function getLatency(peer: Peer, keys: readonly string[]): Latency {
  const samples = new Float64Array(keys.length)
  const target = targetBytes()
  for (let i = 0; i < samples.length; i++) {
    const start = performance.now()
    peer.getInto(keys[i]!, target)
    samples[i] = (performance.now() - start) * 1e6
  }
  return percentiles(samples)
}

/** A batch is paid by the set that ends it. */
async function setLatency(peer: Peer, keys: readonly string[]): Promise<Latency> {
  const samples = new Float64Array(keys.length)
  for (let i = 0; i < samples.length; i++) {
    const start = performance.now()
    peer.set(keys[i]!, valueFor(i), TTL_MS)
    if (i % PEER_BATCH === PEER_BATCH - 1 && peer.flush !== undefined) await peer.flush()
    samples[i] = (performance.now() - start) * 1e6
  }
  return percentiles(samples)
}

/** Half of the objects expire at once; the others must be there, and those not. */
async function expireHalf({ peer: name, objects }: Job, folder: string): Promise<Cost | null> {
  const peer = await peerSorts(true)
    .find(sort => sort.name === name)!
    .open(folder, objects)
  const half = objects >> 1
  const order = shuffled(objects, 7)
  const [gone, stays] = [keyStrings(order.subarray(0, half)), keyStrings(order.subarray(half))]
  for (let from = 0; from < half; from += PEER_BATCH) {
    const to = Math.min(from + PEER_BATCH, half)
    setSome(peer, gone, from, to, SHORT_TTL_MS)
    setSome(peer, stays, from, to, TTL_MS)
    if (peer.flush !== undefined) await peer.flush()
  }
  let cost: Cost | null = null
  if (peer.expire !== undefined) {
    cost = await costOf(half, () => peer.expire!(SHORT_TTL_MS + 10_000, gone))
    check(peer, stays.slice(0, half))
    const target = targetBytes()
    const left = gone.filter(key => peer.getInto(key, target) >= 0).length
    if (left > 0) throw new Error(`${left} objects outlived their deadline`)
  }
  await peer.close()
  return cost
}

async function measure(job: Job, folder: string): Promise<Round | Missing> {
  const sort = peerSorts(false).find(({ name }) => name === job.peer)!
  let warm: Peer
  try {
    warm = await sort.open(`${folder}/warm`, WARM_UP)
  } catch (error) {
    const what = (error as Error).message.split('\n')[0]
    return { missing: `${what}; npm ci --prefix bench/peers installs it` }
  }
  const few = keyStrings(inOrder(Math.min(WARM_UP, job.objects)))
  for (let round = 0; round < 5; round++) {
    await setAll(warm, few, TTL_MS)
    getAll(warm, few)
  }
  await warm.close()
  const peer = await sort.open(`${folder}/full`, job.objects)
  const keys = keyStrings(inOrder(job.objects))
  const mixed = keyStrings(shuffled(job.objects, 5))
  const set = await costOf(job.objects, () => setAll(peer, keys, TTL_MS))
  check(peer, keys)
  const get = await costOf(job.objects, () => getAll(peer, mixed))
  const again = await costOf(job.objects, () => setAll(peer, mixed, TTL_MS))
  check(peer, mixed)
  // Another order: what was written one after another lies side by side.
  const timed = keyStrings(shuffled(job.objects, 6).subarray(0, TIMED))
  const latencies = {
    getLatency: getLatency(peer, timed),
    setLatency: await setLatency(peer, timed),
  }
  await peer.close()
  globalThis.gc?.()
  return {
    costs: { set, again, get, expire: await expireHalf(job, `${folder}/expire`) },
    ...latencies,
  }
}

async function measureLimit(): Promise<Limit> {
  const samples = new Float64Array(TIMED)
  for (let i = 0; i < samples.length; i++) {
    const start = performance.now()
    samples[i] = (performance.now() - start) * 1e6
  }
  return { miss: await missCost(), clock: percentiles(samples) }
}

async function child(job: Job): Promise<void> {
  if (job.peer === LIMIT) {
    answer(await measureLimit())
    return
  }
  const folder = workFolder('memory')
  try {
    answer(await measure(job, folder))
  } finally {
    removeFolder(folder)
  }
}

/** The middle of each figure over the rounds. */
function middle<T>(rounds: readonly T[]): T {
  const first = rounds[0]
  if (typeof first === 'number') return median(rounds as readonly number[]) as T
  if (typeof first !== 'object' || first === null) return first as T
  const names = Object.keys(first) as (keyof T)[]
  return Object.fromEntries(names.map(name => [name, middle(rounds.map(one => one[name]))])) as T
}

const both = (cost: Cost | null): string =>
  cost === null ? '-' : `${cost.cpu.toFixed(0)}/${cost.wall.toFixed(0)}`
const three = ({ p50, p99, p999 }: Latency): string =>
  [p50, p99, p999].map(ns => ns.toFixed(0)).join(' ')

function print(
  results: ReadonlyMap<string, Round>,
  missing: ReadonlyMap<string, string>,
  limit: Limit,
): void {
  const ours = results.get('zns-slab')!
  const ratio = (round: Round, step: Step): string => {
    const cost = round.costs[step]
    const base = ours.costs[step]
    return cost === null || base === null ? '-' : (cost.cpu / base.cpu).toFixed(2)
  }
  const steps: readonly Step[] = ['set', 'again', 'get', 'expire']
  printTable(
    [
      'cpu/wall ns',
      ...steps,
      'get p50 p99 p99.9',
      'set p50 p99 p99.9',
      ...steps.map(step => `${step} x`),
    ],
    [...results].map(([name, round]) => [
      ...[name, ...steps.map(step => both(round.costs[step]))],
      ...[three(round.getLatency), three(round.setLatency)],
      ...steps.map(step => ratio(round, step)),
    ]),
  )
  console.log('x: processor time over that of zns-slab')
  for (const [name, why] of missing) console.log(`${name}: not measured: ${why}`)
  console.log(
    `limit: one dependent miss ${both(limit.miss)} ns; two clock reads ${three(limit.clock)} ns`,
  )
  const { get, set, again } = ours.costs
  for (const [name, cost, goal] of [
    ['get', get, GOAL_GET_NS],
    ['set', set, GOAL_SET_NS],
    ['again', again, GOAL_SET_NS],
  ] as const) {
    console.log(
      `goal ${name} <= ${goal} ns: ${cost!.cpu <= goal ? 'met' : 'missed'} in processor time, ${cost!.wall <= goal ? 'met' : 'missed'} in wall time`,
    )
  }
}

async function run(options: BenchOptions): Promise<void> {
  const script = fileURLToPath(import.meta.url)
  const rounds = new Map<string, Round[]>()
  const missing = new Map<string, string>()
  const limits: Limit[] = []
  for (let round = 0; round < options.rounds; round++) {
    limits.push(await inChild<Limit>(script, { peer: LIMIT }))
    for (const { name } of peerSorts(false)) {
      if (missing.has(name)) continue
      const result = await inChild<Round | Missing>(script, {
        peer: name,
        objects: options.objects,
      })
      if ('missing' in result) missing.set(name, result.missing)
      else rounds.set(name, [...(rounds.get(name) ?? []), result])
    }
  }
  const results = new Map([...rounds].map(([name, all]) => [name, middle(all)]))
  const limit = middle(limits)
  if (options.json) {
    const peers = Object.fromEntries(results)
    console.log(
      JSON.stringify({
        bench: 'store-speed',
        ...options,
        machine: machine(),
        limit,
        peers,
        missing: Object.fromEntries(missing),
      }),
    )
    return
  }
  printHead(`Set, get, expire: ${options.objects} objects of 16 + 128 bytes`, options)
  print(results, missing, limit)
}

const job = childJob<Job>()
if (job === undefined) await run(benchOptions(1_000_000))
else await child(job)
