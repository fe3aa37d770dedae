/**
 * What the store's index costs: bytes an object, counted by its ledger and seen by the kernel, at many counts up to 20 million;
 * time of its operations; the longest insert of the whole growth; candidates that a search gives in vain. The kernel's count is
 * that of anonymous pages: pages of node's own program come and go, whatever the index does.
 *
 * Objects lie as 128-byte ones do: 28 to a page, in twelve zones of 64 MiB at once. Keys are random, the same each time. Times
 * are CPU time of the process, medians of three passes, beside two independent random reads of an array as large: less no index
 * with two buckets an entry can cost. The longest insert is by wall clock, of each insert the best of three passes: what the
 * index does it does each time, what the machine does it does not.
 *
 * Run: node dist/bench/index.js [--json] [--objects 20M]
 */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import v8 from 'node:v8'
import vm from 'node:vm'
import { ObjectIndex } from '../store/object-index.js'
import { median, printTable } from './table.js'

const PASSES = 3
const MILLION = 1_000_000
const COUNTS = [1, 2, 5, 10, 11, 13, 15, 18, 20].map(millions => millions * MILLION)
const TIMED = [1 * MILLION, 10 * MILLION]
const PAGES_PER_ZONE = 16384
const PER_PAGE = 28
const CLASSES = 12
const SEARCHES = 200_000
/** Inserts below are not remembered. */
const PAUSE_US = 30
const GOAL_BYTES = 4.2
const GOAL_PAUSE_US = 1000

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

interface Size {
  readonly objects: number
  readonly ledgerBytes: number
  readonly residentBytes: number
  readonly load: number
  readonly inVain: number
}

interface Times {
  readonly objects: number
  readonly hitNs: number
  readonly missNs: number
  readonly insertNs: number
  readonly removeNs: number
  readonly readsNs: number
}

/** 36 bits of the n-th key, in two steps of 18. */
function mixed(n: number, salt: number): number {
  let z = (n + salt) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) >>> 14
}

const placeOf = (n: number): number => mixed(n, 0x3c6ef372)
const tagOf = (n: number): number => mixed(Math.imul(n, 0x9e3779b1), 0x1b873593)

/** An index that grows object by object, and where each object is. */
class Filled {
  readonly index: ObjectIndex
  readonly #zones: Int32Array
  readonly #rounds: number
  count = 0

  constructor(objects: number) {
    this.#rounds = Math.ceil(objects / (CLASSES * PER_PAGE * PAGES_PER_ZONE)) + 1
    this.#zones = new Int32Array(CLASSES * this.#rounds)
    const zones = CLASSES * this.#rounds
    this.index = new ObjectIndex({ pagesPerZone: PAGES_PER_ZONE, zones })
  }

  locatorOf(n: number): number {
    const page = ((n / CLASSES) | 0) / PER_PAGE
    const at = (n % CLASSES) * this.#rounds + ((page / PAGES_PER_ZONE) | 0)
    if (this.#zones[at] === 0) this.#zones[at] = this.index.openZone()
    return this.#zones[at]! * PAGES_PER_ZONE + ((page | 0) % PAGES_PER_ZONE)
  }

  insert(n: number): void {
    this.index.insert(placeOf(n), tagOf(n), this.locatorOf(n))
  }

  remove(n: number): void {
    this.index.remove(placeOf(n), tagOf(n), this.locatorOf(n))
  }

  find(n: number): number {
    return this.index.find(placeOf(n), tagOf(n))
  }

  growTo(count: number): void {
    while (this.count < count) this.insert(this.count++)
  }
}

function residentBytes(): number {
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!
  return Number(line[1]) * 1024
}

function cpuNs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) * 1000
}

/** The n-th of objects chosen all over the table, each once. */
const scattered = (i: number, count: number): number => (i * 7919) % count

function reads(bytes: number): number {
  const array = new Uint32Array(bytes / 4).fill(1)
  let sum = 0
  const some = (count: number): void => {
    for (let i = 0; i < count; i++) {
      sum += array[(mixed(i, sum) * 2048 + (i & 2047)) % array.length]!
      sum -= array[(mixed(i, 77) * 2048 + (i & 2047)) % array.length]!
    }
  }
  some(SEARCHES)
  return cpuNs(() => some(SEARCHES)) / SEARCHES
}

function timesOf(filled: Filled): Times {
  const { count, index } = filled
  const chosen = Int32Array.from({ length: SEARCHES }, (_, i) => scattered(i, count))
  let found = 0
  const perOne = (work: (n: number) => void, salt = 0): number => {
    return (
      cpuNs(() => {
        for (let i = 0; i < SEARCHES; i++) work(chosen[i]! + salt)
      }) / SEARCHES
    )
  }
  const idle = perOne(n => {
    found += placeOf(n) + tagOf(n) + filled.locatorOf(n)
  })
  const hitNs = perOne(n => {
    found += filled.find(n)
  })
  const missNs = perOne(n => {
    found += filled.find(n)
  }, 100 * MILLION)
  const removeNs = perOne(n => filled.remove(n)) - idle
  const insertNs = perOne(n => filled.insert(n)) - idle
  if (found < SEARCHES || index.entries !== count) throw new Error('The index lost objects.')
  const readsNs = reads(index.memoryBytes().entries)
  return { objects: count, hitNs, missNs, insertNs, removeNs, readsNs }
}

