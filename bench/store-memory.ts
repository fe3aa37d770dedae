/**
 * Bytes of memory an object takes: what the process grew by, and what the store itself says (`stats().memory`), which must agree.
 *
 * Objects of 16 + 128 bytes with a time to live of an hour. A process of its own for each figure; it fills and drops a store of as
 * many objects first, so that compiled code is there and the heaps of V8 and libc have the size that such a run gives them, and
 * what is counted begins with `open`. Resident memory is what the kernel says (smaps_rollup) after a collection of garbage. V8 and
 * libc are told to keep little of what is free (STEADY_HEAPS): else some 10 MB come and go, at any number of objects.
 *
 *   in memory       a drive in memory: all of the object is here
 *   in a directory  a drive of files with cacheBytes 0: index and tables only
 *
 * Beside them Redis, memcached and its extstore, if they are installed: what they say that they use, and their resident memory.
 * Limits: the payload and the number of its page for the first; the number of a page among n / 28 for the second.
 *
 * Run: node dist/bench/store-memory.js [--objects 1000000] [--large] [--rounds 5] [--json]
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type MemoryLedger, open } from '../store/index.js'
import { PAYLOAD_BYTES } from './store-data.js'
import { fillStore } from './store-fill.js'
import {
  answer,
  type BenchOptions,
  benchOptions,
  childJob,
  inChild,
  machine,
  printHead,
  removeFolder,
  residentBytes,
  workFolder,
} from './store-run.js'
import { isInstalled, notInstalled, type Server, startServer } from './store-servers.js'
import { median, printTable } from './table.js'

const LARGE = 10_000_000
const TTL_MS = 3_600_000
const AGREE = 0.02
const OBJECTS_A_PAGE = 28
const STEADY_HEAPS = {
  NODE_OPTIONS: '--max-semi-space-size=1',
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
}
const GOALS = { memory: 149, directory: 4.2 } as const
const LEDGER = ['index', 'zones', 'writers', 'marks', 'cache', 'drive'] as const

type Place = keyof typeof GOALS
interface Job {
  readonly place: Place
  readonly objects: number
}

/** Bytes an object. */
interface Figure {
  readonly grown: number
  readonly ledger: number
  readonly parts: Readonly<Record<(typeof LEDGER)[number], number>>
}

/** Bytes an object of a server: by its own account, and what it grew by. */
interface Beside {
  readonly name: string
  readonly says: number
  readonly grown: number
}

/** The reference's, measured elsewhere with the same objects: for a machine without these servers. */
const MEASURED_ELSEWHERE =
  'redis-server 288.8, memcached -n 5 -f 1.05 -C 208.7 (204.5 with a fixed hash table), extstore 88.4, Segcache 173.1'

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

const optionsOf = (place: Place, folder: string) =>
  place === 'memory'
    ? { device: { memory: 8 * 2 ** 30 } }
    : { device: folder, deviceOptions: { bytes: 8 * 2 ** 30 }, cacheBytes: 0 }

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await pause(100)
  }
}

/** Nothing of it may be in reach of who measures: it would not be dropped. */
async function warmUp({ place, objects }: Job, folder: string): Promise<void> {
  const warm = await open(optionsOf(place, folder))
  await fillStore(warm, 0, objects, () => TTL_MS)
  await warm.close()
  removeFolder(folder)
}

async function measure(job: Job, folder: string): Promise<Figure> {
  const { place, objects } = job
  await warmUp(job, join(folder, 'warm'))
  await settle()
  const before = residentBytes()
  const store = await open(optionsOf(place, join(folder, 'full')))
  await fillStore(store, 0, objects, () => TTL_MS)
  await settle()
  const grown = (residentBytes() - before) / objects
  const { memory } = store.stats()
  const each = (name: keyof MemoryLedger): number => memory[name] / objects
  const parts = Object.fromEntries(LEDGER.map(name => [name, each(name)])) as Figure['parts']
  await store.close()
  return { grown, ledger: each('total'), parts }
}

async function child(job: Job): Promise<void> {
  const folder = workFolder('disk')
  try {
    answer(await measure(job, folder))
  } finally {
    removeFolder(folder)
  }
}

/** Bytes that memcached's items, or what extstore leaves of them, and its hash table take. */
async function memcachedBytes(server: Server): Promise<number> {
  const slabs = await server.report('slabs')
  let bytes = await server.info('', 'hash_bytes')
  for (const [, slab, size] of slabs.matchAll(/^STAT (\d+):chunk_size (\d+)/gm)) {
    const used = new RegExp(`^STAT ${slab}:used_chunks (\\d+)`, 'm').exec(slabs)
    bytes += Number(size) * Number(used?.[1] ?? 0)
  }
  return bytes
}

/** Until two looks a second apart are the same: extstore writes in the background. */
async function settledBytes(read: () => Promise<number>): Promise<number> {
  let last = await read()
  for (let second = 0; second < 90; second++) {
    await pause(1000)
    const now = await read()
    if (now === last) return now
    last = now
  }
  return last
}

