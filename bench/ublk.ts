/**
 * `npm run bench:ublk`: our device beside null_blk (memory-backed, zoned) with the same zones, in one VM.
 *
 *   --mode icount   one CPU, virtual time of 1 ns a guest instruction: repeatable, counts all instructions of fio, kernel
 *                   and daemon, knows no caches (default)
 *   --mode smp      two CPUs in seconds: medians, wide spread under emulation
 *
 *   --cells TEXT    only those whose name has it: 'read, depth 32'
 *
 * Prints the ratio ours / null_blk for each cell; --json FILE keeps every round. The figures are ratios of one run: absolute
 * numbers of an emulated machine mean nothing.
 */
import { writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { runInVm } from '../vm/index.js'
import { CELLS, type Data, type GuestResult, keyOf } from './ublk-guest.js'

const GUEST = new URL('./ublk-guest.js', import.meta.url).pathname

/** What the project aims at, by cell; null where nothing was promised. */
const GOALS: Readonly<Record<string, number>> = {
  '4 KiB random read, depth 1': 0.45,
  '4 KiB random read, depth 32': 0.7,
  '4 KiB sequential write, depth 1': 0.95,
  '4 KiB sequential write, depth 32': 0.95,
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** (max − min) / median, in percent; of one round there is none. */
function spread(values: readonly number[]): string {
  if (values.length < 2) return '-'
  const share = (Math.max(...values) - Math.min(...values)) / median(values)
  return `${(share * 100).toFixed(0)} %`
}

/** Rows of a Markdown table. */
export function table(result: GuestResult): string[] {
  const rows = [
    '| cell | data | null_blk IOPS | zslab IOPS | ratio | goal | requests a turn | spreads |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
  ]
  for (const cell of CELLS) {
    for (const data of ['random', 'zero'] as Data[]) {
      if (result.iops[keyOf(cell, data, 'zslab')] === undefined) continue
      const of = (variant: string) => result.iops[keyOf(cell, data, variant)] ?? [Number.NaN]
      const base = median(of('null_blk'))
      const ours = median(of('zslab'))
      const spreads = `${spread(of('null_blk'))}, ${spread(of('zslab'))}`
      const batch = median(result.batches[keyOf(cell, data, 'zslab')] ?? [Number.NaN])
      const goal = GOALS[cell.name]?.toFixed(2) ?? ''
      rows.push(
        `| ${cell.name} | ${data} | ${Math.round(base)} | ${Math.round(ours)} | ${(ours / base).toFixed(2)} | ${goal} | ${batch.toFixed(1)} | ${spreads} |`,
      )
    }
  }
  return rows
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      mode: { type: 'string', default: 'icount' },
      kernel: { type: 'string', default: '6.12' },
      rounds: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '0.2' },
      queues: { type: 'string', default: '1' },
      cells: { type: 'string', default: '' },
      json: { type: 'string' },
    },
  })
  const chunks: Buffer[] = []
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  const isCounted = values.mode === 'icount'
  const { code } = await runInVm({
    kernel: values.kernel,
    icount: isCounted,
    cpus: isCounted ? 1 : 2,
    memoryMiB: 6144,
    command: [process.execPath, GUEST, values.rounds, values.seconds, values.queues, values.cells],
    stdout,
  })
  if (code !== 0) return code
  const result = JSON.parse(Buffer.concat(chunks).toString('utf8')) as GuestResult
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`)
  const clock = isCounted ? 'guest instructions (icount), 1 CPU' : 'seconds, 2 CPUs'
  process.stdout.write(
    `kernel ${result.kernel}, ${clock}, ${result.queues} queue(s), ${values.rounds} rounds\n\n`,
  )
  process.stdout.write(`${table(result).join('\n')}\n`)
  return 0
}

if (process.argv[1] === new URL(import.meta.url).pathname) process.exitCode = await main()