function sizeOf(filled: Filled, residentBefore: number): Size {
  const { index, count } = filled
  let inVain = 0
  for (let i = 0; i < SEARCHES; i++) inVain += filled.find(200 * MILLION + i)
  collect()
  return {
    objects: count,
    ledgerBytes: index.memoryBytes().total / count,
    residentBytes: (residentBytes() - residentBefore) / count,
    load: count / index.slots,
    inVain: inVain / SEARCHES,
  }
}

/** Microseconds of the inserts that took long, by object. */
function growTimed(filled: Filled, count: number, pauses: Map<number, number>): void {
  while (filled.count < count) {
    const n = filled.count++
    const start = performance.now()
    filled.insert(n)
    const us = (performance.now() - start) * 1000
    if (us > PAUSE_US) pauses.set(n, us)
  }
}

interface Pass {
  readonly sizes: Size[]
  readonly times: Times[]
  readonly pauses: Map<number, number>
}

/** Growth that is timed makes garbage, so memory is counted in one that is not. */
function pass(objects: number, isTimed: boolean): Pass {
  // The second waits until the memory that the first found free has been given back.
  collect()
  collect()
  const before = residentBytes()
  const filled = new Filled(objects)
  const result: Pass = { sizes: [], times: [], pauses: new Map() }
  for (const count of COUNTS.filter(count => count <= objects)) {
    if (isTimed) growTimed(filled, count, result.pauses)
    else filled.growTo(count)
    if (!isTimed) result.sizes.push(sizeOf(filled, before))
    else if (TIMED.includes(count)) result.times.push(timesOf(filled))
  }
  return result
}

/** The longest insert, each by the best of its passes. */
function longest(passes: readonly Pass[]): { object: number; us: number } {
  let worst = { object: 0, us: 0 }
  for (const [object, us] of passes[0]!.pauses) {
    const best = Math.min(us, ...passes.map(({ pauses }) => pauses.get(object) ?? 0))
    if (best > worst.us) worst = { object, us: best }
  }
  return worst
}

function medians(passes: readonly Pass[]): Times[] {
  return passes[0]!.times.map((first, i) => {
    const of = (name: keyof Times) => median(passes.map(({ times }) => times[i]![name]))
    return {
      objects: first.objects,
      hitNs: of('hitNs'),
      missNs: of('missNs'),
      insertNs: of('insertNs'),
      removeNs: of('removeNs'),
      readsNs: of('readsNs'),
    }
  })
}

function print(sizes: readonly Size[], times: readonly Times[], pauseUs: number): void {
  const percent = (share: number, digits: number) => `${(share * 100).toFixed(digits)} %`
  console.log(
    `${os.cpus()[0]!.model}, node ${process.version}, load ${os.loadavg()[0]!.toFixed(1)}`,
  )
  console.log(
    '\nBytes an object: the ledger of the index, and growth of the process; goal 4.2 from 10 M on',
  )
  printTable(
    ['objects', 'ledger', 'process', 'load', 'candidates in vain'],
    sizes.map(({ objects, ledgerBytes, residentBytes, load, inVain }) => [
      `${objects / MILLION} M`,
      ledgerBytes.toFixed(3),
      residentBytes.toFixed(3),
      percent(load, 1),
      percent(inVain, 2),
    ]),
  )
  console.log('\nNanoseconds an operation (CPU time), and two random reads of an array as large')
  printTable(
    ['objects', 'find, there', 'find, not there', 'insert', 'remove', 'two reads'],
    times.map(({ objects, hitNs, missNs, insertNs, removeNs, readsNs }) => [
      `${objects / MILLION} M`,
      ...[hitNs, missNs, insertNs, removeNs, readsNs].map(ns => ns.toFixed(0)),
    ]),
  )
  console.log(
    pauseUs === 0
      ? `\nNo insert took ${PAUSE_US} us in all passes (goal: ${GOAL_PAUSE_US} us)`
      : `\nLongest insert: ${pauseUs.toFixed(0)} us (goal: ${GOAL_PAUSE_US} us)`,
  )
}

const given = process.argv.indexOf('--objects')
const objects = given < 0 ? COUNTS.at(-1)! : Number.parseFloat(process.argv[given + 1]!) * MILLION
// The code is compiled, and the heap has its size, before anything is counted.
pass(MILLION, true)
pass(MILLION, false)
const { sizes } = pass(objects, false)
const passes = Array.from({ length: PASSES }, () => pass(objects, true))
const times = medians(passes)
const pause = longest(passes)
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ sizes, times, longestInsert: pause }))
} else {
  print(sizes, times, pause.us)
}
const isOver = sizes.some(
  ({ objects, ledgerBytes }) => objects >= 10 * MILLION && ledgerBytes > GOAL_BYTES,
)
if (isOver || pause.us > GOAL_PAUSE_US) process.exitCode = 1
