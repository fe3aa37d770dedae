/**
 * The same-fill scan beside memcpy, and the fill beside memset, on the same buffers in the same run, timed in C++.
 *
 * What a page costs at most when we look at it: a scan of a page that is same-fill goes over all of it (one that is not ends
 * at the first difference, usually after 16 bytes). `hot` is one buffer again and again; `cold` goes through 256 MiB. Rates are
 * of the buffer's bytes (a copy reads and writes each once). Each figure is the median of ROUNDS, and the kinds take turns
 * within a round, so that a slow moment of the machine hits all of them.
 *
 * Run: node dist/bench/scan.js [--json]. Exit code 1 when the scan of a hot buffer is slower than GOAL of memcpy.
 */
import os from 'node:os'
import { benchNs, scanVariants } from '../ublk-native/index.js'
import { alignedBytes } from './data.js'

const ROUNDS = 9
const GOAL = 0.8
const BYTES_PER_ROUND = 256 << 20
const ARENA_BYTES = 256 << 20
const COLD_BYTES = 4096
/** Not a multiple of a power of two: consecutive pages in one cache set would measure the set. */
const COLD_STRIDE = 4096 * 3 + 64

interface Case {
  name: string
  bytes: number
  stride: number
  hot: boolean
}

const CASES: readonly Case[] = [
  { name: '4 KiB hot', bytes: 4096, stride: 0, hot: true },
  { name: '64 KiB hot', bytes: 65536, stride: 0, hot: true },
  { name: '4 KiB cold', bytes: COLD_BYTES, stride: COLD_STRIDE, hot: false },
]

const KINDS = [
  'memcpy',
  ...scanVariants().map(variant => `scan-${variant}` as const),
  'memset',
  ...scanVariants().map(variant => `fill-${variant}` as const),
] as const

/** Median GB/s of each kind. */
function measure({ bytes, stride }: Case): Map<string, number> {
  const source = alignedBytes(ARENA_BYTES).fill(0x5a)
  const target = alignedBytes(ARENA_BYTES).fill(0xa5)
  const rates = new Map<string, number[]>(KINDS.map(kind => [kind, []]))
  const iterations = Math.floor(BYTES_PER_ROUND / bytes)
  for (let round = 0; round < ROUNDS; round++) {
    for (const kind of KINDS) {
      const ns = benchNs(kind, source, target, bytes, iterations, stride)
      if (!(ns > 0)) throw new Error(`${kind}: ${ns}`)
      rates.get(kind)!.push(bytes / ns)
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[ROUNDS >> 1]!
  return new Map([...rates].map(([kind, values]) => [kind, median(values)]))
}

const best = scanVariants().at(-1)!
const results = CASES.map(each => ({ ...each, rates: measure(each) }))
const summary = results.map(({ name, hot, rates }) => ({
  name,
  hot,
  scanToMemcpy: rates.get(`scan-${best}`)! / rates.get('memcpy')!,
  fillToMemset: rates.get(`fill-${best}`)! / rates.get('memset')!,
  gigabytesPerSecond: Object.fromEntries(rates),
}))
const missed = summary.filter(({ hot, scanToMemcpy }) => hot && scanToMemcpy < GOAL)

if (process.argv.includes('--json')) {
  const cpu = os.cpus()[0]?.model ?? 'unknown'
  console.log(JSON.stringify({ bench: 'scan', rounds: ROUNDS, goal: GOAL, best, cpu, summary }))
} else {
  const row = (cells: readonly string[]) => cells.map(cell => cell.padStart(12)).join('')
  console.log(`same-fill scan and fill, GB/s (median of ${ROUNDS}; best variant here: ${best})`)
  console.log(row(['', ...KINDS, 'scan/memcpy', 'fill/memset']))
  for (const { name, scanToMemcpy, fillToMemset, gigabytesPerSecond } of summary) {
    const rates = KINDS.map(kind => gigabytesPerSecond[kind]!.toFixed(1))
    console.log(row([name, ...rates, scanToMemcpy.toFixed(2), fillToMemset.toFixed(2)]))
  }
  for (const { name } of missed) console.log(`${name}: the scan is below ${GOAL} of memcpy's rate`)
}
if (missed.length > 0) process.exitCode = 1
