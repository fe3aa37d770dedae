/**
 * `npm run validate fio-zbd`: upstream fio's zoned suite on our device and on null_blk with the same layout, in the same kind
 * of VM. null_blk is the oracle: no test may fail here that passes there.
 *
 * Options: --kernel 6.12, --layout NAME (all), --tests "7 12" (all). One table at the end; exit 1 when we fail what null_blk
 * passes. A full run of one layout takes about a quarter of an hour a target in an emulated VM.
 */

import { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { runInVm } from '../../vm/index.js'
import { ensureFioSource } from './fio-source.js'
import type { Target, Verdict, ZbdLayout, ZbdResult } from './fio-zbd-guest.js'

const GUEST = new URL('./fio-zbd-guest.js', import.meta.url).pathname
const TARGETS: readonly Target[] = ['null_blk', 'zslab']

/** After upstream's own null_blk sections: with and without conventional zones, capacity below size, limits. */
const LAYOUTS: readonly ZbdLayout[] = [
  {
    name: 'capacity',
    zones: 256,
    zoneMib: 4,
    capacityMib: 3,
    conventional: 0,
    maxOpen: 8,
    maxActive: 8,
  },
  {
    name: 'conventional',
    zones: 256,
    zoneMib: 4,
    capacityMib: 4,
    conventional: 26,
    maxOpen: 8,
    maxActive: 0,
  },
  {
    name: 'plain',
    zones: 256,
    zoneMib: 4,
    capacityMib: 4,
    conventional: 0,
    maxOpen: 0,
    maxActive: 0,
  },
]

interface Pair {
  layout: string
  kernel: string
  results: Record<Target, ZbdResult>
}

/** Standard output of a guest, as text. */
function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') }
}

async function runTarget(
  source: string,
  kernel: string,
  layout: ZbdLayout,
  target: Target,
  tests: string,
): Promise<ZbdResult> {
  process.stderr.write(`\n== ${layout.name}: ${target} on ${kernel}\n`)
  const output = collector()
  const { code, dmesgWarnings } = await runInVm({
    kernel,
    command: [process.execPath, GUEST, source, target, JSON.stringify(layout), tests],
    stdout: output.stream,
    timeoutMs: 3_600_000,
  })
  if (code !== 0) throw new Error(`the guest's run ended with ${code}`)
  if (target === 'zslab' && dmesgWarnings.length > 0) {
    throw new Error(`the kernel warned:\n${dmesgWarnings.join('\n')}`)
  }
  return JSON.parse(output.text()) as ZbdResult
}

const count = (result: ZbdResult, verdict: Verdict): number =>
  Object.values(result.verdicts).filter(found => found === verdict).length

/** Tests that null_blk passes and we do not. */
function worse(pair: Pair): string[] {
  const { null_blk, zslab } = pair.results
  return Object.keys(null_blk.verdicts).filter(
    test => null_blk.verdicts[test] === 'PASS' && zslab.verdicts[test] !== 'PASS',
  )
}

function printTable(pairs: readonly Pair[]): void {
  const rows = [['layout', 'kernel', 'target', 'pass', 'fail', 'skip', 'failed tests']]
  for (const { layout, kernel, results } of pairs) {
    for (const target of TARGETS) {
      const result = results[target]
      const failed = Object.keys(result.verdicts).filter(test => result.verdicts[test] === 'FAIL')
      const counts = (['PASS', 'FAIL', 'SKIP'] as const).map(verdict =>
        String(count(result, verdict)),
      )
      rows.push([layout, kernel, target, ...counts, failed.join(' ')])
    }
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  for (const row of rows) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    )
  }
}

/** Arguments as on the command line; the exit code. */
export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      kernel: { type: 'string', default: '6.12' },
      layout: { type: 'string' },
      tests: { type: 'string', default: '' },
    },
  })
  const layouts = LAYOUTS.filter(
    layout => values.layout === undefined || layout.name === values.layout,
  )
  if (layouts.length === 0) {
    const names = LAYOUTS.map(layout => layout.name).join(', ')
    process.stderr.write(`--layout ${values.layout}: expected one of ${names}\n`)
    return 2
  }
  const source = await ensureFioSource()
  const pairs: Pair[] = []
  for (const layout of layouts) {
    const results = {} as Record<Target, ZbdResult>
    for (const target of TARGETS) {
      results[target] = await runTarget(source, values.kernel, layout, target, values.tests)
    }
    pairs.push({ layout: layout.name, kernel: values.kernel, results })
  }
  printTable(pairs)
  const failures = pairs.flatMap(pair => worse(pair).map(test => ({ pair, test })))
  for (const { pair, test } of failures) {
    process.stdout.write(`\n${pair.layout}: test ${test} passes on null_blk and not here:\n`)
    process.stdout.write(`${pair.results.zslab.logs[test] ?? '(did not run)'}\n`)
  }
  const ran = pairs.reduce((sum, pair) => sum + count(pair.results.zslab, 'PASS'), 0)
  process.stdout.write(`\n${ran} tests passed, ${failures.length} worse than null_blk\n`)
  return failures.length === 0 && ran > 0 ? 0 : 1
}
