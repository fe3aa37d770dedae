/**
 * Inside the VM: upstream fio's zoned suite against one target with one layout. `null_blk` is the oracle.
 *
 * Arguments: directory of fio's sources (built), target, layout as JSON, tests ("" for all). Every line that the suite prints
 * goes to stderr as it comes; at the end one JSON object to stdout.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { ensureDaemon, request } from '../../daemon/client.js'

const MIB = 1024 * 1024
const NULL_BLK = '/sys/kernel/config/nullb/zbd'

/** A device that both null_blk and we can be. Sizes in MiB, as null_blk takes them. */
export interface ZbdLayout {
  name: string
  zones: number
  zoneMib: number
  capacityMib: number
  conventional: number
  maxOpen: number
  maxActive: number
}

export type Verdict = 'PASS' | 'FAIL' | 'SKIP'

/** What the suite said of each test, and the end of the log of those that failed. */
export interface ZbdResult {
  verdicts: Record<string, Verdict>
  logs: Record<string, string>
}

export type Target = 'null_blk' | 'zslab'

function makeNullBlk(layout: ZbdLayout): string {
  mkdirSync(NULL_BLK)
  const set = (name: string, value: number) => writeFileSync(`${NULL_BLK}/${name}`, String(value))
  set('size', layout.zones * layout.zoneMib)
  set('blocksize', 4096)
  set('memory_backed', 1)
  set('zoned', 1)
  set('zone_size', layout.zoneMib)
  set('zone_capacity', layout.capacityMib)
  set('zone_nr_conv', layout.conventional)
  set('zone_max_open', layout.maxOpen)
  set('zone_max_active', layout.maxActive)
  set('power', 1)
  return '/dev/zbd'
}

async function makeOurs(layout: ZbdLayout): Promise<string> {
  await ensureDaemon()
  const device = await request('device.create', {
    zones: layout.zones,
    zoneSize: layout.zoneMib * MIB,
    zoneCapacity: layout.capacityMib * MIB,
    conventional: layout.conventional,
    maxOpen: layout.maxOpen,
    maxActive: layout.maxActive,
  })
  return device.path
}

/** One verdict a line: "Running test 07 ... PASS". */
const LINE = /^Running test (\d+) \.\.\. (PASS|FAIL|SKIP)/

async function runSuite(
  fio: string,
  path: string,
  layout: ZbdLayout,
  tests: string,
): Promise<ZbdResult> {
  const args = [
    // As upstream's own null_blk sections: within the limit, and each write test from empty zones. Without either, a test's
    // verdict hangs on how many zones the one before it happened to leave active.
    ...(layout.maxOpen > 0 ? ['-o', String(layout.maxOpen)] : ['-w']),
    ...tests
      .split(' ')
      .filter(Boolean)
      .flatMap(test => ['-t', test]),
    path,
  ]
  const suite = spawn('./test-zbd-support', args, {
    cwd: `${fio}/t/zbd`,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const result: ZbdResult = { verdicts: {}, logs: {} }
  for await (const line of createInterface({ input: suite.stdout })) {
    process.stderr.write(`${line}\n`)
    const match = LINE.exec(line)
    if (match === null) continue
    const [, test, verdict] = match as unknown as [string, string, Verdict]
    result.verdicts[test] = verdict
    if (verdict === 'PASS') continue
    try {
      const log = readFileSync(`${fio}/t/zbd/test-zbd-support.log.${Number(test)}`, 'utf8')
      result.logs[test] = log.slice(-1500)
    } catch {
      result.logs[test] = '(no log)'
    }
  }
  return result
}

const [source, target, layoutText, tests] = process.argv.slice(2) as [
  string,
  Target,
  string,
  string?,
]
const layout = JSON.parse(layoutText) as ZbdLayout
// The suite writes its logs beside itself; the host's files are read-only here or shadowed, so it gets a copy.
const fio = '/tmp/fio-zbd'
cpSync(`${source}/t/zbd`, `${fio}/t/zbd`, { recursive: true })
cpSync(`${source}/fio`, `${fio}/fio`)
const path = target === 'null_blk' ? makeNullBlk(layout) : await makeOurs(layout)
const result = await runSuite(fio, path, layout, tests ?? '')
if (target === 'null_blk') {
  writeFileSync(`${NULL_BLK}/power`, '0')
  rmdirSync(NULL_BLK)
} else await request('shutdown', {})
process.stdout.write(`${JSON.stringify(result)}\n`)
