/**
 * What a tierer that works beside it costs a writer: the same writes of 128 KiB of random bytes into regions, which are emptied
 * when they come round, with the tierer paused and running (daemon/tierer.ts over the real media, a thread of its own), in turns.
 *
 * Prints throughput by the clock and by the writer's own CPU time (what locks and emptied caches cost it, and not who else has
 * the CPU), the ratios of each round's two, and the slowest of a hundred writes. `--tier PATH` is a new file; default one in the folder for
 * temporary files, which may be memory. `--budget BYTES` a second (default 64 MiB, 0: no limit).
 *
 * Run: node dist/bench/tier.js [--tier PATH] [--budget BYTES] [--json]
 */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { untilTurnsEnd } from '../daemon/grace.js'
import { Tierer } from '../daemon/tierer.js'
import { openMedia } from '../ublk-native/index.js'
import { median, printTable } from './table.js'

const ROUNDS = 7
const REGION_BYTES = 16 << 20
const REGIONS = 16
const REQUEST_BYTES = 128 * 1024
const ROUND_BYTES = 2 * 1024 * 1024 * 1024
/** Words that both threads share. */
const [RUN, TURNS, MOVED_MIB, CHANGES] = [0, 1, 2, 3] as const

interface Task {
  directory: string
  tier: string
  budget: number
  words: Int32Array
}

const options = ({ directory, tier }: Task) => ({
  directory,
  tier,
  bytes: REGIONS * REGION_BYTES,
  regionBytes: REGION_BYTES,
  sameFill: true,
  // As the daemon has it (daemon/media-options.ts).
  spareBytes: 64 << 20,
})

async function tierThread(task: Task): Promise<void> {
  const { words } = task
  const media = openMedia({ ...options(task), create: false })
  // A writer between two rounds looks at nothing: each look at it is another turn.
  let looks = 0
  const isWriting = (): boolean => Atomics.load(words, RUN) === 1
  const turn = (): number => (isWriting() ? Atomics.load(words, TURNS) : --looks)
  const queue = { turn, kick: () => {} }
  const tierer = new Tierer({
    media,
    firstRegion: 0,
    endRegion: REGIONS,
    zone: region => {
      const pages = REGION_BYTES / 4096
      const changes = Atomics.load(words, CHANGES + region)
      // Full when the writer has gone on to the next.
      return { isFull: changes % 2 === 0, writtenPages: pages, settledPages: pages, changes }
    },
    slotCount: REGIONS,
    coldMs: 1e9,
    budgetBytesPerSecond: task.budget,
    limitBytes: 0,
    nowMs: () => performance.now(),
    // A writer that is paused looks at nothing.
    untilDurable: null,
    untilTurnsEnd: () => untilTurnsEnd([queue], ms => sleep(ms)),
    onProblem: (action, result) => console.error(`${action}: ${result}`),
  })
  while (Atomics.load(words, RUN) >= 0) {
    if (isWriting()) {
      await sleep(await tierer.step())
      Atomics.store(words, MOVED_MIB, media.stats().tier.writtenPages >> 8)
    } else await sleep(20)
  }
  media.close()
}

interface Round {
  gigabytesPerSecond: number
  gigabytesPerCpuSecond: number
  p99Us: number
  movedMiB: number
}

/** Nanoseconds that this thread has run: /proc/thread-self/schedstat (Documentation/scheduler/sched-stats.rst). */
function cpuNs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0])
}

class Writer {
  readonly #media
  readonly #words: Int32Array
  readonly #bytes = new Uint8Array(REQUEST_BYTES)
  #at = 0