async function beside(name: string, objects: number): Promise<Beside> {
  const folder = workFolder('disk')
  const tuned = ['-m', '8192', '-n', '5', '-f', '1.05', '-C']
  const disk = `ext_path=${folder}/ext:4096m,ext_item_size=64,ext_item_age=1,ext_threads=2,ext_wbuf_size=8`
  const isRedis = name === 'redis-server'
  const server = (await (isRedis
    ? startServer('redis-server', folder, ['--appendonly', 'no'])
    : startServer('memcached', folder, name === 'extstore' ? [...tuned, '-o', disk] : tuned)))!
  try {
    const used = () => (isRedis ? server.info('memory', 'used_memory') : memcachedBytes(server))
    const [usedBefore, before] = [isRedis ? await used() : 0, residentBytes(server.pid)]
    await server.setAll(0, objects, () => TTL_MS)
    const says =
      ((await (name === 'extstore' ? settledBytes(used) : used())) - usedBefore) / objects
    return { name, says, grown: (residentBytes(server.pid) - before) / objects }
  } finally {
    await server.kill()
    removeFolder(folder)
  }
}

function middle(figures: readonly Figure[]): Figure {
  const of = (read: (figure: Figure) => number): number => median(figures.map(read))
  const parts = Object.fromEntries(LEDGER.map(name => [name, of(({ parts }) => parts[name])]))
  const [grown, ledger] = [of(figure => figure.grown), of(figure => figure.ledger)]
  return { grown, ledger, parts: parts as Figure['parts'] }
}

/** Bytes that name a page among those that so many objects fill. */
const pageBytes = (objects: number): number => Math.log2(objects / OBJECTS_A_PAGE) / 8
const limitOf = ({ place, objects }: Job): number =>
  (place === 'memory' ? PAYLOAD_BYTES : 0) + pageBytes(objects)

/** The goal of a drive is for ten million objects and more. */
function verdict({ place, objects, ledger }: Job & Figure): string {
  if (place === 'directory' && objects < LARGE) return `(${GOALS.directory} from 10 M)`
  return `${ledger <= GOALS[place] ? 'met' : 'missed'} ${GOALS[place]}`
}

function print(
  ours: readonly (Job & Figure)[],
  others: readonly Beside[],
  missing: readonly string[],
): void {
  printTable(
    ['bytes an object', 'objects', 'grown', 'ledger', 'differ', ...LEDGER, 'limit', 'goal'],
    ours.map(figure => [
      ...[figure.place === 'memory' ? 'in memory' : 'in a directory', String(figure.objects)],
      ...[figure.grown.toFixed(2), figure.ledger.toFixed(2)],
      `${((figure.grown / figure.ledger - 1) * 100).toFixed(1)} %`,
      ...LEDGER.map(name => figure.parts[name].toFixed(2)),
      ...[limitOf(figure).toFixed(2), verdict(figure)],
    ]),
  )
  const apart = ours.filter(({ grown, ledger }) => Math.abs(grown / ledger - 1) > AGREE).length
  console.log(`growth and ledger within ${AGREE * 100} %: ${ours.length - apart} of ${ours.length}`)
  if (others.length > 0) {
    printTable(
      ['bytes an object', 'says', 'grown', 'over payload'],
      others.map(({ name, says, grown }) => [
        name,
        says.toFixed(1),
        grown.toFixed(1),
        (says - PAYLOAD_BYTES).toFixed(1),
      ]),
    )
  }
  for (const line of missing) console.log(line)
  if (missing.length > 0)
    console.log(`measured elsewhere, with the same objects: ${MEASURED_ELSEWHERE}`)
}

async function run(options: BenchOptions): Promise<void> {
  const script = fileURLToPath(import.meta.url)
  const ours: (Job & Figure)[] = []
  for (const objects of options.large ? [options.objects, LARGE] : [options.objects]) {
    for (const place of ['memory', 'directory'] as const) {
      const figures: Figure[] = []
      for (let round = 0; round < options.rounds; round++)
        figures.push(await inChild<Figure>(script, { place, objects }, STEADY_HEAPS))
      ours.push({ place, objects, ...middle(figures) })
    }
  }
  const others: Beside[] = []
  const missing: string[] = []
  for (const program of ['redis-server', 'memcached'] as const) {
    if (!isInstalled(program)) {
      missing.push(notInstalled(program))
      continue
    }
    for (const name of program === 'memcached' ? ['memcached', 'extstore'] : [program])
      others.push(await beside(name, options.objects))
  }
  if (options.json) {
    console.log(
      JSON.stringify({
        bench: 'store-memory',
        ...options,
        machine: machine(),
        ours,
        others,
        missing,
      }),
    )
    return
  }
  printHead('Memory: 16 + 128 bytes with a time to live', options)
  print(ours, others, missing)
}

const job = childJob<Job>()
if (job === undefined) await run(benchOptions(1_000_000))
else await child(job)
