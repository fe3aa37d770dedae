/**
 * What objects of mixed sizes take on the drive: bytes of pages over bytes of keys and values, at full speed (a commit each
 * second would seal slabs earlier). In memory, so without indexes (3 % on a drive).
 *
 * The limit: slots of a page of 4 KiB. Records of 1.36 to 2.03 KiB are two a page, 17 % of which is free on average.
 *
 * Run: node dist/bench/sizes.js [--objects 300000]
 */
import { parseArgs } from 'node:util'
import { open } from '../store/index.js'
import { createMemoryDrive } from '../zone-model/index.js'
import { printTable } from './table.js'

const SEED = 0x5eed
const SIGMA = 0.8
const MEDIAN_BYTES = 200
const HOUR_MS = 3_600_000

const { values } = parseArgs({ options: { objects: { type: 'string', default: '300000' } } })
const objects = Number(values.objects)

let state = SEED
/** 0 to 1. */
function chance(): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}

const normal = (): number => Array.from({ length: 12 }, chance).reduce((a, b) => a + b) - 6
const lognormal = (): number =>
  Math.min(3900, Math.max(5, Math.round(MEDIAN_BYTES * Math.exp(SIGMA * normal()))))

interface Mix {
  readonly name: string
  readonly valueBytes: () => number
  readonly ttlMs: () => number
}

const MIXES: readonly Mix[] = [
  { name: '128 bytes', valueBytes: () => 128, ttlMs: () => HOUR_MS },
  {
    name: '20 to 2000 bytes, uniform',
    valueBytes: () => 20 + Math.floor(chance() * 1980),
    ttlMs: () => HOUR_MS,
  },
  { name: 'lognormal about 200 bytes', valueBytes: lognormal, ttlMs: () => HOUR_MS },
  {
    name: 'the same, TTLs of a minute to 11 days',
    valueBytes: lognormal,
    ttlMs: () => 60_000 * 4 ** Math.floor(chance() * 8),
  },
]

async function measure({ valueBytes, ttlMs }: Mix): Promise<number> {
  const device = createMemoryDrive({ zoneCount: 64, zoneSizeBytes: 2 ** 24, maxActive: 14 })
  const store = await open({ device, now: () => 1e12 })
  for (let i = 0; i < objects; i++) {
    store.setSync(`key:${String(i).padStart(8, '0')}`, Buffer.alloc(valueBytes(), 'x'), ttlMs())
  }
  const { factor } = store.stats().writes
  await store.close()
  return factor
}

const rows: string[][] = []
for (const mix of MIXES) rows.push([mix.name, (await measure(mix)).toFixed(3)])
console.log(`${objects} objects, keys of 12 bytes`)
printTable(['values', 'bytes on the drive over payload'], rows)