  constructor(task: Task) {
    this.#media = openMedia({ ...options(task), create: true })
    this.#words = task.words
    truncateSync(task.tier, REGIONS * this.#media.slotBytes)
    for (let i = 0; i < REQUEST_BYTES; i++) this.#bytes[i] = Math.random() * 256
  }

  #write(): void {
    const within = this.#at % REGION_BYTES
    const region = this.#at / REGION_BYTES
    if (within === 0) {
      Atomics.add(this.#words, CHANGES + region, 1)
      if (this.#media.recycle(this.#at, REGION_BYTES) !== 0) throw new Error('recycle')
    }
    Atomics.add(this.#words, TURNS, 1)
    const wrote = this.#media.write(this.#at, this.#bytes)
    if (wrote !== REQUEST_BYTES) throw new Error(`write: ${wrote}`)
    this.#at += REQUEST_BYTES
    if (this.#at % REGION_BYTES === 0) Atomics.add(this.#words, CHANGES + Math.floor(region), 1)
    if (this.#at === REGIONS * REGION_BYTES) this.#at = 0
  }

  round(): Round {
    const before = this.#words[MOVED_MIB]!
    const us: number[] = []
    const cpuBefore = cpuNs()
    for (let i = 0; i < ROUND_BYTES / REQUEST_BYTES; i++) {
      const start = process.hrtime.bigint()
      this.#write()
      us.push(Number(process.hrtime.bigint() - start) / 1000)
    }
    const gigabytesPerSecond = ROUND_BYTES / 1e3 / us.reduce((sum, one) => sum + one, 0)
    const gigabytesPerCpuSecond = ROUND_BYTES / (cpuNs() - cpuBefore)
    us.sort((a, b) => a - b)
    const movedMiB = Atomics.load(this.#words, MOVED_MIB) - before
    return {
      gigabytesPerSecond,
      gigabytesPerCpuSecond,
      p99Us: us[Math.floor(us.length * 0.99)]!,
      movedMiB,
    }
  }
}

async function main(): Promise<void> {
  const directory = mkdtempSync('/dev/shm/zslab-bench-')
  const { values } = parseArgs({
    options: {
      tier: { type: 'string', default: join(os.tmpdir(), `zslab-bench-tier-${process.pid}`) },
      budget: { type: 'string', default: `${64 << 20}` },
      json: { type: 'boolean', default: false },
    },
  })
  const words = new Int32Array(new SharedArrayBuffer(4 * (CHANGES + REGIONS)))
  const task: Task = { directory, tier: values.tier, budget: Number(values.budget), words }
  writeFileSync(task.tier, '', { flag: 'wx' })
  const writer = new Writer(task)
  const ended = new Promise(resolve =>
    new Worker(new URL(import.meta.url), { workerData: task }).on('exit', resolve),
  )
  const rounds: [Round, Round][] = []
  for (let round = 0; round < ROUNDS; round++) {
    const pair: Round[] = []
    // Which goes first takes turns too.
    for (const run of round % 2 === 0 ? [0, 1] : [1, 0]) {
      Atomics.store(words, RUN, run)
      // The other thread takes its step to an end, or begins one.
      await sleep(250)
      pair[run] = writer.round()
      Atomics.store(words, RUN, 0)
    }
    rounds.push(pair as [Round, Round])
  }
  Atomics.store(words, RUN, -1)
  await ended
  rmSync(task.tier)
  rmSync(directory, { recursive: true })
  const middle = (pick: (pair: [Round, Round]) => number): number => median(rounds.map(pick))
  const result = {
    pausedGigabytesPerSecond: middle(([off]) => off.gigabytesPerSecond),
    runningGigabytesPerSecond: middle(([, on]) => on.gigabytesPerSecond),
    ratio: middle(([off, on]) => on.gigabytesPerSecond / off.gigabytesPerSecond),
    cpuRatio: middle(([off, on]) => on.gigabytesPerCpuSecond / off.gigabytesPerCpuSecond),
    pausedGigabytesPerCpuSecond: middle(([off]) => off.gigabytesPerCpuSecond),
    runningGigabytesPerCpuSecond: middle(([, on]) => on.gigabytesPerCpuSecond),
    pausedP99Us: middle(([off]) => off.p99Us),
    runningP99Us: middle(([, on]) => on.p99Us),
    movedMiB: middle(([, on]) => on.movedMiB),
  }
  if (values.json) return console.log(JSON.stringify(result))
  const row = (name: string, ...values: number[]): string[] => [
    name,
    ...values.map((value, i) => value.toFixed(i === 2 ? 0 : 2)),
  ]
  const { pausedP99Us, runningP99Us } = result
  printTable(
    ['tierer', 'GB/s', 'GB/s of CPU', 'slowest of 100, us'],
    [
      row(
        'paused',
        result.pausedGigabytesPerSecond,
        result.pausedGigabytesPerCpuSecond,
        pausedP99Us,
      ),
      row(
        'running',
        result.runningGigabytesPerSecond,
        result.runningGigabytesPerCpuSecond,
        runningP99Us,
      ),
      [
        'ratio',
        result.ratio.toFixed(2),
        result.cpuRatio.toFixed(2),
        (runningP99Us / pausedP99Us).toFixed(2),
      ],
    ],
  )
  console.log(`moved a round: ${result.movedMiB} MiB of ${ROUND_BYTES / 2 ** 20}`)
}

if (isMainThread) await main()
else await tierThread(workerData as Task)
