/**
 * How long a store is away when its process is killed: from the start of a new process to the first object that it serves.
 *
 * A process fills a drive in a directory with objects that live for an hour, calls `flush`, says so, and gets SIGKILL. Then, as
 * often as there are rounds, a new process opens the drive, gets one object and says what it got, and gets SIGKILL too
 * (restart-program.ts: what a user's program has to do, and no more). It is not kept on one core: Node compiles in other threads.
 * The files are in the page cache, as after any kill. Redis is beside it with its AOF, filled and killed the same way; of it the
 * first value that it gives counts.
 *
 *   to serving   from the start of the process, Node's own start included
 *   Node         a program that only answers, in the same run (restart-nothing.ts): what nothing written for Node can do without
 *   modules      within it, the import of the package
 *   open         within it, from the call of `open` to the value
 * The limit: Node's own start, and the bytes of the zones' indexes over what the machine reads of its page cache.
 *
 * Run: node dist/bench/store-restart.js [--objects 1000000] [--large] [--rounds 5] [--json]
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from '../store/index.js'
import { keyOf, VALUE_BYTES, valueFor } from './store-data.js'
import { fillStore } from './store-fill.js'
import {
  answer,
  answerOf,
  type BenchOptions,
  benchOptions,
  childJob,
  ended,
  inChildUntilKilled,
  machine,
  printHead,
  removeFolder,
  workFolder,
} from './store-run.js'
import { isInstalled, notInstalled, startServer } from './store-servers.js'
import { median, printTable } from './table.js'

const LARGE = 10_000_000
const TTL_MS = 3_600_000
const GOALS_MS: Readonly<Record<number, number>> = { 1000000: 200, 10000000: 1000 }
/** What Redis may lose: a second of it is not on the disk yet. */
const AOF_SECOND_MS = 1500

/** Of the process that fills. */
interface Job {
  readonly folder: string
  readonly objects: number
}

/** What restart-program.ts says. */
interface Served {
  readonly modulesMs: number
  readonly openMs: number
  readonly cpuMs: number
  readonly objects: number
  /** The value that was got, in hexadecimal. */
  readonly value?: string
}

interface Figure {
  readonly name: string
  readonly objects: number
  readonly servingMs: number
  readonly nodeMs: number | null
  readonly modulesMs: number | null
  readonly openMs: number | null
  readonly cpuMs: number | null
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

const besideThis = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

async function fill({ folder, objects }: Job): Promise<void> {
  const bytes = Math.max(64 * 2 ** 20, objects * 256)
  const store = await open({ device: folder, deviceOptions: { bytes } })
  await fillStore(store, 0, objects, () => TTL_MS)
  answer({})
  // Until SIGKILL: nothing is closed.
  await pause(600_000)
}

/** Starts a program, and kills it as soon as it has answered. Milliseconds from start to answer. */
async function startMs<Result>(
  name: string,
  words: readonly string[],
): Promise<{ ms: number; result: Result }> {
  const args = [besideThis(name), ...words]
  const start = performance.now()
  const program = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const result = await answerOf<Result>(program)
  const ms = performance.now() - start
  program.kill('SIGKILL')
  await ended(program)
  return { ms, result }
}

async function ours(objects: number, rounds: number): Promise<Figure> {
  const work = workFolder('disk')
  const folder = join(work, 'drive')
  try {
    await inChildUntilKilled(besideThis('store-restart.js'), { folder, objects } satisfies Job)
    const serving: number[] = []
    const node: number[] = []
    const served: Served[] = []
    for (let round = 0; round < rounds; round++) {
      node.push((await startMs('restart-nothing.js', [])).ms)
      const words = [folder, keyOf(objects >> 1)]
      const { ms, result } = await startMs<Served>('restart-program.js', words)
      if (result.objects !== objects) throw new Error(`${result.objects} of ${objects} objects`)
      if (result.value !== valueFor(objects >> 1).toString('hex'))
        throw new Error('not what was set')
      serving.push(ms)
      served.push(result)
    }
    return {
      ...{ name: 'zns-slab', objects, servingMs: median(serving), nodeMs: median(node) },
      modulesMs: median(served.map(({ modulesMs }) => modulesMs)),
      openMs: median(served.map(({ openMs }) => openMs)),
      cpuMs: median(served.map(({ cpuMs }) => cpuMs)),
    }
  } finally {
    removeFolder(work)
  }
}

const AOF = ['--appendonly', 'yes', '--appendfsync', 'everysec']

async function redis(objects: number, rounds: number): Promise<Figure> {
  const folder = workFolder('disk')
  try {
    const first = (await startServer('redis-server', folder, AOF))!
    await first.setAll(0, objects, () => TTL_MS)
    await pause(AOF_SECOND_MS)
    await first.kill()
    const serving: number[] = []
    for (let round = 0; round < rounds; round++) {
      const start = performance.now()
      const server = (await startServer('redis-server', folder, AOF))!
      const length = await server.get(objects >> 1)
      serving.push(performance.now() - start)
      if (length !== VALUE_BYTES) throw new Error('Redis has lost the object')
      await server.kill()
    }
    const none = { nodeMs: null, modulesMs: null, openMs: null, cpuMs: null }
    return { name: 'redis AOF', objects, servingMs: median(serving), ...none }
  } finally {
    removeFolder(folder)
  }
}

async function run(options: BenchOptions): Promise<void> {
  const figures: Figure[] = []
  for (const objects of options.large ? [options.objects, LARGE] : [options.objects]) {
    figures.push(await ours(objects, options.rounds))
    if (isInstalled('redis-server')) figures.push(await redis(objects, options.rounds))
  }
  if (options.json) {
    console.log(JSON.stringify({ bench: 'store-restart', ...options, machine: machine(), figures }))
    return
  }
  printHead('Restart after SIGKILL: to the first object served', options)
  const ms = (value: number | null): string => (value === null ? '-' : value.toFixed(0))
  const verdict = ({ name, objects, servingMs }: Figure): string => {
    const goal = GOALS_MS[objects]
    if (goal === undefined || name !== 'zns-slab') return '-'
    return `${servingMs <= goal ? 'met' : 'missed'} ${goal}`
  }
  printTable(
    ['ms', 'objects', 'to serving', 'Node', 'modules', 'open', 'open, CPU', 'ns an object', 'goal'],
    figures.map(figure => [
      ...[figure.name, String(figure.objects), ms(figure.servingMs), ms(figure.nodeMs)],
      ...[ms(figure.modulesMs), ms(figure.openMs), ms(figure.cpuMs)],
      ...[
        (((figure.openMs ?? figure.servingMs) * 1e6) / figure.objects).toFixed(0),
        verdict(figure),
      ],
    ]),
  )
  console.log(
    "limit: Node's start; then, an object, a hash of 4.5 bytes read and an entry of 4 written",
  )
  if (!isInstalled('redis-server')) {
    console.log(`${notInstalled('redis-server')}; measured elsewhere: 1550 ms at 1000000`)
  }
}

const job = childJob<Job>()
if (job === undefined) await run(benchOptions(1_000_000))
else await fill(job)
