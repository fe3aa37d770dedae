/**
 * `npm run bench:ublk`: our device beside null_blk (memory-backed, zoned) with the same zones, in one VM.
 *
 *   --mode icount    one CPU, virtual time of 1 ns a guest instruction: repeatable, counts all instructions of fio, kernel
 *                    and daemon, knows no caches (default)
 *   --mode smp       two CPUs in seconds: medians, wide spread under emulation
 *   --devices A,B    names of guest-devices.ts; the first is what the others are compared with
 *   --data A,B       names of guest-fio.ts
 *   --cells TEXT     only those whose name has it: 'read, depth 32'
 *
 * Prints the ratio to the first device for each cell; --json FILE keeps every round. The figures are ratios of one run:
 * absolute numbers of an emulated machine mean nothing.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runGuest } from './guest.js'
import { KINDS } from './guest-devices.js'
import { CELLS, DATA } from './guest-fio.js'
import { median } from './table.js'
import { type GuestResult, type GuestTask, keyOf } from './ublk-guest.js'

/** What the project aims at, of the plain device beside null_blk. */
const GOALS: Readonly<Record<string, number>> = {
  '4 KiB random read, depth 1': 0.45,
  '4 KiB random read, depth 32': 0.7,
  '4 KiB sequential write, depth 1': 0.95,
  '4 KiB sequential write, depth 32': 0.95,
}

/** (max − min) / median, in percent; of one round there is none. */
function spread(values: readonly number[]): string {
  if (values.length < 2) return '-'
  const share = (Math.max(...values) - Math.min(...values)) / median(values)
  return `${(share * 100).toFixed(0)} %`
}

/** Rows of a Markdown table: one a cell, sort of data and device, beside the first device. */
export function table(result: GuestResult, task: GuestTask): string[] {
  const [base, ...others] = task.devices as [string, ...string[]]
  const rows = [
    `| cell | data | ${base} IOPS | device | IOPS | ratio | goal | requests a turn | spreads |`,
    '| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |',
  ]
  for (const { name } of CELLS) {
    for (const data of task.data) {
      const bar = result.iops[keyOf(name, data, base)]
      if (bar === undefined) continue
      for (const device of others) {
        const key = keyOf(name, data, device)
        const iops = result.iops[key]!
        const goal = base === 'null_blk' && device === 'zslab' ? GOALS[name]?.toFixed(2) : undefined
        const batches = result.batches[key]
        const cells = [
          name,
          data,
          Math.round(median(bar)),
          device,
          Math.round(median(iops)),
          (median(iops) / median(bar)).toFixed(2),
          goal ?? '',
          batches === undefined ? '' : median(batches).toFixed(1),
          `${spread(bar)}, ${spread(iops)}`,
        ]
        rows.push(`| ${cells.join(' | ')} |`)
      }
    }
  }
  return rows
}

/** The names of a comma-separated list. Throws Error for one that is not there. */
function names(text: string, option: string, known: Readonly<Record<string, unknown>>): string[] {
  const list = text.split(',')
  for (const name of list) {
    if (Object.hasOwn(known, name)) continue
    throw new Error(`--${option} ${name}: expected names of ${Object.keys(known).join(', ')}`)
  }
  return list
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mode: { type: 'string', default: 'icount' },
      kernel: { type: 'string', default: '6.12' },
      rounds: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '0.2' },
      queues: { type: 'string', default: '1' },
      cells: { type: 'string', default: '' },
      devices: { type: 'string', default: 'null_blk,zslab,zslab-lz4,zslab-zstd' },
      data: { type: 'string', default: 'random,zero,text' },
      json: { type: 'string' },
    },
  })
  const isCounted = values.mode === 'icount'
  const task: GuestTask = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    queues: Number(values.queues),
    cells: values.cells,
    devices: names(values.devices, 'devices', KINDS),
    data: names(values.data, 'data', DATA),
  }
  const vm = { kernel: values.kernel, isCounted }
  const result = await runGuest<GuestResult>('ublk-guest.js', task, vm)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`)
  const clock = isCounted ? 'guest instructions (icount), 1 CPU' : 'seconds, 2 CPUs'
  process.stdout.write(
    `kernel ${result.kernel}, ${clock}, ${result.queues} queue(s), ${values.rounds} rounds\n\n`,
  )
  process.stdout.write(`${table(result, task).join('\n')}\n`)
}

if (process.argv[1] === new URL(import.meta.url).pathname) await main()
