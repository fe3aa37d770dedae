/**
 * What taking a slot costs: takeSlot in a slab that is in the processor's cache, with a deadline in its column.
 *
 * A clock read costs more than what is measured, so there are two figures. `slab`: all slots of a slab between two clock reads,
 * over their number, for each of many slabs: its p99 is that of a slab's mean. `call`: one call between two clock reads, less the
 * median of two clock reads with nothing between them: its p99 has the clock's own scatter in it, so it is an upper bound.
 * The limit: one load from the second-level cache and back, about 5 ns.
 *
 * Run: node dist/bench/store-alloc.js [--objects 1000000] [--rounds 5] [--json]
 */
import { fileURLToPath } from 'node:url'
import { CELL_COUNT, DEADLINE } from '../store/cells.js'
import { beginSlab, takeSlot } from '../store/open-slab.js'
import { sizeClassOf } from '../store/size-classes.js'
import { AT_WIDTHS } from '../store/slab.js'
import { STAGE_BYTES, Stage } from '../store/stage.js'
import { KEY_BYTES, PAYLOAD_BYTES, percentiles, scrambled, VALUE_BYTES } from './store-data.js'
import { answer, benchOptions, childJob, inChild, machine, printHead } from './store-run.js'
import { median, printTable } from './table.js'

const GOAL_NS = 100
const START_MS = 1_763_000_000_000
/** Of place and tag. */
const HASH_MASK = 2 ** 18 - 1
/** Runs before those that count: compiled by then. */
const WARM_UP = 3

interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

interface Figure {
  readonly slots: number
  readonly slab: Latency
  readonly call: Latency
  readonly clockNs: number
}

class Slab {
  readonly #stage = new Stage(new Uint8Array(STAGE_BYTES))
  readonly #cells = new Float64Array(CELL_COUNT)
  #widths = 0
  #number = 0

  begin(): void {
    this.#widths |= this.#stage.bytes[AT_WIDTHS]!
    beginSlab(this.#stage, 0, sizeClassOf(PAYLOAD_BYTES), this.#widths)
  }

  take(): number {
    const number = this.#number++
    const hash = scrambled(number, 1)
    this.#cells[DEADLINE] = START_MS + (number & 0xfff)
    const [place, tag] = [hash & HASH_MASK, hash >>> 14]
    return takeSlot(this.#stage, 0, KEY_BYTES, VALUE_BYTES, place, tag & HASH_MASK, this.#cells)
  }
}

const nowNs = (): number => performance.now() * 1e6

/** The slots of a slab of such records, and its widths learned. */
function slotsOf(slab: Slab): number {
  let slots = 0
  for (let round = 0; round < 100; round++) {
    slab.begin()
    for (slots = 0; slab.take() >= 0; ) slots++
  }
  return slots
}

function slabMeans(slab: Slab, slots: number, count: number): Latency {
  const samples = new Float64Array(Math.ceil(count / slots))
  for (let i = 0; i < samples.length; i++) {
    slab.begin()
    const start = nowNs()
    for (let slot = 0; slot < slots; slot++) slab.take()
    samples[i] = (nowNs() - start) / slots
  }
  return percentiles(samples)
}

function calls(slab: Slab, slots: number, count: number, clockNs: number): Latency {
  const samples = new Float64Array(Math.ceil(count / slots) * slots)
  for (let i = 0; i < samples.length; i++) {
    if (i % slots === 0) slab.begin()
    const start = nowNs()
    slab.take()
    samples[i] = Math.max(0, nowNs() - start - clockNs)
  }
  return percentiles(samples)
}

function clockMedian(count: number): number {
  const samples = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const start = nowNs()
    samples[i] = nowNs() - start
  }
  return percentiles(samples).p50
}

function measure(count: number): Figure {
  const slab = new Slab()
  const slots = slotsOf(slab)
  let clockNs = 0
  for (let round = 0; round < WARM_UP; round++) {
    clockNs = clockMedian(count)
    slabMeans(slab, slots, count)
    calls(slab, slots, count, clockNs)
  }
  const call = calls(slab, slots, count, clockNs)
  return { slots, slab: slabMeans(slab, slots, count), call, clockNs }
}

async function run(): Promise<void> {
  const options = benchOptions(1_000_000)
  const script = fileURLToPath(import.meta.url)
  const figures: Figure[] = []
  for (let round = 0; round < options.rounds; round++)
    figures.push(await inChild<Figure>(script, { objects: options.objects }))
  const of = (read: (figure: Figure) => number): number => median(figures.map(read))
  const kinds = ['slab', 'call'] as const
  const rows = kinds.map(kind => ({
    kind,
    p50: of(figure => figure[kind].p50),
    p99: of(figure => figure[kind].p99),
    p999: of(figure => figure[kind].p999),
  }))
  const { slots } = figures[0]!
  const clockNs = of(figure => figure.clockNs)
  if (options.json) {
    const head = { bench: 'store-alloc', ...options, machine: machine(), slots, clockNs }
    console.log(JSON.stringify({ ...head, goalNs: GOAL_NS, rows }))
    return
  }
  printHead(`Taking a slot: ${options.objects} times, ${slots} slots a slab`, options)
  printTable(
    ['ns of wall time', 'p50', 'p99', 'p99.9', `goal p99 <= ${GOAL_NS}`],
    rows.map(({ kind, p50, p99, p999 }) => [
      ...[kind, p50.toFixed(0), p99.toFixed(0), p999.toFixed(0)],
      p99 <= GOAL_NS ? 'met' : 'missed',
    ]),
  )
  console.log(`two clock reads: ${clockNs.toFixed(0)} ns, taken off 'call'; limit: about 5 ns`)
}

const job = childJob<{ objects: number }>()
if (job === undefined) await run()
else answer(measure(job.objects))
